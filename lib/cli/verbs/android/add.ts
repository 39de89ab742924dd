import { noAttributes } from '../../../android/metadata.js'
import { expand } from '../../../android/sparse.js'
import { openFile } from '../../../bytes/file.js'
import type { Super } from '../../../disk/super.js'
import { DdiError } from '../../../errors.js'
import { given } from '../../given.js'
import { untilInterrupted } from '../../interrupt.js'
import { progressBar } from '../../progress.js'
import { changedPartition } from '../../shapes.js'
import { changeSuper, logicalArgument, superArgument, superChangeOptions } from '../../super.js'
import { attributes, sizeOrZero, text } from '../../values.js'
import { flag, option, verb } from '../../verb.js'

export default verb({
  summary: 'add a logical partition, as lpadd does',
  arguments: [superArgument, logicalArgument],
  options: {
    size: option('--size <size>', 'such as 512M; 0 for none yet (default: the size of --from)', sizeOrZero),
    from: option('--from <file>', 'initial contents of the partition, sparse or not', text),
    group: option('--group <name>', 'group of the partition (default: default, or as it was)', text),
    replace: flag('--replace', 'replace what has the name; group and attributes stay unless given'),
    attributes: option(
      '--attributes <list>',
      'none, readonly, updated, disabled (default: none, or as they were)',
      attributes,
    ),
    ...superChangeOptions,
  },
  json: changedPartition,
  examples: ['ddi-attach android add super.img product_a --from product.img --attributes readonly'],
  asks: ([path, name], { replace }) => (replace ? `Replace the partition ${name} of ${path}?` : undefined),
  async run([path, name], options) {
    const { group } = options
    const file = options.from === undefined ? undefined : await openFile(options.from)
    try {
      const from = file && (await expand(file)).source
      const size = options.size ?? from?.size
      if (size === undefined) throw new DdiError('ERR_DDI_USAGE', 'give --size, or --from to take the size of a file')
      const bar = await progressBar('copying')
      const work = { signal: untilInterrupted(), onProgress: bar.update, ...given({ from }) }
      await changeSuper(path, options, async (one) => {
        const former = options.replace
          ? one.metadata.partitions.find((partition) => partition.name === name)
          : undefined
        const wanted = given({ group: group ?? former?.group })
        const head = {
          label: name,
          attributes: { ...noAttributes, ...(options.attributes ?? former?.attributes) },
          ...wanted,
        }
        if (options.replace) await makeWay(one, name, size)
        const partition = await one.create(head, size, work).finally(() => bar.stop())
        return { partition, requested: size }
      })
    } finally {
      await file?.close()
    }
  },
})

/** Removes a partition of a name, unless there would be no room for the new one: then it stays. */
async function makeWay(one: Super, name: string, size: number): Promise<void> {
  const former = one.volumes.find(({ label }) => label === name)
  if (former?.state !== 'whole') return
  const room = one.free.reduce((sum, { length }) => sum + length, former.size)
  if (size > room)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${size} bytes are needed, and ${room} would be free without the partition ${name}`,
    )
  await one.remove(former)
}

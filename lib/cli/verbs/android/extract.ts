import { join } from 'node:path'
import { extentSource } from '../../../bytes/extents.js'
import { makeDirectories } from '../../../bytes/new-file.js'
import { untilInterrupted } from '../../interrupt.js'
import { chosenLogical, logicalOptions, openLogical } from '../../logical.js'
import { formatSize, print, printJson } from '../../output.js'
import { superArgument } from '../../super.js'
import { text } from '../../values.js'
import { argument, flag, option, verb } from '../../verb.js'
import { writeOut } from '../../write-out.js'

export default verb({
  summary: 'write logical partitions to files NAME.img, as lpunpack does',
  arguments: [superArgument, argument('[names...]', 'logical partitions (default: all)')],
  options: {
    output: option('--output <directory>', 'where to write them', text, '.'),
    sparse: flag('--sparse', 'write Android sparse images'),
    force: flag('--force', 'replace what exists'),
    ...logicalOptions,
  },
  examples: ['ddi-attach android extract super.img --output parts', 'ddi-attach android extract super.img system_a'],
  async run([path, names], options) {
    const { json, output, sparse, force } = options
    await using image = await openLogical(path, options)
    const signal = untilInterrupted()
    await makeDirectories(output)
    const written: { name: string; path: string; size: number }[] = []
    for (const { label, size, extents } of chosenLogical(image.volumes, names, path)) {
      const name = label!
      const to = join(output, `${name}.img`)
      await writeOut(extentSource(image.source, extents), to, name, { sparse, force, from: [path], signal })
      written.push({ name, path: to, size })
      if (json === 'off') print(`${to}: ${formatSize(size)}`)
    }
    if (json !== 'off') printJson({ image: path, extracted: written }, json)
  },
})

import { formatFile } from '../../../build/tree.js'
import { refuseReplacing, writeNewFile } from '../../../bytes/new-file.js'
import { DdiError } from '../../../errors.js'
import { sideFiles } from '../../../image/root-hash-sources.js'
import { given } from '../../given.js'
import { describeTree } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { json } from '../../options.js'
import { print, printJson } from '../../output.js'
import { progressBar } from '../../progress.js'
import { choice, hexadecimal, powerOfTwo, text, uuid, wholeNumber } from '../../values.js'
import { argument, flag, option, verb } from '../../verb.js'

const blockSize = powerOfTwo(512, 512 * 1024)

export default verb({
  summary: 'make a hash tree, as veritysetup format does, and print the root hash',
  arguments: [
    argument('<data>', 'image file or block device'),
    argument('[hash]', 'new file, or block device (default: DATA.verity)'),
  ],
  options: {
    append: flag('--append', 'put the tree behind the data, in the same file'),
    hash: option('--hash <algorithm>', 'hash algorithm', choice('sha256', 'sha512'), 'sha256'),
    salt: option('--salt <hex>', 'at most 256 bytes, - for none (default: 32 random bytes)', hexadecimal),
    dataBlockSize: option('--data-block-size <size>', 'a power of two from 512', blockSize, '4096'),
    hashBlockSize: option('--hash-block-size <size>', 'a power of two from 512', blockSize, '4096'),
    dataBlocks: option(
      '--data-blocks <count>',
      'how many blocks the tree covers (default: all that are whole)',
      wholeNumber(1, 999_999_999_999_999),
    ),
    uuid: option('--uuid <uuid>', 'UUID of the tree (default: a random one)', uuid),
    rootHashFile: option('--root-hash-file <file>', 'write the root hash there', text),
    force: flag('--force', 'replace files that exist'),
    ...json,
  },
  examples: [
    'ddi-attach verity format root.erofs --root-hash-file root.roothash',
    'ddi-attach verity format root.erofs --append',
  ],
  async run([data, hash], options) {
    const { json, append, salt, uuid, dataBlocks, dataBlockSize, hashBlockSize, rootHashFile, force } = options
    if (hash !== undefined && append) throw new DdiError('ERR_DDI_USAGE', 'give either a hash file or --append')
    const to = append ? null : (hash ?? sideFiles(data, 'verity')[0]!)
    const from = [data, to ?? data]
    if (rootHashFile !== undefined) await refuseReplacing(rootHashFile, from)
    const bar = await progressBar('hashing')
    const formatted = await formatFile(data, to, {
      algorithm: options.hash,
      dataBlockSize,
      hashBlockSize,
      replace: force,
      onProgress: bar.update,
      signal: untilInterrupted(),
      ...given({ salt, uuid, dataSize: dataBlocks === undefined ? undefined : dataBlocks * dataBlockSize }),
    }).finally(() => bar.stop())
    const rootHash = Buffer.from(formatted.rootHash).toString('hex')
    const line = Buffer.from(`${rootHash}\n`)
    if (rootHashFile !== undefined)
      await writeNewFile(rootHashFile, 0, (target) => target.write(0, line), {
        replace: force,
        from,
      })
    if (json !== 'off') printJson({ ...describeTree(formatted), rootHash, file: to ?? data }, json)
    else print(rootHash)
  },
})

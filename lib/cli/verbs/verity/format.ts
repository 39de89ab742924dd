import { formatParity } from '../../../build/parity.js'
import { formatFile } from '../../../build/tree.js'
import { refuseReplacing, writeNewFile } from '../../../bytes/new-file.js'
import { DdiError } from '../../../errors.js'
import { sideFiles } from '../../../image/root-hash-sources.js'
import { describeRun } from '../../extents.js'
import { given } from '../../given.js'
import { describeTree, treeParameters } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { print, printJson } from '../../output.js'
import { parityOptions } from '../../parity.js'
import { progressBar } from '../../progress.js'
import { nullable, object } from '../../schema.js'
import { extent, hexadecimal as hexadecimalText, path, tree } from '../../shapes.js'
import { hexadecimal, sizeOrZero, text, uuid } from '../../values.js'
import { argument, flag, option, type ValuesOf, verb } from '../../verb.js'

const format = {
  append: flag('--append', 'put the tree behind the data, in the same file'),
  hashOffset: option('--hash-offset <bytes>', 'where the tree begins in its file (default: at its start)', sizeOrZero),
  ...treeParameters,
  salt: option('--salt <hex>', 'at most 256 bytes, - for none (default: 32 random bytes)', hexadecimal),
  uuid: option('--uuid <uuid>', 'UUID of the tree (default: a random one)', uuid),
  rootHashFile: option('--root-hash-file <file>', 'write the root hash there', text),
  ...parityOptions,
  force: flag('--force', 'replace files that exist, and what they hold at offsets'),
}

export default verb({
  summary: 'make a hash tree, as veritysetup format does, and print the root hash',
  arguments: [
    argument('<data>', 'image file or block device'),
    argument('[hash]', 'new file, or block device (default: DATA.verity)'),
  ],
  options: format,
  json: object({ ...tree, rootHash: hexadecimalText, file: path, parity: nullable(object({ file: path, extent })) }),
  examples: [
    'ddi-attach verity format root.erofs --root-hash-file root.roothash',
    'ddi-attach verity format root.erofs --append',
    'ddi-attach verity format root.erofs root.verity --fec-device root.fec',
  ],
  async run([data, hash], options) {
    const { json, append, rootHashFile, force } = options
    if (hash !== undefined && append) throw new DdiError('ERR_DDI_USAGE', 'give either a hash file or --append')
    const to = append ? data : (hash ?? sideFiles(data, 'verity')[0]!)
    const make = async () => await formatAll(data, append ? null : to, options)
    // What cannot be written is found out before anything else is.
    const formatted =
      rootHashFile === undefined
        ? await make()
        : await writeNewFile(
            rootHashFile,
            0,
            async (file) => {
              const formatted = await make()
              await refuseReplacing(rootHashFile, [data, to])
              await file.write(0, Buffer.from(`${formatted.rootHash}\n`))
              return formatted
            },
            { replace: force, from: [data, to] },
          )
    const { rootHash, tree, parity } = formatted
    if (json !== 'off') printJson({ ...describeTree(tree), rootHash, file: to, parity: parity ?? null }, json)
    else print(rootHash)
  },
})

async function formatAll(data: string, to: string | null, options: ValuesOf<typeof format>) {
  const { salt, uuid, hash, dataBlocks, dataBlockSize, hashBlockSize, hashOffset, noSuperblock, force } = options
  const signal = untilInterrupted()
  const bar = await progressBar('hashing')
  const tree = await formatFile(data, to, {
    superblock: !noSuperblock,
    replace: force,
    onProgress: bar.update,
    signal,
    ...given({ salt, uuid, hashOffset, algorithm: hash, dataBlockSize, hashBlockSize }),
    ...given({ dataSize: dataBlocks === undefined ? undefined : dataBlocks * (dataBlockSize ?? 4096) }),
  }).finally(() => bar.stop())
  const { fecDevice: path, fecOffset: offset, fecRoots: roots } = options
  const stored = { ...tree, path: to ?? data, isBare: noSuperblock }
  const parity =
    path === undefined
      ? undefined
      : {
          file: path,
          extent: describeRun(await formatParity(data, stored, { path, offset, roots, replace: force }, { signal })),
        }
  return { tree, rootHash: Buffer.from(tree.rootHash).toString('hex'), parity }
}

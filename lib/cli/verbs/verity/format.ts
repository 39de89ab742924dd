import { type FormattedTree, formatFile, previewFormat } from '../../../build/tree.js'
import { refuseNewFile, refuseReplacing, writeNewFile } from '../../../bytes/new-file.js'
import type { Run } from '../../../bytes/source.js'
import { DdiError } from '../../../errors.js'
import { sideFiles } from '../../../image/root-hash-sources.js'
import { printable } from '../../../text.js'
import { dryRunOption } from '../../dry-run.js'
import { describeRun } from '../../extents.js'
import { given } from '../../given.js'
import { describeTree, treeFileOf, treeParameters } from '../../hash-tree.js'
import { untilInterrupted } from '../../interrupt.js'
import { formatSize, print, printJson } from '../../output.js'
import { parityOf, parityOptions } from '../../parity.js'
import { progressBar } from '../../progress.js'
import { described, nullable, object } from '../../schema.js'
import { dryRun, extent, hexadecimal as hexadecimalText, path, tree } from '../../shapes.js'
import { hexadecimal, newFile, sizeOrZero, uuid } from '../../values.js'
import { argument, flag, option, type ValuesOf, verb } from '../../verb.js'

const format = {
  append: flag('--append', 'put the tree behind the data, in the same file'),
  hashOffset: option('--hash-offset <bytes>', 'where the tree begins in its file (default: at its start)', sizeOrZero),
  ...treeParameters,
  salt: option('--salt <hex>', 'at most 256 bytes, - for none (default: 32 random bytes)', hexadecimal),
  uuid: option('--uuid <uuid>', 'UUID of the tree (default: a random one)', uuid),
  rootHashFile: option('--root-hash-file <file>', 'write the root hash there', newFile),
  ...parityOptions,
  fecDevice: option('--fec-device <file>', 'file or block device for the parity of error correction', newFile),
  force: flag('--force', 'replace files that exist, and what they hold at offsets'),
  ...dryRunOption,
}

export default verb({
  summary: 'make a hash tree, as veritysetup format does, and print the root hash',
  arguments: [
    argument('<data>', 'image file or block device'),
    argument('[hash]', 'new file, or block device (default: DATA.verity)', newFile),
  ],
  options: format,
  json: object({
    ...tree,
    rootHash: described(nullable(hexadecimalText), 'null: nothing was hashed, in a dry run'),
    file: path,
    parity: nullable(object({ file: path, extent })),
    dryRun,
  }),
  examples: [
    'ddi-attach verity format root.erofs --root-hash-file root.roothash',
    'ddi-attach verity format root.erofs --append',
    'ddi-attach verity format root.erofs --append --dry-run',
    'ddi-attach verity format root.erofs root.verity --fec-device root.fec',
  ],
  async run([data, hash], options) {
    const { json, append, rootHashFile, force: replace, dryRun } = options
    if (hash !== undefined && append) throw new DdiError('ERR_DDI_USAGE', 'give either a hash file or --append')
    const to = append ? data : (hash ?? sideFiles(data, 'verity')[0]!)
    const make = async () => await formatAll(data, append ? null : to, options)
    const from = [data, to]
    if (dryRun && rootHashFile !== undefined) await refuseNewFile(rootHashFile, { replace, from })
    // What cannot be written is found out before anything else is.
    const formatted =
      rootHashFile === undefined || dryRun
        ? await make()
        : await writeNewFile(
            rootHashFile,
            0,
            async (file) => {
              const formatted = await make()
              await refuseReplacing(rootHashFile, from)
              await file.write(0, Buffer.from(`${formatted.rootHash}\n`))
              return formatted
            },
            { replace, from },
          )
    const { rootHash, tree, parity } = formatted
    if (json !== 'off') printJson({ ...describeTree(tree), rootHash, file: to, parity, dryRun }, json)
    else if (rootHash !== null) print(rootHash)
    else
      for (const [path, { start, length }] of placesOf(to, formatted))
        print(`${printable(path)}: would have ${formatSize(length)} from byte ${start} on`)
  },
})

type FormatValues = ValuesOf<typeof format>

interface Formatted {
  /** In hexadecimal; null if nothing was hashed. */
  readonly rootHash: string | null
  readonly tree: Pick<FormattedTree, 'superblock' | 'hash'>
  readonly parity: { readonly file: string; readonly extent: ReturnType<typeof describeRun> } | null
}

function placesOf(to: string, { tree, parity }: Formatted): (readonly [string, Run])[] {
  return [[to, tree.hash], ...(parity ? [[parity.file, parity.extent] as const] : [])]
}

async function formatAll(data: string, to: string | null, options: FormatValues): Promise<Formatted> {
  const { uuid, force: replace, dryRun, fecDevice: file } = options
  const signal = untilInterrupted()
  const bar = await progressBar('hashing')
  const work = { signal, onProgress: bar.update }
  const settings = {
    ...treeFileOf(options),
    ...given({ uuid, parity: parityOf(options) }),
    replace,
  }
  try {
    const formatted = dryRun ? undefined : await formatFile(data, to, { ...settings, ...work })
    const tree = formatted ?? (await previewFormat(data, to, settings))
    const rootHash = formatted ? Buffer.from(formatted.rootHash).toString('hex') : null
    return {
      tree,
      rootHash,
      parity: file !== undefined && tree.parity ? { file, extent: describeRun(tree.parity) } : null,
    }
  } finally {
    bar.stop()
  }
}

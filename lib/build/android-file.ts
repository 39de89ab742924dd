import { join } from 'node:path'
import { joinSparse } from '../android/join-sparse.js'
import { isMetadataImage, readMetadataImage, superOf } from '../android/metadata-image.js'
import { encodeSparse, isSparse, openSparse, type SparseSource } from '../android/sparse.js'
import { concatSources } from '../bytes/concat.js'
import { copy } from '../bytes/copy.js'
import { extentSource } from '../bytes/extents.js'
import { type FileSource, openFile } from '../bytes/file.js'
import { makeDirectories, refuseNewFile, writeNewFile } from '../bytes/new-file.js'
import { zeroSource } from '../bytes/repeat.js'
import { alignUp } from '../bytes/runs.js'
import type { Run, Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { logicalPartitions } from '../image/logical.js'
import { type OpenOptions, openImage } from '../image/open.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type Work, workNames, workOn } from '../work.js'

/** How a file for Android is written. */
export interface AndroidFileOptions extends Work {
  /** Writes an Android sparse image. Default: false. */
  readonly sparse?: boolean
  /** Replaces existing files. Default: false. */
  readonly replace?: boolean
  /** Refuses what would be refused, and writes nothing. Default: false. */
  readonly dryRun?: boolean
}

export const androidFileOptionNames: OptionNames<AndroidFileOptions> = {
  sparse: true,
  replace: true,
  dryRun: true,
  ...workNames,
}

/** Options of {@link extractLogical}. */
export interface ExtractOptions extends AndroidFileOptions, Pick<OpenOptions, 'slot' | 'devices'> {
  /** Names of logical partitions. Default: all that have bytes and are not disabled. */
  readonly names?: readonly string[]
}

const extractOptionNames: OptionNames<ExtractOptions> = {
  ...androidFileOptionNames,
  slot: true,
  devices: true,
  names: true,
}

/** A logical partition in a file of its own. */
export interface ExtractedPartition {
  readonly name: string
  readonly path: string
  /** In bytes, of the partition. */
  readonly size: number
}

/** What a sparse image counts in, in bytes. */
const blockSize = 4096

/**
 * Writes logical partitions of a super partition to files NAME.img, as lpunpack does.
 * @param path of an image file, sparse or not, or of a block device
 * @param directory is made if it is missing
 * @throws as `openImage`; ERR_DDI_NO_VOLUME, ERR_DDI_NOTHING_TO_ATTACH, ERR_DDI_EXISTS, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED
 */
export async function extractLogical(
  path: string,
  directory: string,
  options: ExtractOptions = {},
): Promise<readonly ExtractedPartition[]> {
  checkOptions(options, extractOptionNames, 'extractLogical')
  const { slot = 0, devices = {}, names = [], ...rest } = options
  await using image = await openImage(path, { slot, devices })
  const chosen = logicalPartitions(image.volumes, names, path)
  if (!options.dryRun) await makeDirectories(directory)
  const extracted: ExtractedPartition[] = []
  for (const { label, size, extents } of chosen) {
    const name = label!
    const to = join(directory, `${name}.img`)
    await writeAndroidFile(extentSource(image.source, extents), to, [path], { ...rest, ...workOn(name, rest) })
    extracted.push({ name, path: to, size })
  }
  return extracted
}

/**
 * Expands an Android sparse image as simg2img does, or makes one as img2simg does. The checksums of sparse images are verified first.
 * A super_empty.img becomes the super partition that it describes.
 * @param inputs paths of an image, or of all parts of a sparse one
 * @param output the new file
 * @throws ERR_DDI_USAGE if one of several is no sparse image, or the output is one of them; ERR_DDI_SPARSE_FORMAT, ERR_DDI_SPARSE_CRC,
 *   ERR_DDI_EXISTS, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED, and as `openFile`
 */
export async function convertSparse(
  inputs: readonly [string, ...string[]],
  output: string,
  options: AndroidFileOptions = {},
): Promise<void> {
  checkOptions(options, androidFileOptionNames, 'convertSparse')
  const files: FileSource[] = []
  try {
    for (const one of inputs) files.push(await openFile(one))
    const { source, written } = await joined(files, options)
    const padded = options.sparse ? inBlocks(source) : source
    await writeAndroidFile(padded, output, inputs, options, written)
  } finally {
    for (const file of files) await file.close()
  }
}

/** @param written which bytes of the source to write into a sparse image. Default: all */
async function writeAndroidFile(
  source: Source,
  path: string,
  from: readonly string[],
  { sparse = false, replace = false, dryRun = false, signal, onProgress }: AndroidFileOptions,
  written?: readonly Run[],
): Promise<void> {
  if (dryRun) return await refuseNewFile(path, { replace, from })
  const work = { signal, onProgress }
  await writeNewFile<unknown>(
    path,
    sparse ? 0 : source.size,
    (target) =>
      sparse
        ? encodeSparse(source, target, { ...work, ...(written && { written }) })
        : copy(source, target, { sparse: true, ...work }),
    { replace, from },
  )
}

interface Whole {
  readonly source: Source
  /** What of it is defined; undefined for all. */
  readonly written?: SparseSource['written']
}

async function joined(files: readonly FileSource[], { signal }: Work): Promise<Whole> {
  const [only] = files
  if (files.length === 1 && (await isMetadataImage(only!))) return wholeOf(superOf(await readMetadataImage(only!)))
  if (files.length === 1 && !(await isSparse(only!))) return { source: only! }
  const parts: SparseSource[] = []
  for (const file of files) {
    if (!(await isSparse(file)))
      throw new DdiError(
        'ERR_DDI_USAGE',
        `${file.path} is not an Android sparse image: parts of one are, and the new file comes last`,
      )
    const part = await openSparse(file)
    await part.verify({ signal })
    parts.push(part)
  }
  const [first, ...others] = parts
  return wholeOf(others.length === 0 ? first! : joinSparse([first!, ...others]))
}

function wholeOf(source: Source & Pick<SparseSource, 'written'>): Whole {
  return { source, written: source.written }
}

/** A sparse image has whole blocks: img2simg fills the last one with zeroes, too. */
function inBlocks(source: Source): Source {
  const rest = alignUp(source.size, blockSize) - source.size
  return rest === 0 ? source : concatSources([source, zeroSource(rest)])
}

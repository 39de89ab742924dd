import { extentSource, linear } from '../bytes/extents.js'
import { type FileSource, openFile } from '../bytes/file.js'
import type { Run, Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { nilUuid } from '../uuid.js'
import { bareTreeSource } from './bare-tree.js'
import { type TreeOptions, treeOptionNames } from './format.js'
import { encodeSuperblock, readSuperblock, type Superblock } from './superblock.js'

const { uuid: _, ...parameterNames } = treeOptionNames

/** Where a hash tree lies in its file, and how it was made where no superblock says so: what `formatFile` was told. */
export interface TreeFileOptions extends Omit<TreeOptions, 'uuid'> {
  /** Where the tree begins in its file, in bytes: a multiple of the hash block size. Default: 0. */
  readonly hashOffset?: number
  /** Whether a superblock lies before the tree. Default: true. Without one, the parameters are those of the options, and no salt. */
  readonly superblock?: boolean
  /** Without a superblock: how many bytes of the data the tree covers. Default: all whole blocks. */
  readonly dataSize?: number
}
export const treeFileOptionNames: OptionNames<TreeFileOptions> = {
  ...parameterNames,
  hashOffset: true,
  superblock: true,
  dataSize: true,
}

/** A hash tree in an open file. */
export interface TreeFile extends AsyncDisposable {
  readonly file: FileSource
  readonly superblock: Superblock
  /** Where it lies in the file, in bytes, to the end of that. */
  readonly run: Run
  /** The tree, superblock included, also where that is not stored. */
  readonly source: Source
  close(): Promise<void>
}

/**
 * Opens the file of a hash tree, and reads its superblock.
 * @param options without a superblock, `dataSize` is needed
 * @throws ERR_DDI_USAGE for parameters beside a superblock, or that none could say, and for an offset where no tree can begin;
 *   ERR_DDI_VERITY_SUPERBLOCK, and as {@link openFile}
 */
export async function openTreeFile(path: string, options: TreeFileOptions = {}): Promise<TreeFile> {
  checkOptions(options, treeFileOptionNames, 'openTreeFile')
  const { hashOffset: start = 0 } = options
  const given = options.superblock === false ? superblockGiven(options) : undefined
  if (!given) refuseParameters(options)
  const file = await openFile(path)
  try {
    if (start >= file.size)
      throw new DdiError('ERR_DDI_USAGE', `no tree begins at byte ${start} of ${path}, which has ${file.size} bytes`)
    const run = { start, length: file.size - start }
    const stored = extentSource(file, linear([run]))
    const superblock = given ?? (await readSuperblock(stored))
    // The kernel counts from the beginning of the device, in hash blocks.
    if (start % superblock.hashBlockSize !== 0)
      throw new DdiError(
        'ERR_DDI_USAGE',
        `no tree begins at byte ${start} of ${path}: that is no multiple of its hash block size ${superblock.hashBlockSize}`,
      )
    const close = () => file.close()
    const source = given ? bareTreeSource(given, stored) : stored
    return { file, superblock, run, source, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await file.close()
    throw error
  }
}

function refuseParameters(options: TreeFileOptions): void {
  const { algorithm, salt, dataBlockSize, hashBlockSize, dataSize } = options
  if ([algorithm, salt, dataBlockSize, hashBlockSize, dataSize].some((one) => one !== undefined))
    throw new DdiError(
      'ERR_DDI_USAGE',
      'the superblock says how the tree is made: give parameters only for a tree without one',
    )
}

function superblockGiven(options: TreeFileOptions): Superblock {
  const { algorithm = 'sha256', salt = new Uint8Array(), dataBlockSize = 4096, hashBlockSize = 4096 } = options
  if (options.dataSize === undefined)
    throw new DdiError('ERR_DDI_USAGE', 'a tree without a superblock: say how many bytes it covers')
  const dataBlocks = Math.floor(options.dataSize / dataBlockSize)
  const superblock = { uuid: nilUuid, algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks }
  encodeSuperblock(superblock)
  return superblock
}

import { rm, truncate } from 'node:fs/promises'
import { extentTarget, linear } from '../bytes/extents.js'
import { type FileSource, type FileTarget, openFile } from '../bytes/file.js'
import { alignUp } from '../bytes/runs.js'
import { sliceSource } from '../bytes/slice.js'
import type { Run } from '../bytes/source.js'
import { claimOfFileSystem } from '../disk/claimed-size.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { bareTreeTarget } from '../verity/bare-tree.js'
import { newSuperblock, type TreeOptions, treeOptionNames, writeTree } from '../verity/format.js'
import type { ParityPlace } from '../verity/parity-file.js'
import type { Superblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { type Work, workNames } from '../work.js'
import { refuseBeside, statIfAny, writeBeside } from './beside.js'
import { formatParity, previewParity } from './parity.js'

/** Options of {@link previewFormat}. */
export interface FormatPlaceOptions extends TreeOptions {
  /** How many bytes of the data file count. Default: all. */
  readonly dataSize?: number
  /**
   * Where the tree goes in its file, in bytes: a multiple of the hash block size. What lies before it in the file stays. Default: 0, or
   * behind the data if it is appended.
   */
  readonly hashOffset?: number
  /** Stores the superblock before the tree. Default: true. */
  readonly superblock?: boolean
  /** Writes the parity of error correction too. Default: none. */
  readonly parity?: ParityPlace
  /** Replaces a hash file that exists, and what files or block devices hold where the tree and the parity go. Default: false. */
  readonly replace?: boolean
}

const formatPlaceNames: OptionNames<FormatPlaceOptions> = {
  ...treeOptionNames,
  dataSize: true,
  hashOffset: true,
  superblock: true,
  parity: true,
  replace: true,
}

/** Options of {@link formatFile}. */
export interface FormatFileOptions extends FormatPlaceOptions, Work {}

const formatFileOptionNames: OptionNames<FormatFileOptions> = { ...formatPlaceNames, ...workNames }

/** A hash tree that was made, and its root hash. */
export interface FormattedTree {
  readonly rootHash: Uint8Array
  readonly superblock: Superblock
  /** Where the tree lies in its file, in bytes, with the superblock if that is stored. */
  readonly hash: Run
  /** Where the parity lies in its file; null: there is none. */
  readonly parity: Run | null
}

/**
 * Makes the hash tree of a file or block device: in a new file, on another block device, after the data in the same file, or at an
 * offset in any of these. All that can be refused is refused before anything is written, and a tree whose parity cannot be written is taken
 * back.
 * @param hashPath where the tree goes; null appends it to the data file, at the next multiple of the hash block size
 * @throws ERR_DDI_USAGE for an unknown option, for more bytes than there are, for a file system that ends within a block, and for a tree that would overwrite its data; what `newSuperblock` and `writeTree`
 *   and {@link formatParity} throw; ERR_DDI_EXISTS for a file that exists, or a file or block device that holds data where the tree goes; ERR_DDI_NO_SPACE if one is too small
 */
export async function formatFile(
  dataPath: string,
  hashPath: string | null,
  options: FormatFileOptions = {},
): Promise<FormattedTree> {
  checkOptions(options, formatFileOptionNames, 'formatFile')
  const { parity, replace = false } = options
  if (!parity) return await formatTree(dataPath, hashPath, options)
  await previewFormat(dataPath, hashPath, pickOptions(options, formatPlaceNames))
  const path = hashPath ?? dataPath
  const before = await statIfAny(path)
  const tree = await formatTree(dataPath, hashPath, options)
  try {
    const stored = { ...tree, path, isBare: options.superblock === false }
    const work = pickOptions(options, workNames)
    return { ...tree, parity: await formatParity(dataPath, stored, { ...parity, replace }, work) }
  } catch (error) {
    const now = await statIfAny(path)
    if (!before) await rm(path, { force: true })
    // What was replaced is gone, as was asked for.
    else if (before.isFile() && now?.ino === before.ino) await truncate(path, Number(before.size))
    throw error
  }
}

async function formatTree(
  dataPath: string,
  hashPath: string | null,
  options: FormatFileOptions,
): Promise<FormattedTree> {
  await using place = await placeTree(dataPath, hashPath, options)
  const { data, superblock, run, kept } = place
  const source = sliceSource(data, { start: 0, length: options.dataSize ?? data.size })
  const write = async (file: FileTarget, hash: Run): Promise<FormattedTree> => {
    const stored = extentTarget(file, linear([hash]))
    const tree = options.superblock === false ? bareTreeTarget(superblock, stored) : stored
    const rootHash = await writeTree(superblock, source, tree, pickOptions(options, workNames))
    return { rootHash, superblock, hash, parity: null }
  }
  return await writeBeside(kept, hashPath ?? dataPath, run, { write, replace: options.replace ?? false })
}

/**
 * Says where {@link formatFile} would put a tree, and refuses what it would refuse before it reads the data; nothing is written.
 * @throws as {@link formatFile}
 */
export async function previewFormat(
  dataPath: string,
  hashPath: string | null,
  options: FormatPlaceOptions = {},
): Promise<Omit<FormattedTree, 'rootHash'>> {
  checkOptions(options, formatPlaceNames, 'previewFormat')
  await using place = await placeTree(dataPath, hashPath, options)
  const { superblock, run: hash, kept } = place
  const { parity, replace = false } = options
  const path = hashPath ?? dataPath
  await refuseBeside(kept, path, hash, replace)
  if (!parity) return { superblock, hash, parity: null }
  const stored = { superblock, hash, path, isBare: options.superblock === false }
  return { superblock, hash, parity: await previewParity(dataPath, stored, { ...parity, replace }) }
}

/** The data of a new tree, open until it is disposed of, and where the tree goes. @throws ERR_DDI_USAGE, and as `newSuperblock` */
async function placeTree(dataPath: string, hashPath: string | null, options: FormatPlaceOptions) {
  const { hashBlockSize = 4096, hashOffset } = options
  if (!isOffset(hashOffset ?? 0, hashBlockSize))
    throw new DdiError('ERR_DDI_USAGE', `a tree at byte ${hashOffset}: it begins at a multiple of ${hashBlockSize}`)
  const data = await openFile(dataPath)
  const dispose = () => data.close()
  try {
    const size = options.dataSize ?? data.size
    if (size > data.size)
      throw new DdiError('ERR_DDI_USAGE', `${dataPath} has ${data.size} bytes: a tree cannot cover ${size} of it`)
    const superblock = newSuperblock(size, { ...pickOptions(options, treeOptionNames), hashBlockSize })
    if (options.dataSize === undefined) await requireWholeBlocks(data, superblock)
    const { end, hashStartBlock } = layoutTree(superblock)
    const length = options.superblock === false ? end - hashStartBlock * hashBlockSize : end
    if (hashPath === null && data.kind !== 'file')
      throw new DdiError(
        'ERR_DDI_USAGE',
        `${dataPath} is a block device, to which nothing can be appended: give a file or device for the tree`,
      )
    const start = hashOffset ?? (hashPath === null ? alignUp(data.size, hashBlockSize) : 0)
    const kept = [{ file: data, size: superblock.dataBlocks * superblock.dataBlockSize }]
    return { data, superblock, kept, run: { start, length }, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** A file system that ends within a block would be cut off there: nothing mounts it under its root hash. @throws ERR_DDI_USAGE */
async function requireWholeBlocks(data: FileSource, { dataBlocks, dataBlockSize }: Superblock): Promise<void> {
  const covered = dataBlocks * dataBlockSize
  const claimed = covered < data.size ? ((await claimOfFileSystem(data))?.size ?? 0) : 0
  if (claimed > covered)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${data.path} has ${data.size} bytes, and the last ${data.size - covered} are no whole block of ${dataBlockSize}: a tree would leave out the end of its file system; make its size a multiple of that`,
    )
}

function isOffset(offset: number, unit: number): boolean {
  return Number.isSafeInteger(offset) && offset >= 0 && offset % unit === 0
}

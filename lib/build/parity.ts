import { resolve } from 'node:path'
import { extentTarget, linear } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { zeroSource } from '../bytes/repeat.js'
import { sliceSource } from '../bytes/slice.js'
import type { Run, Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions } from '../options.js'
import { bareTreeSource } from '../verity/bare-tree.js'
import { checkRoots, coveredBlocks, parityLength, writeParity } from '../verity/error-correction.js'
import type { ParityPlace } from '../verity/parity-file.js'
import type { Superblock } from '../verity/superblock.js'
import { type Work, workNames } from '../work.js'
import { refuseBeside, writeBeside } from './beside.js'

/** Where the parity of error correction goes. */
export interface ParityFile extends ParityPlace {
  /** Replaces what the file holds there. */
  readonly replace: boolean
}

/** A tree in a file, and whether its superblock is stored. */
export interface StoredTree {
  readonly superblock: Superblock
  /** Where it lies in its file, in bytes. */
  readonly hash: Run
  readonly path: string
  readonly isBare: boolean
}

/**
 * Writes the parity that dm-verity corrects data and hash blocks by: to a new file, or to an offset in one that exists, which may be that of
 * the data or of the tree.
 * @returns where it lies, in bytes
 * @throws ERR_DDI_USAGE for blocks of two sizes, and for parity over its own data; ERR_DDI_EXISTS, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED
 */
export async function formatParity(
  dataPath: string,
  tree: StoredTree,
  parity: ParityFile,
  work: Work = {},
): Promise<Run> {
  checkOptions(work, workNames, 'formatParity')
  const { path, offset, roots, replace } = parity
  const { superblock, hash } = tree
  const { dataBlocks, dataBlockSize: blockSize } = superblock
  await using data = await openFile(dataPath)
  await using file = await openFile(tree.path)
  const isSame = await isOpen(file.identity, path)
  const stored = sliceSource(file, { start: hash.start, length: (isSame ? offset : file.size) - hash.start })
  const { covered, run } = layOut(data, stored, tree, parity)
  const kept = [
    { file: data, size: dataBlocks * blockSize },
    { file, size: hash.start + hash.length },
  ]
  return await writeBeside(kept, path, run, {
    async write(target) {
      await writeParity(covered, extentTarget(target, linear([run])), { blockSize, roots }, work)
      return run
    },
    replace,
  })
}

/**
 * Says where {@link formatParity} would put the parity of a tree that need not be there yet, and refuses what it would refuse before it
 * reads the data; nothing is written.
 * @throws as {@link formatParity}
 */
export async function previewParity(dataPath: string, tree: StoredTree, parity: ParityFile): Promise<Run> {
  const { path, offset, replace } = parity
  const { superblock, hash } = tree
  await using data = await openFile(dataPath)
  const end = hash.start + hash.length
  const there = await openFile(tree.path).catch(() => undefined)
  const isSame = resolve(path) === resolve(tree.path) || (there !== undefined && (await isOpen(there.identity, path)))
  const size = Math.max(there?.size ?? 0, end)
  await there?.close()
  const { run } = layOut(data, zeroSource(Math.max(0, (isSame ? offset : size) - hash.start)), tree, parity)
  if (isSame && offset < end)
    throw new DdiError('ERR_DDI_USAGE', `this would overwrite its data: ${path} has the tree until byte ${end}`)
  const kept = [{ file: data, size: superblock.dataBlocks * superblock.dataBlockSize }]
  // A file with the tree at its end is longer by then.
  if (!isSame) await refuseBeside(kept, path, run, replace)
  return run
}

/** @param stored the tree, from its first byte on @throws ERR_DDI_USAGE */
function layOut(data: Source, stored: Source, { superblock, isBare }: StoredTree, { offset, roots }: ParityFile) {
  checkRoots(roots)
  const { dataBlockSize: blockSize } = superblock
  if (offset % blockSize !== 0)
    throw new DdiError('ERR_DDI_USAGE', `parity at byte ${offset}: it begins at a multiple of ${blockSize}`)
  const covered = coveredBlocks(superblock, data, isBare ? bareTreeSource(superblock, stored) : stored)
  return { covered, run: { start: offset, length: parityLength(covered, { blockSize, roots }) } }
}

/** Whether a path leads to an open file. */
async function isOpen(identity: string, path: string): Promise<boolean> {
  const file = await openFile(path).catch(() => undefined)
  await file?.close()
  return file?.identity === identity
}

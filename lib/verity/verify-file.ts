import { type FileSource, openFile, openFileForWriting } from '../bytes/file.js'
import { overlaySource } from '../bytes/overlay.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { type Work, workNames, workOn } from '../work.js'
import { type Corrected, correctBlocks } from './error-correction.js'
import { openParityFile, type ParityPlace } from './parity-file.js'
import type { Superblock } from './superblock.js'
import { checkRootHash, checkTreeFits, layoutTree } from './tree.js'
import { openTreeFile, type TreeFile, type TreeFileOptions, treeFileOptionNames } from './tree-file.js'
import { type BadBlocks, verifyTree } from './verify.js'

/** Options of {@link verifyFile}. */
export interface VerifyFileOptions extends TreeFileOptions, Work {
  /** Parity by which blocks that do not match are corrected. Default: none. */
  readonly parity?: ParityPlace
  /** Writes the corrected blocks to the files, if all match the root hash then. Default: false. */
  readonly repair?: boolean
  /** Called for each run of blocks that do not match. */
  readonly onBadBlocks?: (bad: BadBlocks) => void
}
const verifyFileOptionNames: OptionNames<VerifyFileOptions> = {
  ...treeFileOptionNames,
  ...workNames,
  parity: true,
  repair: true,
  onBadBlocks: true,
}

/** What was found of a file and its hash tree. */
export interface VerifiedFile {
  readonly superblock: Superblock
  /** Of the data, in bytes: the tree may cover less. */
  readonly dataSize: number
  /** Null where the top of the tree does not match, so that no block below was compared. */
  readonly badDataBlocks: number | null
  readonly badHashBlocks: number | null
  /** The blocks with which all matches the root hash; null if all does without, or where they cannot be restored. */
  readonly corrected: Corrected | null
}

/**
 * Reads all of a file or block device and its hash tree, on all cores, and names every bad block, as `veritysetup verify` does for the first.
 * @param hashPath file with the tree, which may be the data file
 * @throws ERR_DDI_ROOT_HASH_WRONG, or ERR_DDI_VERITY_SUPERBLOCK, where not even the top of the tree matches and no parity restores it;
 *   ERR_DDI_USAGE, ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_ABORTED; as {@link openTreeFile}. Bad blocks do not make it throw
 */
export async function verifyFile(
  dataPath: string,
  hashPath: string,
  rootHash: Uint8Array,
  options: VerifyFileOptions = {},
): Promise<VerifiedFile> {
  checkOptions(options, verifyFileOptionNames, 'verifyFile')
  const { repair = false, onBadBlocks = () => {} } = options
  if (repair && !options.parity) throw new DdiError('ERR_DDI_USAGE', 'nothing is repaired without parity')
  await using data = await openFile(dataPath)
  await using tree = await openTreeFile(hashPath, treeOptionsFor(data, options))
  checkTreeFits(tree.superblock, data.size, tree.source.size)
  const work = pickOptions(options, workNames)
  const files = { superblock: tree.superblock, data, tree: tree.source, rootHash }
  const found = await compare(files, { ...work, onBadBlocks })
  const facts = { superblock: tree.superblock, dataSize: data.size }
  if (!(found instanceof DdiError) && found.badDataBlocks + found.badHashBlocks === 0)
    return { ...facts, ...found, corrected: null }
  const corrected = options.parity ? await restore(files, options.parity, tree, work) : null
  if (found instanceof DdiError && !corrected) throw found
  if (corrected && repair) await writeBack(corrected, data, tree)
  const counts = found instanceof DdiError ? { badDataBlocks: null, badHashBlocks: null } : found
  return { ...facts, ...counts, corrected }
}

/** The options of a tree, which by default covers all of the data. */
export function treeOptionsFor(data: Source, options: TreeFileOptions): TreeFileOptions {
  const given = pickOptions(options, treeFileOptionNames)
  return options.superblock === false ? { dataSize: data.size, ...given } : given
}

interface Verified {
  readonly superblock: Superblock
  readonly data: Source
  /** Superblock included. */
  readonly tree: Source
  readonly rootHash: Uint8Array
}

/** @returns how many blocks do not match, or what is wrong with the top of the tree */
async function compare(
  { superblock, data, tree, rootHash }: Verified,
  options: Work & { readonly onBadBlocks?: (bad: BadBlocks) => void },
) {
  try {
    await checkRootHash(superblock, data, tree, rootHash)
  } catch (error) {
    const isDamage =
      error instanceof DdiError && ['ERR_DDI_ROOT_HASH_WRONG', 'ERR_DDI_VERITY_SUPERBLOCK'].includes(error.code)
    if (!isDamage) throw error
    return error
  }
  return await verifyTree(superblock, data, tree, options)
}

/** @returns the blocks with which all matches the root hash; null if not all can be restored */
async function restore(verified: Verified, place: ParityPlace, tree: TreeFile, work: Work): Promise<Corrected | null> {
  await using opened = await openParityFile(place, verified.data, tree)
  const { covered, parity, blockSize, roots } = opened
  const corrected = await correctBlocks(covered, parity, { blockSize, roots }, workOn('error correction', work))
  const { dataSize, treeStart } = layoutOf(verified.superblock)
  const writes = [...corrected.blocks].map(([offset, bytes]) => ({ offset, bytes }))
  const inData = writes.filter(({ offset }) => offset < dataSize)
  const inTree = writes
    .filter(({ offset }) => offset >= dataSize)
    .map(({ offset, bytes }) => ({ offset: offset - dataSize + treeStart, bytes }))
  const after = await compare(
    { ...verified, data: overlaySource(verified.data, inData), tree: overlaySource(verified.tree, inTree) },
    work,
  )
  return !(after instanceof DdiError) && after.badDataBlocks + after.badHashBlocks === 0 ? corrected : null
}

/** Where the bytes of the parity lie: it is over the data, and behind that over all from the first hash block on. */
function layoutOf(superblock: Superblock) {
  return {
    dataSize: superblock.dataBlocks * superblock.dataBlockSize,
    treeStart: layoutTree(superblock).hashStartBlock * superblock.hashBlockSize,
  }
}

async function writeBack({ blocks }: Corrected, data: FileSource, tree: TreeFile): Promise<void> {
  const { dataSize, treeStart } = layoutOf(tree.superblock)
  // Where the tree would begin with its superblock: below 0 if that is not stored.
  const start = tree.file.size - tree.source.size
  const places = [...blocks].map(([offset, bytes]) =>
    offset < dataSize
      ? { path: data.path, offset, bytes }
      : { path: tree.file.path, offset: start + treeStart + offset - dataSize, bytes },
  )
  for (const path of new Set(places.map((place) => place.path))) {
    await using file = await openFileForWriting(path)
    for (const place of places) if (place.path === path) await file.write(place.offset, place.bytes)
    await file.flush()
  }
}

import { extentSource } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { alignUp } from '../bytes/runs.js'
import { sliceSource } from '../bytes/slice.js'
import type { Source } from '../bytes/source.js'
import { claimOfFileSystem } from '../disk/claimed-size.js'
import { DdiError } from '../errors.js'
import { appendedPlaces } from '../verity/appended.js'
import { hasSuperblock, readSuperblock, type Superblock } from '../verity/superblock.js'
import { checkRootHash, checkTreeFits } from '../verity/tree.js'
import type { HashTree, UsableVolume } from './dissection.js'
import type { Image } from './open.js'
import { findVeritySideFile } from './root-hash-sources.js'

/** The hash tree in a hash volume. */
export function inVolume({ source }: Image, volume: UsableVolume): HashTree {
  return { kind: 'volume', volume, source: extentSource(source, volume.extents) }
}

/** The hash tree in a file, which stays open as long as the image. @throws as `openFile` */
export async function inFile(image: Image, path: string): Promise<HashTree> {
  const source = await openFile(path)
  image.keepOpen(source)
  return { kind: 'file', path, source }
}

/**
 * The hash tree that no partition holds: in the file beside the image, or behind the data of an image without a table.
 * @param rootHash decides between several that are appended
 */
export async function outsideTable(
  image: Image,
  data: UsableVolume,
  rootHash: Uint8Array,
): Promise<HashTree | undefined> {
  const path = image.path === null ? undefined : await findVeritySideFile(image.path)
  if (path !== undefined) return await inFile(image, path)
  if (image.table.type !== 'none') return undefined
  const trees = await appended(image)
  for (const tree of trees) {
    // Whoever takes one checks it, and says what is wrong with it.
    const isNamed = await checkTree(image, data, tree.source, rootHash).catch(() => undefined)
    if (isNamed) return tree
  }
  return trees[0]
}

/** Where one may begin behind a file system: at the next multiple of one of these. */
const alignments = Array.from({ length: 12 }, (_, n) => 512 * 2 ** n)

/** What may be hash trees appended to their data: behind the file system, or by how long they are if they are the last of the file. */
async function appended({ source }: Image): Promise<readonly HashTree[]> {
  const claimed = (await claimOfFileSystem(source))?.size ?? 0
  const behind = claimed === 0 ? [] : alignments.map((alignment) => alignUp(claimed, alignment))
  const trees: HashTree[] = []
  for (const start of new Set([...behind, ...appendedPlaces(source.size)])) {
    if (start >= source.size) continue
    const tree = sliceSource(source, { start, length: source.size - start })
    if (await hasSuperblock(tree)) trees.push({ kind: 'appended', source: tree })
  }
  return trees
}

/**
 * The superblock of a tree that fits its volume and matches the root hash at its top.
 * @throws ERR_DDI_VERITY_SUPERBLOCK, ERR_DDI_VERITY_ALGORITHM, ERR_DDI_ROOT_HASH_FORMAT, ERR_DDI_ROOT_HASH_WRONG
 */
export async function checkTree(
  image: Image,
  data: UsableVolume,
  hash: Source,
  rootHash: Uint8Array,
): Promise<Superblock> {
  const source = extentSource(image.source, data.extents)
  const superblock = await readSuperblock(hash)
  checkTreeFits(superblock, source.size, hash.size)
  await checkRootHash(superblock, source, hash, rootHash)
  await checkFileSystemFits(image, superblock, source)
  return superblock
}

/** A root hash does not say how much of a volume its tree covers. @throws ERR_DDI_VERITY_SUPERBLOCK if a file system would be cut off */
async function checkFileSystemFits({ name }: Image, superblock: Superblock, data: Source): Promise<void> {
  const covered = superblock.dataBlocks * superblock.dataBlockSize
  const claimed = covered < data.size ? ((await claimOfFileSystem(data))?.size ?? 0) : 0
  if (claimed > covered)
    throw new DdiError(
      'ERR_DDI_VERITY_SUPERBLOCK',
      `${name}: verity superblock: it covers ${covered} bytes of ${data.size}, and the file system in them has ${claimed}: it was changed`,
    )
}

import { equalOctets } from '../bytes/native.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { toHexadecimal } from '../hexadecimal.js'
import { digest } from './digest.js'
import { digestLengths, type Superblock, superblockLength } from './superblock.js'

/** A level of a hash tree. Level 0 holds the digests of the data blocks, the next those of level 0, and so on. */
export interface TreeLevel {
  /** Byte offset in the hash volume. */
  readonly offset: number
  /** In hash blocks. */
  readonly blocks: number
}

/** Where a hash tree lies in its volume. */
export interface TreeLayout {
  /** From the data upwards; empty if a single data block hashes to the root hash itself. */
  readonly levels: readonly TreeLevel[]
  /** Digests in one hash block. */
  readonly digestsPerBlock: number
  /** First hash block after the superblock, as in dm-verity’s table. */
  readonly hashStartBlock: number
  /** Bytes of the hash volume in use, superblock included. */
  readonly end: number
}

/**
 * Lays out the hash tree that a superblock describes (Documentation/admin-guide/device-mapper/verity.rst): the top
 * level comes first in the volume, after the superblock.
 */
export function layoutTree({
  algorithm,
  hashBlockSize,
  dataBlocks,
}: Pick<Superblock, 'algorithm' | 'hashBlockSize' | 'dataBlocks'>): TreeLayout {
  // Digests lie a power of two apart; those of sha256 and sha512 are powers of two themselves.
  const digestsPerBlock = hashBlockSize / digestLengths[algorithm]
  const counts: number[] = []
  for (let blocks = dataBlocks; blocks > 1; ) {
    blocks = Math.ceil(blocks / digestsPerBlock)
    counts.push(blocks)
  }
  const hashStartBlock = Math.ceil(superblockLength / hashBlockSize)
  let offset = hashStartBlock * hashBlockSize
  const levels: TreeLevel[] = []
  for (const blocks of counts.reverse()) {
    levels.unshift({ offset, blocks })
    offset += blocks * hashBlockSize
  }
  return { levels, digestsPerBlock, hashStartBlock, end: offset }
}

/**
 * Refuses a superblock that claims more than its volumes hold.
 * @throws ERR_DDI_VERITY_SUPERBLOCK
 */
export function checkTreeFits(superblock: Superblock, dataSize: number, hashSize: number): void {
  const dataEnd = superblock.dataBlocks * superblock.dataBlockSize
  if (dataEnd > dataSize)
    throw new DdiError(
      'ERR_DDI_VERITY_SUPERBLOCK',
      `verity superblock: it covers ${dataEnd} bytes of data; the data volume has ${dataSize}`,
    )
  const { end } = layoutTree(superblock)
  if (end > hashSize)
    throw new DdiError(
      'ERR_DDI_VERITY_SUPERBLOCK',
      `verity superblock: its hash tree needs ${end} bytes; the hash volume has ${hashSize}`,
    )
}

/**
 * Checks that the top of a hash tree hashes to a root hash. What lies below is checked by dm-verity as it is read, or
 * by `verifyTree` at once.
 * @param rootHash as bytes
 * @throws ERR_DDI_ROOT_HASH_FORMAT if it has another length than the algorithm’s, ERR_DDI_ROOT_HASH_WRONG,
 *   ERR_DDI_VERITY_SUPERBLOCK if the tree has hashes of more blocks than its superblock claims
 */
export async function checkRootHash(
  superblock: Superblock,
  data: Source,
  hash: Source,
  rootHash: Uint8Array,
): Promise<void> {
  const { algorithm, salt, dataBlockSize, hashBlockSize } = superblock
  const expected = digestLengths[algorithm]
  if (rootHash.length !== expected)
    throw new DdiError(
      'ERR_DDI_ROOT_HASH_FORMAT',
      `the root hash has ${rootHash.length} bytes; the hash tree uses ${algorithm}, which has ${expected}`,
    )
  const top = layoutTree(superblock).levels.at(-1)
  const block = top ? await hash.read(top.offset, hashBlockSize) : await data.read(0, dataBlockSize)
  const actual = await digest(algorithm, salt, block)
  if (!equalOctets(actual, rootHash))
    throw new DdiError(
      'ERR_DDI_ROOT_HASH_WRONG',
      `the hash tree hashes to ${toHexadecimal(actual)}, not to the root hash ${toHexadecimal(rootHash)}: ` +
        'this is another image, or it was changed',
    )
  await refuseSurplus(superblock, hash)
}

/**
 * No root hash covers the superblock: one that claims too few blocks would truncate the volume. The tree has hashes of more
 * blocks then, in the place of zeroes.
 */
async function refuseSurplus(superblock: Superblock, hash: Source): Promise<void> {
  const { levels, digestsPerBlock } = layoutTree(superblock)
  const { algorithm, hashBlockSize } = superblock
  for (const [index, { offset, blocks }] of levels.entries()) {
    const hashed = index === 0 ? superblock.dataBlocks : levels[index - 1]!.blocks
    const last = await hash.read(offset + (blocks - 1) * hashBlockSize, hashBlockSize)
    const used = (hashed - (blocks - 1) * digestsPerBlock) * digestLengths[algorithm]
    if (last.subarray(used).some((byte) => byte !== 0))
      throw new DdiError(
        'ERR_DDI_VERITY_SUPERBLOCK',
        `verity superblock: it covers ${superblock.dataBlocks} data blocks, and the hash tree has hashes of more: it was changed`,
      )
  }
}

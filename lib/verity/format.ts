import { randomBytes, randomUUID } from 'node:crypto'
import { addon } from '../../bindings/addon.js'
import type { DescriptorExtents } from '../bytes/file.js'
import type { Target } from '../bytes/source.js'
import { digestLengths, encodeSuperblock, type HashAlgorithm, type Superblock } from './superblock.js'
import { type BlockRun, inRuns } from './tasks.js'
import { layoutTree } from './tree.js'
import { readError } from './verify.js'

export interface TreeOptions {
  /** Default: sha256. */
  readonly algorithm?: HashAlgorithm
  /** At most 256 bytes. Default: 32 random ones. */
  readonly salt?: Uint8Array
  /** In bytes, powers of two from 512. Default: 4096. */
  readonly dataBlockSize?: number
  readonly hashBlockSize?: number
  /** Of the tree. Default: a random one. */
  readonly uuid?: string
}

/**
 * The superblock of a new hash tree over `size` bytes, of which the whole blocks count.
 * @throws ERR_DDI_USAGE for parameters that a superblock cannot have, or where there is not one block
 */
export function newSuperblock(size: number, options: TreeOptions = {}): Superblock {
  const { algorithm = 'sha256', salt = randomBytes(32), dataBlockSize = 4096, hashBlockSize = 4096 } = options
  const dataBlocks = Math.floor(size / dataBlockSize)
  const superblock = { algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks, uuid: options.uuid ?? randomUUID() }
  // What it cannot say is told here, before anybody lays out a tree by it.
  encodeSuperblock(superblock)
  return superblock
}

export interface FormatOptions {
  /** Told how many bytes of how many are hashed. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/**
 * Writes the hash tree of a volume, superblock and all, on all cores, and flushes it. Memory stays bounded whatever the size: each
 * level is read back from where it was written.
 * @param data the volume
 * @param hash where the tree goes: at least `layoutTree(superblock).end` bytes, as a target and by its descriptor
 * @returns the root hash
 * @throws ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED, ERR_DDI_ADDON_MISSING
 */
export async function writeTree(
  superblock: Superblock,
  data: DescriptorExtents,
  hash: Target & DescriptorExtents,
  options: FormatOptions = {},
): Promise<Uint8Array> {
  const { algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const { levels, digestsPerBlock } = layoutTree(superblock)
  const digestLength = digestLengths[algorithm]
  const passes = levels.map((level, index) => {
    const below = index === 0 ? undefined : levels[index - 1]!
    return {
      level,
      volume: below ? hash : data,
      blockSize: below ? hashBlockSize : dataBlockSize,
      offset: below?.offset ?? 0,
      blocks: below?.blocks ?? dataBlocks,
    }
  })
  const total = passes.reduce((sum, { blocks, blockSize }) => sum + blocks * blockSize, 0)
  let done = 0
  const first = new Uint8Array(Math.ceil(512 / hashBlockSize) * hashBlockSize)
  first.set(encodeSuperblock(superblock))
  await hash.write(0, first)
  for (const { level, volume, blockSize, offset, blocks } of passes) {
    const work = (run: BlockRun) =>
      addon().verityDigestBlocks({ algorithm, salt, blocks: volume, blockSize, blocksOffset: offset, ...run })
    const write = async (digests: Uint8Array, run: BlockRun) => {
      const hashBlocks = Math.ceil(run.count / digestsPerBlock)
      // What a hash block has no digests for is zeroes.
      const full = hashBlocks * digestsPerBlock * digestLength === digests.length
      const bytes = full ? digests : Buffer.concat([digests], hashBlocks * hashBlockSize)
      await hash.write(level.offset + (run.first / digestsPerBlock) * hashBlockSize, bytes)
      done += run.count * blockSize
      options.onProgress?.(done, total)
    }
    try {
      await inRuns(blocks, blockSize, digestsPerBlock, work, write, options.signal)
    } catch (error) {
      throw readError(error, volume.path)
    }
  }
  await hash.flush()
  const top = levels.at(-1)
  // A single data block hashes to the root hash itself.
  const digest = { algorithm, salt, blocksOffset: top?.offset ?? 0, first: 0, count: 1 }
  return await addon().verityDigestBlocks({
    ...digest,
    blocks: top ? hash : data,
    blockSize: top ? hashBlockSize : dataBlockSize,
  })
}

import { guardSource } from '../bytes/guard.js'
import { joinOctets } from '../bytes/octets.js'
import type { Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type Work, workNames } from '../work.js'
import { digestBlocks } from './blocks.js'
import { digestLengths, encodeSuperblock, type HashAlgorithm, type Superblock, superblockLength } from './superblock.js'
import { type BlockRun, inRuns } from './tasks.js'
import { layoutTree } from './tree.js'

/** Options of {@link newSuperblock}. */
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
export const treeOptionNames: OptionNames<TreeOptions> = {
  algorithm: true,
  salt: true,
  dataBlockSize: true,
  hashBlockSize: true,
  uuid: true,
}

/**
 * The superblock of a new hash tree over `size` bytes, of which the whole blocks count.
 * @throws ERR_DDI_USAGE for parameters that a superblock cannot have, or if there is not one whole block
 */
export function newSuperblock(size: number, options: TreeOptions = {}): Superblock {
  checkOptions(options, treeOptionNames, 'newSuperblock')
  const {
    algorithm = 'sha256',
    salt = crypto.getRandomValues(new Uint8Array(32)),
    dataBlockSize = 4096,
    hashBlockSize = 4096,
  } = options
  const dataBlocks = Math.floor(size / dataBlockSize)
  if (dataBlocks === 0)
    throw new DdiError('ERR_DDI_USAGE', `a hash tree covers blocks of ${dataBlockSize} bytes: ${size} bytes have none`)
  const superblock = {
    algorithm,
    salt,
    dataBlockSize,
    hashBlockSize,
    dataBlocks,
    uuid: options.uuid ?? crypto.randomUUID(),
  }
  // Refuses what a superblock cannot say, before anybody lays out a tree by it.
  encodeSuperblock(superblock)
  return superblock
}

/**
 * Writes the hash tree of a volume, superblock included, on all cores, and flushes it. Memory stays bounded whatever the size: each
 * level is read back from where it was written.
 * @param data the volume
 * @param hash where the tree goes: at least `layoutTree(superblock).end` bytes
 * @returns the root hash
 * @throws ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED, ERR_DDI_ADDON_MISSING
 */
export async function writeTree(
  superblock: Superblock,
  data: Source,
  hash: Target,
  work: Work = {},
): Promise<Uint8Array> {
  checkOptions(work, workNames, 'writeTree')
  const { signal, onProgress } = work
  const { algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const { levels, digestsPerBlock } = layoutTree(superblock)
  const source = guardSource(data)
  const digestLength = digestLengths[algorithm]
  /** Each level of the tree, over the blocks that it has the digests of. */
  const passes = levels.map((level, index) => {
    const below = levels[index - 1]
    return {
      level,
      count: below?.blocks ?? dataBlocks,
      blocks: below
        ? { source: hash, blockSize: hashBlockSize, offset: below.offset }
        : { source, blockSize: dataBlockSize, offset: 0 },
    }
  })
  const total = passes.reduce((sum, { count, blocks }) => sum + count * blocks.blockSize, 0)
  let done = 0
  const first = new Uint8Array(Math.ceil(superblockLength / hashBlockSize) * hashBlockSize)
  first.set(encodeSuperblock(superblock))
  await hash.write(0, first)
  for (const { level, count, blocks } of passes) {
    const work = (run: BlockRun) => digestBlocks(blocks, run, { algorithm, salt })
    const write = async (digests: Uint8Array, run: BlockRun) => {
      const hashBlocks = Math.ceil(run.count / digestsPerBlock)
      // The rest of a hash block that is not full is zeroes.
      const full = hashBlocks * digestsPerBlock * digestLength === digests.length
      const bytes = full ? digests : joinOctets([digests], hashBlocks * hashBlockSize)
      await hash.write(level.offset + (run.first / digestsPerBlock) * hashBlockSize, bytes)
      done += run.count * blocks.blockSize
      onProgress?.({ done, total })
    }
    await inRuns({ count, blockSize: blocks.blockSize, unit: digestsPerBlock }, work, write, signal)
  }
  await hash.flush()
  const top = levels.at(-1)
  // A single data block hashes to the root hash itself.
  const last = top
    ? { source: hash, blockSize: hashBlockSize, offset: top.offset }
    : { source, blockSize: dataBlockSize, offset: 0 }
  return await digestBlocks(last, { first: 0, count: 1 }, { algorithm, salt })
}

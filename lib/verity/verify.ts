import { guardSource } from '../bytes/guard.js'
import type { Source } from '../bytes/source.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type Work, workNames } from '../work.js'
import { checkBlocks } from './blocks.js'
import type { Superblock } from './superblock.js'
import { type BlockRun, inRuns } from './tasks.js'
import { layoutTree } from './tree.js'

/** Consecutive blocks whose digest is not the one in the level above. */
export interface BadBlocks {
  /** `data`, or the tree’s level (0 is the one right above the data). */
  readonly level: 'data' | number
  /** Number of the first block: of the data volume, or of the hash volume. */
  readonly first: number
  readonly count: number
}

/** Options of {@link verifyTree}. */
export interface VerifyTreeOptions extends Work {
  /** Called with bad blocks as they are found, in ascending order within a level. */
  readonly onBadBlocks?: (bad: BadBlocks) => void
}
const verifyTreeOptionNames: OptionNames<VerifyTreeOptions> = { ...workNames, onBadBlocks: true }

/**
 * Verifies every block of a volume against its hash tree, on all cores, the top of the tree first. The root hash itself
 * has to be checked before, by `checkRootHash`.
 * @param data the volume
 * @param hash the hash volume, superblock included
 * @returns how many blocks of data and of the tree are bad
 * @throws ERR_DDI_ABORTED, ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_ADDON_MISSING
 */
export async function verifyTree(
  superblock: Superblock,
  data: Source,
  hash: Source,
  options: VerifyTreeOptions = {},
): Promise<{ readonly badDataBlocks: number; readonly badHashBlocks: number }> {
  checkOptions(options, verifyTreeOptionNames, 'verifyTree')
  const { algorithm, salt } = superblock
  const passes = verificationPasses(superblock, guardSource(data), guardSource(hash))
  const total = passes.reduce((sum, { count, blocks }) => sum + count * blocks.blockSize, 0)
  let done = 0
  const bad = { badDataBlocks: 0, badHashBlocks: 0 }
  for (const { level, blocks, count, digests } of passes) {
    const check = async (run: BlockRun) => {
      const found = await checkBlocks(blocks, run, digests, { algorithm, salt })
      done += run.count * blocks.blockSize
      options.onProgress?.({ done, total })
      return found
    }
    const report = (numbers: readonly number[]) => {
      if (level === 'data') bad.badDataBlocks += numbers.length
      else bad.badHashBlocks += numbers.length
      for (const { first, count } of runs(numbers))
        options.onBadBlocks?.({ level, first: first + blocks.offset / blocks.blockSize, count })
    }
    await inRuns({ count, blockSize: blocks.blockSize, unit: 1 }, check, report, options.signal)
  }
  return bad
}

/** What to compare with what, from the top of the tree down to the data. */
function verificationPasses(superblock: Superblock, data: Source, hash: Source) {
  const { dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const { levels, digestsPerBlock } = layoutTree(superblock)
  return levels
    .map((parent, level) => {
      const child = level === 0 ? undefined : levels[level - 1]!
      return {
        level: child ? level - 1 : ('data' as const),
        blocks: child
          ? { source: hash, blockSize: hashBlockSize, offset: child.offset }
          : { source: data, blockSize: dataBlockSize, offset: 0 },
        count: child?.blocks ?? dataBlocks,
        digests: { source: hash, blockSize: hashBlockSize, offset: parent.offset, digestsPerBlock },
      }
    })
    .reverse()
}

function* runs(numbers: readonly number[]): Generator<{ first: number; count: number }> {
  let first = numbers[0]
  let count = 0
  for (const number of numbers) {
    if (first !== undefined && number === first + count) {
      count++
      continue
    }
    yield { first: first!, count }
    first = number
    count = 1
  }
  if (count > 0) yield { first: first!, count }
}

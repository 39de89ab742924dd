import { addon } from '../../bindings/addon.js'
import type { DescriptorExtents } from '../bytes/file.js'
import { type DdiError, systemError } from '../errors.js'
import type { Superblock } from './superblock.js'
import { type BlockRun, inRuns } from './tasks.js'
import { layoutTree } from './tree.js'

/** Consecutive blocks whose digest is not what the level above says. */
export interface BadBlocks {
  /** `data`, or the tree’s level (0 is the one right above the data). */
  readonly level: 'data' | number
  /** Number of the first block: of the data volume, or of the hash volume. */
  readonly first: number
  readonly count: number
}

export interface VerifyTreeOptions {
  /** Told of bad blocks as they are found, in ascending order within a level. */
  readonly onBadBlocks?: (bad: BadBlocks) => void
  /** Told how many bytes of how many are done. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/**
 * Verifies every block of a volume against its hash tree, on all cores, the top of the tree first. The root hash itself
 * is `checkRootHash`’s affair, and to be checked before.
 * @returns how many blocks of data and of the tree are bad
 * @throws ERR_DDI_ABORTED, ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_ADDON_MISSING
 */
export async function verifyTree(
  superblock: Superblock,
  data: DescriptorExtents,
  hash: DescriptorExtents,
  options: VerifyTreeOptions = {},
): Promise<{ readonly badDataBlocks: number; readonly badHashBlocks: number }> {
  const { algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const { levels } = layoutTree(superblock)
  const passes = levels
    .map((parent, level) => {
      const child = level === 0 ? undefined : levels[level - 1]!
      return {
        level: child ? level - 1 : ('data' as const),
        volume: child ? hash : data,
        blockSize: child ? hashBlockSize : dataBlockSize,
        offset: child?.offset ?? 0,
        blocks: child?.blocks ?? dataBlocks,
        digestsOffset: parent.offset,
      }
    })
    .reverse()
  const total = passes.reduce((sum, pass) => sum + pass.blocks * pass.blockSize, 0)
  let done = 0
  const bad = { badDataBlocks: 0, badHashBlocks: 0 }

  for (const pass of passes) {
    const check = async (run: BlockRun) => {
      const found = await addon().verityCheckBlocks({
        algorithm,
        salt,
        blocks: pass.volume,
        blockSize: pass.blockSize,
        blocksOffset: pass.offset,
        ...run,
        digests: hash,
        digestBlockSize: hashBlockSize,
        digestsOffset: pass.digestsOffset,
      })
      done += run.count * pass.blockSize
      options.onProgress?.(done, total)
      return found
    }
    const report = (numbers: Float64Array) => {
      if (pass.level === 'data') bad.badDataBlocks += numbers.length
      else bad.badHashBlocks += numbers.length
      for (const { first, count } of runs(numbers))
        options.onBadBlocks?.({ level: pass.level, first: first + pass.offset / pass.blockSize, count })
    }
    try {
      await inRuns(pass.blocks, pass.blockSize, 1, check, report, options.signal)
    } catch (error) {
      throw readError(error, pass.volume.path)
    }
  }
  return bad
}

function* runs(numbers: Float64Array): Generator<{ first: number; count: number }> {
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

/** What a thread of ours could not read, as an error. */
export function readError(error: unknown, path: string): DdiError {
  return systemError(error, `cannot read ${path}`, { ENODATA: 'ERR_DDI_SHORT_READ', EIO: 'ERR_DDI_IO' })
}

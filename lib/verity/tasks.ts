import { BoundedQueue } from '../bounded-queue.js'
import { availableParallelism } from '../bytes/native.js'
import { throwIfAborted } from '../work.js'

/** How much of a volume one task reads. */
const bytesPerTask = 16 * 1024 * 1024

/** A run of blocks, worked on by one thread at a time. */
export interface BlockRun {
  readonly first: number
  readonly count: number
}

/** What is divided into runs. */
export interface DividedBlocks {
  readonly count: number
  /** In bytes. */
  readonly blockSize: number
  /** Runs start on multiples of this many blocks. */
  readonly unit: number
}

/**
 * Works on blocks in runs, as many at once as there are cores; results are taken in order.
 * @throws the first error, when nothing is under way any more: nobody may close a descriptor before that
 */
export async function inRuns<Result>(
  { count, blockSize, unit }: DividedBlocks,
  work: (run: BlockRun) => Promise<Result>,
  take: (result: Result, run: BlockRun) => Promise<void> | void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const step = Math.max(1, Math.floor(bytesPerTask / blockSize / unit)) * unit
  const queue = new BoundedQueue(availableParallelism())
  // Not every browser has `await using`.
  try {
    for (let first = 0; first < count; first += step) {
      throwIfAborted(signal)
      const run = { first, count: Math.min(step, count - first) }
      await queue.add(
        () => work(run),
        (result) => take(result, run),
      )
    }
    await queue.end()
  } finally {
    await queue.drop()
  }
}

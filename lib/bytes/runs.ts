import { DdiError } from '../errors.js'
import { totalLength } from './extents.js'
import type { Run } from './source.js'

/**
 * The parts of a range that no run of `used` covers.
 * @param within the range
 * @param alignment gaps start on multiples of this, in bytes from the beginning of the disk
 * @param unit lengths of gaps are multiples of this, in bytes
 * @returns in the order of the disk
 */
export function gaps(
  within: Run,
  used: readonly Run[],
  { alignment, unit }: { alignment: number; unit: number },
): Run[] {
  const end = within.start + within.length
  const found: Run[] = []
  let at = within.start
  for (const { start, length } of [...[...used].sort((a, b) => a.start - b.start), { start: end, length: 0 }]) {
    const first = alignUp(at, alignment)
    const room = Math.floor((Math.min(start, end) - first) / unit) * unit
    if (room > 0) found.push({ start: first, length: room })
    at = Math.max(at, start + length)
  }
  return found
}

/** The first multiple of `alignment` that is not below `value`. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment
}

/**
 * Chooses space for `size` bytes: the first run that is large enough, else the largest runs first.
 * @param size a multiple of the unit that the lengths of the runs are multiples of
 * @returns parts of the runs, with the runs' other fields
 * @throws ERR_DDI_NO_SPACE, whose message says how much is free
 */
export function allocate<R extends Run>(runs: readonly R[], size: number): R[] {
  const fit = runs.find(({ length }) => length >= size)
  if (fit) return [{ ...fit, length: size }]
  const chosen: R[] = []
  let left = size
  for (const run of [...runs].sort((a, b) => b.length - a.length || a.start - b.start)) {
    if (left === 0) break
    const length = Math.min(run.length, left)
    chosen.push({ ...run, length })
    left -= length
  }
  if (left === 0) return chosen
  const largest = Math.max(0, ...runs.map(({ length }) => length))
  throw new DdiError(
    'ERR_DDI_NO_SPACE',
    `${size} bytes needed, ${totalLength(runs)} free in ${runs.length} ${runs.length === 1 ? 'run' : 'runs'}, the largest of ${largest}`,
    { needed: size, free: totalLength(runs) },
  )
}

/** The indexes of the first two runs that share a byte. */
export function findOverlap(runs: readonly Run[]): readonly [number, number] | undefined {
  const order = runs.map((run, index) => ({ ...run, index })).sort((a, b) => a.start - b.start)
  let last: (typeof order)[number] | undefined
  for (const run of order) {
    if (run.length === 0) continue
    if (last && run.start < last.start + last.length) return [last.index, run.index]
    last = run
  }
  return undefined
}

/** Joins each run that begins in, or right behind, the one before it with that one. */
export function mergeRuns(runs: readonly Run[]): Run[] {
  const merged: Run[] = []
  for (const { start, length } of runs) {
    const last = merged.at(-1)
    if (last && start >= last.start && start <= last.start + last.length)
      merged[merged.length - 1] = { start: last.start, length: Math.max(last.length, start + length - last.start) }
    else merged.push({ start, length })
  }
  return merged
}

/** The parts of runs, which are in order and do not overlap, that lie in a range. */
export function clipRuns(runs: readonly Run[], offset: number, length: number): Run[] {
  const found: Run[] = []
  const end = offset + length
  for (let at = firstEndingAfter(runs, offset); at < runs.length && runs[at]!.start < end; at++) {
    const run = runs[at]!
    const start = Math.max(run.start, offset)
    found.push({ start, length: Math.min(run.start + run.length, end) - start })
  }
  return found
}

function firstEndingAfter(runs: readonly Run[], offset: number): number {
  let [low, high] = [0, runs.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const { start, length } = runs[middle]!
    if (start + length <= offset) low = middle + 1
    else high = middle
  }
  return low
}

import { totalLength } from '../block/extents.js'
import type { Run } from '../block/source.js'
import { DdiError } from '../errors.js'
import type { Gpt } from './table.js'

/** 1 MiB, where partitions start by default. */
export const defaultAlignment = 1024 * 1024
/** What every segment of a volume is a multiple of (docs/extension-partitions.md). */
export const segmentUnit = 4096

/** The free space of a table in runs that start on multiples of `alignment`, in the order of the disk. */
export function freeRuns(table: Gpt, alignment: number = defaultAlignment): Run[] {
  const used = table.partitions
    .map(({ start, length }) => ({ start, end: start + length }))
    .sort((a, b) => a.start - b.start)
  const runs: Run[] = []
  let at = table.usableStart
  for (const { start, end } of [...used, { start: table.usableEnd, end: table.usableEnd }]) {
    const first = Math.ceil(at / alignment) * alignment
    const length = Math.floor((start - first) / segmentUnit) * segmentUnit
    if (length > 0) runs.push({ start: first, length })
    at = Math.max(at, end)
  }
  return runs
}

/**
 * Chooses space for `size` bytes: the first run that is large enough, else the largest runs first.
 * @param size a multiple of {@link segmentUnit}
 * @throws ERR_DDI_NO_SPACE, which says how much is free
 */
export function allocate(runs: readonly Run[], size: number): Run[] {
  const fit = runs.find(({ length }) => length >= size)
  if (fit) return [{ start: fit.start, length: size }]
  const extents: Run[] = []
  let left = size
  for (const { start, length } of [...runs].sort((a, b) => b.length - a.length || a.start - b.start)) {
    if (left === 0) break
    const part = Math.min(length, left)
    extents.push({ start, length: part })
    left -= part
  }
  if (left === 0) return extents
  const free = totalLength(runs)
  const largest = Math.max(0, ...runs.map(({ length }) => length))
  throw new DdiError(
    'ERR_DDI_NO_SPACE',
    `${size} bytes are wanted, and ${free} are free in ${runs.length} runs, the largest of ${largest}`,
  )
}

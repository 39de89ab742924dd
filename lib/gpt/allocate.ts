import { gaps } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import type { Gpt } from './table.js'

/** 1 MiB, where partitions start by default. */
export const defaultAlignment = 1024 * 1024
/** What every segment of a volume is a multiple of (docs/extension-partitions.md). */
export const segmentUnit = 4096

/** The free space of a table in runs that start on multiples of `alignment`, in the order of the disk. */
export function freeRuns(table: Gpt, alignment: number = defaultAlignment): Run[] {
  const { usableStart, usableEnd, partitions } = table
  return gaps({ start: usableStart, length: usableEnd - usableStart }, partitions, { alignment, unit: segmentUnit })
}

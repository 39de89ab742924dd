import { gaps } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import type { Gpt } from '../gpt/table.js'

/** 1 MiB: what partitions start at multiples of by default. */
const defaultAlignment = 1024 * 1024
/** What start and length of every segment are multiples of, in bytes (docs/extension-partitions.md). */
export const segmentUnit = 4096

/** The free space of a table, in disk order, in runs that start at multiples of `alignment` bytes. */
export function freeRuns(table: Gpt, alignment: number = defaultAlignment): Run[] {
  const { usableStart, usableEnd, partitions } = table
  return gaps({ start: usableStart, length: usableEnd - usableStart }, partitions, { alignment, unit: segmentUnit })
}

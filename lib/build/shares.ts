import { alignUp } from '../bytes/runs.js'
import { DdiError } from '../errors.js'

/** How much space a partition, or the padding behind it, needs and may take. In bytes. */
export interface Wish {
  readonly min: number
  readonly max: number
  /** Its share of what is left when all have their minimum. */
  readonly weight: number
}

/** What sizes and starts are multiples of. */
export const grain = 4096

/**
 * Shares out a span: each gets at least its minimum and at most its maximum, and between them what the weights say.
 * @param span in bytes
 * @returns as many sizes, multiples of {@link grain}
 * @throws ERR_DDI_NO_SPACE if the minima alone are more
 */
export function distribute(span: number, wishes: readonly Wish[]): readonly number[] {
  const needed = wishes.reduce((sum, { min }) => sum + min, 0)
  if (needed > span)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `the partitions need at least ${needed} bytes, and there is room for ${span}`,
    )
  const sizes = wishes.map((): number | undefined => undefined)
  for (;;) {
    const open = wishes.flatMap((wish, index) => (sizes[index] === undefined ? [{ ...wish, index }] : []))
    const left = span - sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
    const weights = open.reduce((sum, { weight }) => sum + weight, 0)
    const share = (weight: number) => (weights === 0 ? 0 : alignDown((left * weight) / weights))
    // Those that would get less than their minimum are served first: that takes from all others.
    const poor = open.filter(({ min, weight }) => share(weight) < min)
    const rich = poor.length > 0 ? [] : open.filter(({ max, weight }) => share(weight) > max)
    for (const { index, min } of poor) sizes[index] = min
    for (const { index, max } of rich) sizes[index] = alignDown(max)
    if (poor.length + rich.length > 0) continue
    for (const { index, weight } of open) sizes[index] = share(weight)
    return sizes.map((size) => size!)
  }
}

function alignDown(bytes: number): number {
  return Math.floor(bytes / grain) * grain
}

/** Rounds up to whole grains. */
export function wholeGrains(bytes: number): number {
  return alignUp(bytes, grain)
}

/** A scale from 0 to `size`, drawn over `width` columns or units. */
export interface Scale {
  readonly size: number
  readonly width: number
}

/**
 * Where a scale has ticks: at multiples of a power of two, far enough apart for their labels.
 * @param gap least distance of two ticks, in units of the width
 * @returns values, ascending from 0
 */
export function ticks({ size, width }: Scale, gap: number): number[] {
  if (size <= 0) return [0]
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, (size * gap) / width)))
  return Array.from({ length: Math.floor(size / step) + 1 }, (_, n) => n * step)
}

/** The column of a tick, that behind the last one included. */
export function columnOf({ size, width }: Scale, at: number): number {
  return Math.round((at / size) * width)
}

/** Which columns a piece covers: at least one, and none beyond the scale. @returns the first, and the one behind the last */
export function columnsOf({ size, width }: Scale, start: number, length: number): readonly [number, number] {
  const from = Math.min(width - 1, columnOf({ size, width }, start))
  const to = Math.min(width, columnOf({ size, width }, start + length))
  return [from, Math.max(from + 1, to)]
}

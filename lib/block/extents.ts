import { DdiError } from '../errors.js'
import type { Extent, Source } from './source.js'

/** Extents of a base, one after the other, as one source. */
export function extentSource(base: Source, extents: readonly Extent[]): Source {
  const size = extents.reduce((sum, extent) => sum + extent.length, 0)
  return {
    size,
    async read(offset, length) {
      if (offset + length > size)
        throw new DdiError(
          'ERR_DDI_SHORT_READ',
          `bytes ${offset} to ${offset + length} of a volume of ${size} asked for`,
        )
      const parts: Uint8Array[] = []
      for (const extent of sliceExtents(extents, offset, length))
        parts.push(await base.read(extent.start, extent.length))
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length)
    },
  }
}

/** The extents of the base that hold `length` bytes from byte `offset` of what `extents` make up. */
export function sliceExtents(extents: readonly Extent[], offset: number, length: number): Extent[] {
  const slices: Extent[] = []
  let skip = offset
  let left = length
  for (const extent of extents) {
    if (left === 0) break
    if (skip >= extent.length) {
      skip -= extent.length
      continue
    }
    const part = Math.min(left, extent.length - skip)
    slices.push({ start: extent.start + skip, length: part })
    left -= part
    skip = 0
  }
  return slices
}

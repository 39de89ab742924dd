import type { Extent } from '../bytes/source.js'

/** The extents of a volume in JSON: `start` in bytes from the start of the disk, null for zeroes that are not stored. */
export function describeExtents(extents: readonly Extent[]) {
  return extents.map((extent) => ({ start: extent.kind === 'zero' ? null : extent.start, length: extent.length }))
}

export function segmentCount(count: number): string {
  return `${count} ${count === 1 ? 'segment' : 'segments'}`
}

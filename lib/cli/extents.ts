import type { Extent, ExtentOf, Run } from '../bytes/source.js'

/**
 * Extents in JSON, of one shape wherever they are of.
 * @param devices names of the bases, where there are several
 */
export function describeExtents(
  extents: readonly (Extent | ExtentOf<number> | ExtentOf<string>)[],
  devices: readonly string[] = [],
) {
  return extents.map((extent) =>
    extent.kind === 'zero'
      ? { device: null, start: null, length: extent.length }
      : { ...describeRun(extent), device: 'base' in extent ? nameOf(extent.base, devices) : null },
  )
}

export function describeRun({ start, length }: Run) {
  return { device: null, start, length }
}

function nameOf(base: number | string, devices: readonly string[]): string {
  return typeof base === 'string' ? base : devices[base]!
}

import { DdiError } from '../errors.js'
import type { Extent, LinearExtent, Run, Source, Target, ZeroExtent } from './source.js'

/** Runs of a base as extents. */
export function linear(runs: readonly Run[]): LinearExtent[] {
  return runs.map(({ start, length }) => ({ kind: 'linear', start, length }))
}

export function totalLength(pieces: readonly { readonly length: number }[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** Extents of a base, one after the other, as one source. */
export function extentSource(base: Source, extents: readonly Extent[]): Source {
  const size = totalLength(extents)
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
        parts.push(
          extent.kind === 'zero' ? new Uint8Array(extent.length) : await base.read(extent.start, extent.length),
        )
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length)
    },
  }
}

/** The same for writing. */
export function extentTarget(base: Target, extents: readonly LinearExtent[]): Target {
  return {
    ...extentSource(base, extents),
    async write(offset, bytes) {
      let done = 0
      for (const { start, length } of sliceExtents(extents, offset, bytes.length)) {
        await base.write(start, bytes.subarray(done, done + length))
        done += length
      }
    },
    flush: () => base.flush(),
  }
}

/** The extents of the base that hold `length` bytes from byte `offset` of what `extents` make up. */
export function sliceExtents<E extends Extent>(extents: readonly E[], offset: number, length: number): E[] {
  const slices: E[] = []
  let skip = offset
  let left = length
  for (const extent of extents) {
    if (left === 0) break
    if (skip >= extent.length) {
      skip -= extent.length
      continue
    }
    const part = Math.min(left, extent.length - skip)
    slices.push(
      extent.kind === 'zero' ? { ...extent, length: part } : { ...extent, start: extent.start + skip, length: part },
    )
    left -= part
    skip = 0
  }
  return slices
}

/** What lies in a volume, as extents of the volume’s own base. */
export function composeExtents(outer: readonly Extent[], inner: readonly Extent[]): Extent[] {
  return inner.flatMap((extent) =>
    extent.kind === 'zero' ? [extent] : sliceExtents(outer, extent.start, extent.length),
  )
}

/** A piece of a volume over several bases: of which one it is a run, or zeroes. */
export type BaseExtent<Base> = (LinearExtent & { readonly base: Base }) | ZeroExtent

/**
 * Says of which base each extent is, where bases lie one behind the other; cut where one ends.
 * @param sizes of the bases, in bytes
 */
export function splitByBase(extents: readonly Extent[], sizes: readonly number[]): BaseExtent<number>[] {
  return extents.flatMap((extent): BaseExtent<number>[] => {
    if (extent.kind === 'zero') return [extent]
    let before = 0
    return sizes.flatMap((size, base) => {
      const from = Math.max(extent.start, before)
      const to = Math.min(extent.start + extent.length, before + size)
      const start = from - before
      before += size
      return from < to ? [{ kind: 'linear' as const, base, start, length: to - from }] : []
    })
  })
}

/** Sources one behind the other as one. */
export function joinSources(sources: readonly Source[]): Source {
  if (sources.length === 1) return sources[0]!
  const size = sources.reduce((sum, source) => sum + source.size, 0)
  return {
    size,
    async read(offset, length) {
      const parts: Uint8Array[] = []
      let start = 0
      for (const source of sources) {
        const from = Math.max(offset, start)
        const to = Math.min(offset + length, start + source.size)
        if (from < to) parts.push(await source.read(from - start, to - from))
        start += source.size
      }
      const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
      if (bytes.length !== length)
        throw new DdiError('ERR_DDI_SHORT_READ', `bytes ${offset} to ${offset + length} of ${size} asked for`)
      return bytes
    },
  }
}

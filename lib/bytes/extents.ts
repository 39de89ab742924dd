import { concatSources, firstAfter } from './concat.js'
import { zeroSource } from './repeat.js'
import { sliceSource } from './slice.js'
import { checkRange, type Extent, type LinearExtent, type Run, type Source, type Target } from './source.js'

/** Runs of a base as extents. */
export function linear(runs: readonly Run[]): LinearExtent[] {
  return runs.map(({ start, length }) => ({ kind: 'linear', start, length }))
}

export function totalLength(pieces: readonly { readonly length: number }[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** Extents of a base, one after the other, as one source. */
export function extentSource(base: Source, extents: readonly Extent[]): Source {
  return concatSources(
    extents.map((extent) => (extent.kind === 'zero' ? zeroSource(extent.length) : sliceSource(base, extent))),
  )
}

/** The same for writing. */
export function extentTarget(base: Target, extents: readonly LinearExtent[]): Target {
  const source = extentSource(base, extents)
  return {
    size: source.size,
    read: (offset, length) => source.read(offset, length),
    where: (offset, length) => source.where?.(offset, length),
    async write(offset, bytes) {
      let done = 0
      for (const { start, length } of sliceExtents(extents, offset, bytes.length)) {
        await base.write(start, bytes.subarray(done, done + length))
        done += length
      }
    },
    async punch(offset, length) {
      if (!base.punch) return false
      for (const run of sliceExtents(extents, offset, length))
        if (!(await base.punch(run.start, run.length))) return false
      return true
    },
    announce: async (length) => await base.announce?.(length),
    flush: () => base.flush(),
  }
}

/** The extents of the base that hold `length` bytes from byte `offset` of what `extents` make up. */
export function sliceExtents<E extends Extent>(extents: readonly E[], offset: number, length: number): E[] {
  const slices: E[] = []
  const ends = endsOf(extents)
  let index = firstAfter(ends, offset)
  let skip = offset - (index === 0 ? 0 : ends[index - 1]!)
  let left = length
  for (; left > 0 && index < extents.length; index++) {
    const extent = extents[index]!
    const part = Math.min(left, extent.length - skip)
    slices.push(
      extent.kind === 'zero' ? { ...extent, length: part } : { ...extent, start: extent.start + skip, length: part },
    )
    left -= part
    skip = 0
  }
  return slices
}

const knownEnds = new WeakMap<readonly Extent[], Float64Array>()

/** Where each extent ends; a list is gone through once, however often it is sliced. */
function endsOf(extents: readonly Extent[]): Float64Array {
  const known = knownEnds.get(extents)
  if (known) return known
  const ends = new Float64Array(extents.length)
  let end = 0
  for (const [index, { length }] of extents.entries()) {
    end += length
    ends[index] = end
  }
  knownEnds.set(extents, ends)
  return ends
}

/** What lies in a volume, as extents of the volume’s own base. @throws ERR_DDI_SHORT_READ if it lies beyond its end */
export function composeExtents(outer: readonly Extent[], inner: readonly Extent[]): Extent[] {
  const size = endsOf(outer).at(-1) ?? 0
  return inner.flatMap((extent) => {
    if (extent.kind === 'zero') return [extent]
    checkRange(size, extent.start, extent.length)
    return sliceExtents(outer, extent.start, extent.length)
  })
}

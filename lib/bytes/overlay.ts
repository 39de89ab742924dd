import { clipRuns, mergeRuns } from './runs.js'
import { checkRange, type Run, type Source, type Target } from './source.js'

/** A source as it will be when some bytes of it have been written, one piece after the other. */
export function overlaySource(
  base: Source,
  writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Source {
  return {
    size: base.size,
    async read(offset, length) {
      const read = Uint8Array.from(await base.read(offset, length))
      for (const write of writes) {
        const start = Math.max(offset, write.offset)
        const end = Math.min(offset + length, write.offset + write.bytes.length)
        if (start < end) read.set(write.bytes.subarray(start - write.offset, end - write.offset), start - offset)
      }
      return read
    },
  }
}

/** A base that stays as it is, with what is written over it. */
export interface Overlay extends Target {
  /** What was written, in order. */
  readonly written: readonly Run[]
}

/** @param store takes what is written, each byte at its place */
export function overlayTarget(base: Source, store: Target): Overlay {
  let written: readonly Run[] = []
  return {
    size: base.size,
    get written() {
      return written
    },
    async read(offset, length) {
      const bytes = Uint8Array.from(await base.read(offset, length))
      for (const run of clipRuns(written, offset, length))
        bytes.set(await store.read(run.start, run.length), run.start - offset)
      return bytes
    },
    async write(offset, bytes) {
      await store.write(offset, bytes)
      const run = { start: offset, length: bytes.length }
      written = mergeRuns([...written, run].sort((a, b) => a.start - b.start))
    },
    // What is below stays, whatever becomes of the store.
    flush: async () => {},
  }
}

/** A base that stays as it is: what is written over it is kept in memory, piece by piece, and gone with it. */
export function memoryOverlay(base: Source): Target {
  const writes: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  return {
    ...overlaySource(base, writes),
    async write(offset, bytes) {
      checkRange(base.size, offset, bytes.length)
      writes.push({ offset, bytes: Uint8Array.from(bytes) })
    },
    flush: async () => {},
  }
}

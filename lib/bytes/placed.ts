import type { Source } from './source.js'

/** A source somewhere in a larger one. */
export interface Placed {
  /** In bytes. */
  readonly start: number
  readonly source: Source
}

/** Sources at their places, and zeroes between them. @param placed in order, none on another */
export function placedSource(size: number, placed: readonly Placed[]): Source {
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length)
      for (const { start, source } of placed) {
        const from = Math.max(offset, start)
        const to = Math.min(offset + length, start + source.size)
        if (from < to) bytes.set(await source.read(from - start, to - from), from - offset)
      }
      return bytes
    },
  }
}

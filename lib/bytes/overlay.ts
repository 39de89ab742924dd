import type { Source } from './source.js'

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

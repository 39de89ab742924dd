import { checkRange, type Source } from './source.js'

/** Bytes in memory as a source; they are not copied. */
export function memorySource(bytes: Uint8Array): Source {
  return {
    size: bytes.length,
    async read(offset, length) {
      checkRange(bytes.length, offset, length)
      return bytes.subarray(offset, offset + length)
    },
  }
}

/** A source whose first and last `length` bytes are read at most once: for many small reads there. */
export function withEndsInMemory(source: Source, length: number): Source {
  const { size } = source
  const part = Math.min(length, size)
  const ends = [0, size - part].map((start): { start: number; bytes?: Promise<Uint8Array> } => ({ start }))
  return {
    size,
    async read(offset, wanted) {
      const end = ends.find(({ start }) => offset >= start && offset + wanted <= start + part)
      if (!end) return await source.read(offset, wanted)
      end.bytes ??= source.read(end.start, part)
      return (await end.bytes).subarray(offset - end.start, offset - end.start + wanted)
    },
  }
}

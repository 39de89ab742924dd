import { checkRange, type FileExtent, type Source } from './source.js'

/** Zeroes, which nothing stores. @param size in bytes */
export function zeroSource(size: number): Source {
  return repeatSource(0, size)
}

/** A 32-bit word, little-endian, over and over. @param size in bytes */
export function repeatSource(word: number, size: number): Source {
  return new Repetition(word, size)
}

class Repetition implements Source {
  readonly #word: number

  constructor(
    word: number,
    readonly size: number,
  ) {
    this.#word = word
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length)
    const bytes = Buffer.alloc(length)
    if (this.#word === 0) return bytes
    const word = Buffer.alloc(4)
    word.writeUInt32LE(this.#word)
    // The repetition begins with the byte that the offset falls on.
    return bytes.fill(Buffer.concat([word.subarray(offset % 4), word.subarray(0, offset % 4)]))
  }

  where(offset: number, length: number): readonly FileExtent[] | undefined {
    checkRange(this.size, offset, length)
    return this.#word === 0 ? [{ kind: 'zero', length }] : undefined
  }
}

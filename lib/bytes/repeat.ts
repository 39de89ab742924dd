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
    const bytes = new Uint8Array(length)
    if (this.#word === 0) return bytes
    // The repetition begins with the byte that the offset falls on.
    for (let at = 0; at < Math.min(4, length); at++) bytes[at] = this.#word >>> (8 * ((offset + at) % 4))
    for (let done = 4; done < length; done *= 2) bytes.copyWithin(done, 0, done)
    return bytes
  }

  where(offset: number, length: number): readonly FileExtent[] | undefined {
    checkRange(this.size, offset, length)
    return this.#word === 0 ? [{ kind: 'zero', length }] : undefined
  }
}

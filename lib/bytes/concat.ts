import { checkRange, type FileExtent, type Source } from './source.js'

/** Sources one after the other, as one. A read touches only the parts that it overlaps. */
export function concatSources(parts: readonly Source[]): Source {
  return parts.length === 1 ? parts[0]! : new Concatenation(parts)
}

/** A range of one of the parts. */
interface Piece {
  readonly part: Source
  readonly offset: number
  readonly length: number
}

class Concatenation implements Source {
  readonly #parts: readonly Source[]
  /** Where each part ends. */
  readonly #ends: Float64Array
  readonly size: number

  constructor(parts: readonly Source[]) {
    this.#parts = parts
    this.#ends = new Float64Array(parts.length)
    let end = 0
    for (const [index, { size }] of parts.entries()) {
      end += size
      this.#ends[index] = end
    }
    this.size = end
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length)
    const pieces = [...this.#pieces(offset, length)]
    const [first, second] = pieces
    if (!first) return new Uint8Array()
    if (!second) return await first.part.read(first.offset, first.length)
    const bytes = new Uint8Array(length)
    let at = 0
    for (const { part, offset, length } of pieces) {
      bytes.set(await part.read(offset, length), at)
      at += length
    }
    return bytes
  }

  where(offset: number, length: number): readonly FileExtent[] | undefined {
    checkRange(this.size, offset, length)
    const extents: FileExtent[] = []
    for (const { part, offset: within, length: size } of this.#pieces(offset, length)) {
      const found = part.where?.(within, size)
      if (!found) return undefined
      extents.push(...found)
    }
    return extents
  }

  *#pieces(offset: number, length: number): Generator<Piece> {
    const end = offset + length
    for (let index = firstAfter(this.#ends, offset), at = offset; at < end; index++) {
      const partEnd = this.#ends[index]!
      const part = this.#parts[index]!
      const to = Math.min(end, partEnd)
      if (to > at) yield { part, offset: at - (partEnd - part.size), length: to - at }
      at = Math.max(at, to)
    }
  }
}

/** Index of the first part that ends after a byte. @param ends where each part ends, ascending */
export function firstAfter(ends: Float64Array, offset: number): number {
  let low = 0
  let high = ends.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ends[middle]! <= offset) low = middle + 1
    else high = middle
  }
  return low
}

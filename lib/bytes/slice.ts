import { checkRange, type FileExtent, type Run, type Source } from './source.js'

/** A run of a source, as a source. */
export function sliceSource(base: Source, { start, length }: Run): Source {
  return start === 0 && length === base.size ? base : new Slice(base, start, length)
}

// A class, not an object of closures: an Android sparse image is a million of them.
class Slice implements Source {
  readonly #base: Source
  readonly #start: number

  constructor(
    base: Source,
    start: number,
    readonly size: number,
  ) {
    this.#base = base
    this.#start = start
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length)
    return await this.#base.read(this.#start + offset, length)
  }

  where(offset: number, length: number): readonly FileExtent[] | undefined {
    checkRange(this.size, offset, length)
    return this.#base.where?.(this.#start + offset, length)
  }
}

import { DdiError } from '../errors.js'
import { checkRange, type FileExtent, type Source, type Target } from './source.js'

/**
 * A source from outside of this library, held to the contract of {@link Source}: what it returns goes to parsers, and to native
 * code that trusts its type.
 * @throws ERR_DDI_USAGE if its size is not a whole number of bytes; reading throws ERR_DDI_SHORT_READ for fewer bytes than
 *   requested, and ERR_DDI_USAGE for anything else than a Uint8Array of them
 */
export function guardSource(source: Source): Source {
  if (source instanceof Guarded) return source
  const { size } = source
  if (!Number.isSafeInteger(size) || size < 0)
    throw new DdiError('ERR_DDI_USAGE', `a source has a size of ${String(size)}: a whole number of bytes is needed`)
  return new Guarded(source, size)
}

class Guarded implements Source {
  readonly #source: Source

  constructor(
    source: Source,
    readonly size: number,
  ) {
    this.#source = source
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length)
    const bytes: unknown = await this.#source.read(offset, length)
    if (!(bytes instanceof Uint8Array) || bytes.length > length)
      throw new DdiError('ERR_DDI_USAGE', `a source did not answer a read of ${length} bytes with a Uint8Array of them`)
    if (bytes.length < length)
      throw new DdiError(
        'ERR_DDI_SHORT_READ',
        `a source has only ${bytes.length} of ${length} bytes at byte ${offset}, though its size is ${this.size}`,
      )
    return bytes
  }

  where(offset: number, length: number): readonly FileExtent[] | undefined {
    checkRange(this.size, offset, length)
    const extents = this.#source.where?.(offset, length)
    if (!extents) return undefined
    const total = extents.reduce((sum, extent) => sum + extent.length, 0)
    const isPlaced = extents.every(
      (extent) =>
        extent.kind === 'zero' || (Number.isSafeInteger(extent.start) && extent.start >= 0 && extent.base.fd >= 0),
    )
    if (total !== length || !isPlaced)
      throw new DdiError('ERR_DDI_USAGE', `a source says that ${length} of its bytes lie where they cannot`)
    return extents
  }
}

/** A target whose every change waits for something that may refuse it. @param before takes the length of the change, in bytes */
export function guardTarget(target: Target, before: (length: number) => Promise<void>): Target {
  return {
    size: target.size,
    read: (offset, length) => target.read(offset, length),
    where: (offset, length) => target.where?.(offset, length),
    async write(offset, bytes) {
      await before(bytes.length)
      await target.write(offset, bytes)
    },
    async punch(offset, length) {
      await before(length)
      return (await target.punch?.(offset, length)) ?? false
    },
    async announce(length) {
      await before(length)
      await target.announce?.(length)
    },
    flush: () => target.flush(),
  }
}

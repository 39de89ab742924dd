import { DdiError } from '../errors.js'

/**
 * Random access to a stretch of bytes: a file, a block device, memory, or a combination of other sources. The files of
 * this room and of the formats each make one; whatever takes an image takes any.
 */
export interface Source {
  /** In bytes. */
  readonly size: number
  /**
   * Reads exactly `length` bytes from byte `offset`. The caller keeps `offset + length` within `size`.
   * @throws ERR_DDI_SHORT_READ if the bytes end before, ERR_DDI_IO if they cannot be read
   */
  read(offset: number, length: number): Promise<Uint8Array>
  /**
   * Where bytes lie in open files, for whoever hashes, probes or maps them in place. Absent, or undefined for a range, if
   * the bytes lie in no file as they are: then they can only be read.
   */
  where?(offset: number, length: number): readonly FileExtent[] | undefined
}

/** A run of bytes of a base: both in bytes, `start` from the beginning of the base. */
export interface Run {
  readonly start: number
  readonly length: number
}

/** A piece of a volume: a run of its base, or as many zeroes, which nothing stores. */
export type Extent = LinearExtent | ZeroExtent

/** A run of a base. */
export interface LinearExtent extends Run {
  readonly kind: 'linear'
}

/** Zeroes, which nothing stores. */
export interface ZeroExtent {
  readonly kind: 'zero'
  /** In bytes. */
  readonly length: number
}

/** An extent that says which base it is a run of. */
export type ExtentOf<Base> = (LinearExtent & { readonly base: Base }) | ZeroExtent

/** What {@link Source.where} answers: runs of open files, and zeroes. */
export type FileExtent = ExtentOf<OpenedFile>

/** A file or block device that is open; the descriptor lives as long as the source that names it. */
export interface OpenedFile {
  readonly path: string
  readonly fd: number
  readonly kind: 'file' | 'block-device'
  /** In bytes. */
  readonly size: number
  /** Tells it from any other file that `path` may lead to later. */
  readonly identity: string
}

/** A source that can be written. */
export interface Target extends Source {
  /** Writes all of `bytes` at byte `offset`. @throws ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_PERMISSION */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /**
   * Makes a range read as zeroes, without storing them; false if it cannot, and nothing has changed then.
   * @throws as `write`
   */
  punch?(offset: number, length: number): Promise<boolean>
  /** To be called before so many bytes are written past it, to where it says that it lies. @throws as `write` */
  announce?(length: number): Promise<void>
  /** Returns when everything written before is on the medium. */
  flush(): Promise<void>
}

/** Where a range of a source lies in open files; undefined if it can only be read. Default: all of it. */
export function locate(source: Source, offset = 0, length = source.size - offset): readonly FileExtent[] | undefined {
  return source.where?.(offset, length)
}

/** @throws ERR_DDI_SHORT_READ if a range goes beyond a source of `size` bytes */
export function checkRange(size: number, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > size)
    throw new DdiError('ERR_DDI_SHORT_READ', `bytes ${offset} to ${offset + length} requested of only ${size}`)
}

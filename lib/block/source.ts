/** Random access to a run of bytes: a file, a block device, memory, or extents of another source. */
export interface Source {
  /** In bytes. */
  readonly size: number
  /**
   * Reads exactly `length` bytes from byte `offset`. The caller keeps `offset + length` within `size`.
   * @throws ERR_DDI_SHORT_READ where the bytes end before, ERR_DDI_IO where they cannot be read
   */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** A run of bytes of a base: both in bytes, `start` from the beginning of the base. */
export interface Run {
  readonly start: number
  readonly length: number
}

/** A piece of a volume: a run of its base, or as many zeroes, which nothing stores. */
export type Extent = LinearExtent | ZeroExtent

export interface LinearExtent extends Run {
  readonly kind: 'linear'
}

export interface ZeroExtent {
  readonly kind: 'zero'
  /** In bytes. */
  readonly length: number
}

/** A source that can be written. */
export interface Target extends Source {
  /** Writes all of `bytes` at byte `offset`. @throws ERR_DDI_IO, ERR_DDI_PERMISSION */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Returns when everything written before is on the medium. */
  flush(): Promise<void>
}

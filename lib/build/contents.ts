// What partitions hold.
import { sliceSource } from '../bytes/slice.js'
import type { Source } from '../bytes/source.js'
import type { NewFileSystem } from './file-system.js'

export type Contents = Bytes | PendingFileSystem | PendingStream

/** Contents as they will be in the image. */
export type Bytes = { readonly kind: 'none' } | FileContents

/** The partition begins with bytes of a file; the rest is zeroes. */
export interface FileContents {
  readonly kind: 'file'
  readonly path: string
  /** Where in the file they begin, in bytes. Default: 0. */
  readonly start?: number
  /** In bytes. */
  readonly size: number
  /** Made by this build, which may do with it what it likes. */
  readonly isTemporary: boolean
}

/** A file system as large as its partition, made when that has its size. */
export interface PendingFileSystem {
  readonly kind: 'file-system'
  readonly fileSystem: NewFileSystem
  /** How much its contents are expected to take, in bytes. */
  readonly needed: number
}

/** Bytes without an end, such as those of /dev/urandom: as many as the partition has room for. */
export interface PendingStream {
  readonly kind: 'stream'
  /** Of the device. */
  readonly path: string
}

/** The bytes that a partition begins with. @param file that of the contents */
export function sourceOf({ start = 0, size }: FileContents, file: Source): Source {
  return sliceSource(file, { start, length: size })
}

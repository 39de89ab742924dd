import type { Batch } from './batches.js'

/** What identifies one state of a file at its place, for resuming. */
export type Validator = string

export interface FileState {
  /** Of the whole file, in bytes; null if the server does not say. */
  readonly size: number | null
  /** Null if the server gives none. */
  readonly validator: Validator | null
}

/** A file, as its next bytes come. */
export interface Download extends FileState {
  /** The first byte that comes: 0, although a later one was requested, if the file is another one than before. */
  readonly start: number
  /** From `start` to the end; broken connections are resumed. */
  readonly bytes: AsyncIterable<Batch>
}

/** What is here of a file. */
export interface Beginning extends FileState {
  /** Whether a known SHA-256 decides at the end if all bytes are those of the file. */
  readonly verified: boolean
  /** The first byte that is missing. */
  readonly from: number
  /** Whether it is a page for people, which an image is not. Default: false */
  readonly page?: boolean
}

/** Where bytes come from: local files and HTTP servers. */
export interface Transport extends AsyncDisposable {
  /**
   * Begins a download.
   * @param after what is here of the file, if it is still the same. Default: nothing
   * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_FORBIDDEN, ERR_DDI_PULL_RESPONSE, ERR_DDI_PULL_REDIRECT, ERR_DDI_PULL_BROKEN, ERR_DDI_ABORTED,
   *   ERR_DDI_PULL_CHANGED if the server cannot continue, ERR_DDI_USAGE for other schemes
   */
  download(url: URL, after?: Beginning): Promise<Download>
  /** Whether there is such a file. @throws as `download` */
  has(url: URL): Promise<boolean>
  /**
   * A small file, whole; undefined if there is none.
   * @param page whether it may be a page for people. Default: false
   * @throws as `download`; ERR_DDI_PULL_RESPONSE if it has more than `most` bytes
   */
  read(url: URL, most: number, page?: boolean): Promise<Uint8Array | undefined>
}

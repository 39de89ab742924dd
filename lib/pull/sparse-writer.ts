import { fdatasync } from 'node:fs'
import { promisify } from 'node:util'
import { addon } from '../../bindings/addon.js'
import { BoundedQueue } from '../bounded-queue.js'
import { systemError } from '../errors.js'
import { type Batch, isZeroBatch, lengthOf, zeroBatch } from './batches.js'

const flush = promisify(fdatasync)

/** How much is flushed at once, in bytes: if all were flushed at the end, the disk would be idle until then. */
const flushSize = 32 * 1024 * 1024

/** Writes a stream to a new file beside the caller; pages of zeroes become holes. The file is always a prefix of the stream. */
export class SparseWriter {
  readonly #fd: number
  readonly #path: string
  readonly #writing = new BoundedQueue(4)
  readonly #flushing = new BoundedQueue(1)
  #position: number
  #flushed: number

  /** @param start where the stream begins in the file, in bytes */
  constructor(fd: number, path: string, start: number) {
    this.#fd = fd
    this.#path = path
    this.#position = start
    this.#flushed = start
  }

  /**
   * @param batch must not change until it is written
   * @param kept keeps it in the page cache, to be read again; if not, it is dropped from there when it is flushed
   * @param done called when it is written
   * @throws ERR_DDI_NO_SPACE, ERR_DDI_IO, for this batch or an earlier one
   */
  async write(batch: Batch, kept: boolean, done?: () => void): Promise<void> {
    const position = this.#position
    const length = lengthOf(batch)
    this.#position += length
    // Of a hole, the last byte makes the file as long.
    const [chunks, at] = isZeroBatch(batch) ? [zeroBatch(1), position + length - 1] : [batch, position]
    await this.#writing.addStep(async () => {
      await orWriteError(this.#path, addon().writeSparse(this.#fd, this.#path, chunks, at))
      done?.()
      const start = this.#flushed
      const due = position + length - start
      if (due < flushSize) return
      this.#flushed += due
      await this.#flushing.addStep(async () => {
        await orWriteError(this.#path, flush(this.#fd))
        if (!kept) await orWriteError(this.#path, addon().dropCached(this.#fd, this.#path, start, due))
      })
    })
  }

  /** Waits until everything is written; the file must stay open until then. @throws as `write` */
  async end(): Promise<void> {
    try {
      await this.#writing.end()
    } finally {
      // The kernel reports an error of a file once: to one of these flushes, or to that of the caller.
      await this.#flushing.end()
    }
  }
}

/** Waits for a change of a file. @throws ERR_DDI_NO_SPACE, ERR_DDI_IO, ERR_DDI_PERMISSION, ERR_DDI_KERNEL */
export async function orWriteError(path: string, change: Promise<void>): Promise<void> {
  await change.catch((error: unknown) => {
    throw systemError(error, `cannot write ${path}`)
  })
}

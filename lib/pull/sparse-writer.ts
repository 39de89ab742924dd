import { fdatasync } from 'node:fs'
import { promisify } from 'node:util'
import { addon } from '../../bindings/addon.js'
import { BoundedQueue } from '../bounded-queue.js'
import { writeErrors } from '../bytes/file.js'
import { systemError } from '../errors.js'
import { type Batch, lengthOf } from './batches.js'

const flush = promisify(fdatasync)

/** So much is flushed at once, in bytes: a flush of everything at the end would keep the disk idle until then, and all else after. */
const flushSize = 32 * 1024 * 1024

/** Writes a stream to a new file beside the caller; pages of zeroes become holes. What is in the file is always a beginning of the stream. */
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
   * @param batch stays as it is until it is written
   * @param kept stays in memory, to be read again; else it leaves that when it is flushed: the machine has other uses for it
   * @param done called when it is written
   * @throws ERR_DDI_NO_SPACE, ERR_DDI_IO, for this or an earlier one
   */
  async write(batch: Batch, kept: boolean, done?: () => void): Promise<void> {
    const position = this.#position
    const length = lengthOf(batch)
    this.#position += length
    await this.#writing.addStep(async () => {
      await this.#told(addon().writeSparse(this.#fd, this.#path, batch, position))
      done?.()
      const start = this.#flushed
      const due = position + length - start
      if (due < flushSize) return
      this.#flushed += due
      await this.#flushing.addStep(async () => {
        await this.#told(flush(this.#fd))
        if (!kept) await this.#told(addon().dropCached(this.#fd, this.#path, start, due))
      })
    })
  }

  /** Waits until all is written; before that the file may not be closed. @throws as `write` */
  async end(): Promise<void> {
    try {
      await this.#writing.end()
    } finally {
      // The kernel tells an error of a file once: to a flush of ours, or to that of the caller.
      await this.#flushing.end()
    }
  }

  async #told(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => {
      throw systemError(error, `cannot write ${this.#path}`, writeErrors)
    })
  }
}

import { addon } from '../../bindings/addon.js'
import { BoundedQueue } from '../bounded-queue.js'
import type { Batch } from './batches.js'

/** The SHA-256 of a stream, computed beside the caller on another thread. */
export class StreamHash implements AsyncDisposable {
  readonly #state = addon().sha256Begin()
  readonly #queue = new BoundedQueue(4)

  /** @param batch must not change any more */
  async add(batch: Batch): Promise<void> {
    await this.#queue.addStep(() => addon().sha256Update(this.#state, batch))
  }

  /** Of all that was added, in hexadecimal. */
  async digest(): Promise<string> {
    await this.#queue.end()
    return Buffer.from(addon().sha256Digest(this.#state)).toString('hex')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]()
  }
}

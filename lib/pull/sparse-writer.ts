import { addon } from '../../bindings/addon.js'
import { writeErrors } from '../block/file.js'
import { systemError } from '../errors.js'
import { Lane } from './lane.js'

/** Writes a stream to a new file beside the caller; pages of zeroes become holes. What is in the file is always a beginning of the stream. */
export class SparseWriter {
  readonly #fd: number
  readonly #path: string
  readonly #lane = new Lane(4)
  #position: number

  /** @param start where the stream begins in the file, in bytes */
  constructor(fd: number, path: string, start: number) {
    this.#fd = fd
    this.#path = path
    this.#position = start
  }

  /**
   * @param chunks stay as they are until they are written
   * @param writeBack they will be flushed: the kernel may begin to
   * @param done called when they are written
   * @throws ERR_DDI_NO_SPACE, ERR_DDI_IO, for these or earlier ones
   */
  async write(chunks: readonly Uint8Array[], writeBack: boolean, done?: () => void): Promise<void> {
    const position = this.#position
    for (const chunk of chunks) this.#position += chunk.length
    await this.#lane.run(async () => {
      try {
        await addon().writeSparse(this.#fd, this.#path, chunks, position, writeBack)
        done?.()
      } catch (error) {
        throw systemError(error, `cannot write ${this.#path}`, writeErrors)
      }
    })
  }

  /** Waits until all is written. @throws as `write` */
  async end(): Promise<void> {
    await this.#lane.end()
  }
}

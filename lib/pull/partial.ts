import { constants } from 'node:fs'
import { type FileHandle, lstat, readFile, rm } from 'node:fs/promises'
import { addon } from '../../bindings/addon.js'
import { DdiError, systemError } from '../errors.js'
import { type Batch, lengthOf } from './batches.js'
import { createOwn, isOwn, openCarefully, writeOwn } from './own-file.js'
import { isUsable, type PartialState, pathBeside, readState } from './partial-state.js'
import { orWriteError, SparseWriter } from './sparse-writer.js'
import type { FileState } from './transport.js'

const readSize = 1024 * 1024

/** What is here of a download, in a locked file beside its destination. */
export interface PartialDownload extends AsyncDisposable {
  readonly path: string
  readonly file: FileHandle
  readonly received: number
  /** What the received bytes belong to; what cannot be recognized is not kept, and `received` is 0. */
  readonly state: FileState
  /** Whether the file has to have the same SHA-256 as when they came. */
  readonly isOfSameHash: boolean
  /** The path of something else that belongs to this download, and that only it uses. */
  beside(ending: string): string
  /** The bytes that were here when it was opened. */
  stored(): AsyncIterable<Batch>
  /** @param kept see {@link SparseWriter.write} @throws ERR_DDI_NO_SPACE, ERR_DDI_IO */
  append(batch: Batch, kept: boolean): Promise<void>
  /** Waits until everything that was appended is in the file. */
  settle(): Promise<void>
  /** Drops all bytes. */
  restart(): Promise<void>
  /** Stores what the bytes that come from now on belong to. */
  remember(state: FileState): Promise<void>
  /** Removes the file. */
  discard(): Promise<void>
}

/**
 * @param path what is being pulled
 * @param sha256 that the file has to have, if that is known
 * @throws ERR_DDI_BUSY if another process pulls to the same path, ERR_DDI_PERMISSION, ERR_DDI_NO_SPACE
 */
export async function openPartial(path: string, url: URL, sha256: string | undefined): Promise<PartialDownload> {
  const base = pathBeside(path, url)
  const file = await lockPartial(`${base}.partial`)
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    const { size } = await file.stat()
    const remembered = size > 0 ? await readState(`${base}.state`) : null
    const usable = remembered !== null && isUsable(remembered, sha256, boot) ? remembered : null
    // Bytes of an unknown file are useless. The last one is requested again: the answer says whether the file is still the same.
    const most = usable?.size ?? size + 1
    const received = usable === null || size > most ? 0 : Math.min(size, most - 1)
    await file.truncate(received)
    return new LockedPartial({ base, sha256, file, received, boot, earlier: usable })
  } catch (error) {
    await file.close()
    throw systemError(error, `cannot resume ${base}.partial`)
  }
}

interface Opened {
  readonly base: string
  readonly sha256: string | undefined
  readonly file: FileHandle
  readonly received: number
  readonly boot: string
  readonly earlier: PartialState | null
}

class LockedPartial implements PartialDownload {
  readonly #opened: Opened
  readonly path: string
  readonly state: FileState
  #received: number
  #stored: number
  #writer: SparseWriter

  constructor(opened: Opened) {
    this.#opened = opened
    this.path = this.beside('partial')
    const { size = null, validator = null } = opened.earlier ?? {}
    this.state = { size, validator }
    this.#received = opened.received
    this.#stored = opened.received
    this.#writer = new SparseWriter(opened.file.fd, this.path, opened.received)
  }

  get file(): FileHandle {
    return this.#opened.file
  }

  get isOfSameHash(): boolean {
    const { sha256, earlier } = this.#opened
    return sha256 !== undefined && earlier?.sha256 === sha256
  }

  get received(): number {
    return this.#received
  }

  beside(ending: string): string {
    return `${this.#opened.base}.${ending}`
  }

  async *stored(): AsyncGenerator<Batch> {
    for (let at = 0; at < this.#stored; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(readSize, this.#stored - at))
      const { bytesRead } = await this.file.read(chunk, 0, chunk.length, at).catch((error: unknown) => {
        throw systemError(error, `cannot read ${this.path}`)
      })
      if (bytesRead === 0) return
      yield [chunk.subarray(0, bytesRead)]
      at += bytesRead
    }
  }

  async append(batch: Batch, kept: boolean): Promise<void> {
    this.#received += lengthOf(batch)
    await this.#writer.write(batch, kept)
  }

  async settle(): Promise<void> {
    await this.#writer.end()
  }

  async restart(): Promise<void> {
    await orWriteError(this.path, this.file.truncate(0))
    this.#writer = new SparseWriter(this.file.fd, this.path, 0)
    this.#received = 0
    this.#stored = 0
  }

  async remember({ size, validator }: FileState): Promise<void> {
    const { sha256, boot, earlier } = this.#opened
    const path = this.beside('state')
    if (validator === null && sha256 === undefined) return await orWriteError(this.path, rm(path, { force: true }))
    const since = this.#received > 0 && earlier !== null ? earlier.boot : boot
    await orWriteError(path, writeOwn(path, JSON.stringify({ size, validator, sha256, boot: since })))
  }

  async discard(): Promise<void> {
    for (const ending of ['partial', 'state']) await orWriteError(this.path, rm(this.beside(ending), { force: true }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.end().catch(() => {
      // The disk may be full: then fewer bytes count.
    })
    try {
      // An empty file is nothing to resume.
      if ((await this.file.stat()).size === 0) await this.discard()
    } finally {
      await this.file.close()
    }
  }
}

/** How often a name is tried that others give to something else all the time. */
const mostAttempts = 100

/**
 * Opens and locks the file. The process that had it before may have given it its final name, and then it is another file. What is not
 * ours makes room: only its name is removed.
 */
async function lockPartial(path: string): Promise<FileHandle> {
  try {
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const made = await createOwn(path)
      const file = made ?? (await openCarefully(path, constants.O_RDWR))
      if (!file) {
        await rm(path, { force: true })
        continue
      }
      if (await isTaken(file, path, made !== undefined)) return file
      await file.close()
    }
  } catch (error) {
    throw systemError(error, `cannot write ${path}`)
  }
  throw new DdiError('ERR_DDI_BUSY', `${path} is replaced all the time`)
}

/** Locks an open file. @returns whether it is the one of that name, and ours; closes it if an error is thrown */
async function isTaken(file: FileHandle, path: string, isNew: boolean): Promise<boolean> {
  try {
    await addon()
      .lockExclusively(file.fd, path)
      .catch((error: unknown) => {
        throw systemError(error, `another process pulls to ${path}`, { EAGAIN: 'ERR_DDI_BUSY' })
      })
    const [own, there] = [await file.stat(), await lstat(path).catch(() => undefined)]
    if (there?.ino !== own.ino || there.dev !== own.dev) return false
    // A new file is ours, even where a file system gives all files one owner and one mode.
    if (isNew || isOwn(own)) return true
    await rm(path)
    return false
  } catch (error) {
    await file.close()
    throw error
  }
}

import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { addon } from '../../bindings/addon.js'
import { writeErrors } from '../bytes/file.js'
import { systemError } from '../errors.js'
import { type Batch, lengthOf } from './batches.js'
import type { Validator } from './remote.js'
import { SparseWriter } from './sparse-writer.js'

const readSize = 1024 * 1024

/** What is there of a download, beside where it goes, and locked. */
export interface PartialDownload extends AsyncDisposable {
  readonly path: string
  readonly file: FileHandle
  readonly received: number
  /** The path of something else that belongs to this download, and is as much ours alone. */
  beside(ending: string): string
  /** What the received bytes are of; null where they cannot be trusted to be of anything, and are none then. */
  readonly validator: Validator | null
  /** The bytes that were there when it was opened. */
  stored(): AsyncIterable<Batch>
  /** @param kept as {@link SparseWriter.write} has it @throws ERR_DDI_NO_SPACE, ERR_DDI_IO */
  append(batch: Batch, kept: boolean): Promise<void>
  /** Waits until all that was appended is in the file. */
  settle(): Promise<void>
  restart(): Promise<void>
  remember(validator: Validator | null): Promise<void>
  discard(): Promise<void>
}

/**
 * @param path what is being pulled
 * @param verified whether all bytes will be: if not, those that a power cut may have taken are not taken up
 * @throws ERR_DDI_BUSY where another process pulls to the same path
 */
export async function openPartial(path: string, url: URL, verified: boolean): Promise<PartialDownload> {
  const mark = createHash('sha256').update(url.href).digest('hex').slice(0, 16)
  const base = join(dirname(path), `.${basename(path)}.${mark}`)
  const beside = (ending: string) => `${base}.${ending}`
  const [download, state] = [beside('partial'), beside('state')]
  const file = await lockPartial(download)
  let received = (await file.stat()).size
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  const remembered = received > 0 ? await readState(state) : null
  const known = remembered !== null && (verified || remembered.boot === boot) ? remembered.validator : null
  // Without knowing of which file they are, bytes are worth nothing.
  if (known === null) received = 0
  await file.truncate(received)
  let before = received
  let writer = new SparseWriter(file.fd, download, received)
  const discard = async () => {
    for (const name of [download, state]) await rm(name, { force: true })
  }
  return {
    path: download,
    file,
    beside,
    get received() {
      return received
    },
    validator: known,
    async *stored() {
      for (let at = 0; at < before; ) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(readSize, before - at))
        const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
        if (bytesRead === 0) return
        yield [chunk.subarray(0, bytesRead)]
        at += bytesRead
      }
    },
    async append(batch, kept) {
      received += lengthOf(batch)
      await writer.write(batch, kept)
    },
    settle: () => writer.end(),
    async restart() {
      await file.truncate(0)
      writer = new SparseWriter(file.fd, download, 0)
      received = 0
      before = 0
    },
    async remember(validator) {
      if (validator === null) await rm(state, { force: true })
      else {
        const since = received > 0 && remembered !== null ? remembered.boot : boot
        await writeFile(state, JSON.stringify({ url: url.href, validator, boot: since }))
      }
    },
    discard,
    async [Symbol.asyncDispose]() {
      await writer.end().catch(() => {
        // The disk may be full: then less of it counts.
      })
      // Nothing is nothing to take up.
      if ((await file.stat()).size === 0) await discard()
      await file.close()
    },
  }
}

/** Opens the file for us alone. Who had it before may have given it its name, and it is another file then. */
async function lockPartial(path: string): Promise<FileHandle> {
  for (;;) {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o644).catch(
      (error: unknown) => {
        throw systemError(error, `cannot write ${path}`, writeErrors)
      },
    )
    try {
      await addon().lockExclusively(file.fd, path)
      const [own, there] = [await file.stat(), await stat(path).catch(() => undefined)]
      if (there?.ino === own.ino && there.dev === own.dev) return file
      await file.close()
    } catch (error) {
      await file.close()
      throw systemError(error, `another process pulls to ${path}`, { EAGAIN: 'ERR_DDI_BUSY' })
    }
  }
}

async function readState(path: string): Promise<{ readonly validator: Validator; readonly boot: unknown } | null> {
  try {
    const { validator, boot } = JSON.parse(await readFile(path, 'utf8')) as { validator?: unknown; boot?: unknown }
    return typeof validator === 'string' ? { validator, boot } : null
  } catch {
    // Missing, or torn by a power cut: then it is begun again.
    return null
  }
}

import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, readFile, rm } from 'node:fs/promises'
import { addon } from '../../bindings/addon.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import type { FileExtent, OpenedFile, Source, Target } from './source.js'

/** A regular file or block device, open for reading. */
export interface FileSource extends Source, OpenedFile, AsyncDisposable {
  where(offset: number, length: number): readonly FileExtent[]
  close(): Promise<void>
}

/**
 * Opens an image file or block device for reading.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND (directory, FIFO, …), ERR_DDI_IMAGE_EMPTY
 */
export async function openFile(path: string): Promise<FileSource> {
  return await openChecked(path, constants.O_RDONLY)
}

/** A regular file or block device, open for writing, and locked against others who ask. */
export interface FileTarget extends FileSource, Target {
  where(offset: number, length: number): readonly FileExtent[]
  /** Cuts a regular file, or appends a hole to it. @param size in bytes */
  truncate(size: number): Promise<void>
}

/**
 * Opens an image file or block device for reading and writing, exclusively: a block device that is mounted, held by
 * device-mapper or open exclusively elsewhere is refused, and so is a file that another process has locked.
 * @param options `exclusive: false` if it is known who holds the device
 * @throws as {@link openFile}, and ERR_DDI_BUSY
 */
export async function openFileForWriting(
  path: string,
  { exclusive = true }: { readonly exclusive?: boolean } = {},
): Promise<FileTarget> {
  const file = await openChecked(path, constants.O_RDWR | (exclusive ? constants.O_EXCL : 0))
  try {
    await addon().lockExclusively(file.fd, path)
    return file
  } catch (error) {
    await file.close()
    throw systemError(error, `cannot lock ${path}: another process is changing it`, { EAGAIN: 'ERR_DDI_BUSY' })
  }
}

/**
 * Turns a file into a larger one that has its bytes at `start`, without copying them.
 * @param path of a file that nobody needs any longer
 * @param start where its bytes go, in bytes
 * @param size of the larger file, in bytes
 * @returns undefined if the file system cannot; the file is unchanged then
 */
export async function growAround(path: string, start: number, size: number): Promise<FileTarget | undefined> {
  const handle = await open(path, 'r+')
  try {
    if (start > 0) await addon().insertRange(handle.fd, path, 0, start)
    await handle.truncate(size)
    return new OpenFile(path, handle, 'file', size, await identify(handle))
  } catch (error) {
    await handle.close()
    if (['ENOTSUP', 'EINVAL', 'ENOSYS'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot grow ${path}`)
  }
}

/**
 * Creates a file, a hole of `size` bytes, for reading and writing.
 * @throws ERR_DDI_EXISTS, ERR_DDI_NOT_FOUND for its directory, ERR_DDI_NO_SPACE, ERR_DDI_PERMISSION
 */
export async function createFile(path: string, size: number): Promise<FileTarget> {
  const what = `cannot create ${path}`
  const handle = await open(path, 'wx+', 0o666).catch((error: unknown) => {
    throw systemError(error, what, {
      EEXIST: 'ERR_DDI_EXISTS',
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
    })
  })
  try {
    await handle.truncate(size)
    return new OpenFile(path, handle, 'file', size, await identify(handle))
  } catch (error) {
    await handle.close()
    await rm(path, { force: true })
    throw systemError(error, what)
  }
}

async function openChecked(path: string, flags: number): Promise<OpenFile> {
  let handle: FileHandle
  try {
    // Non-blocking: opening a FIFO without a writer would wait for one.
    handle = await open(path, flags | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    throw systemError(error, `cannot open ${path}`, {
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
      ENXIO: 'ERR_DDI_IMAGE_KIND',
      EISDIR: 'ERR_DDI_IMAGE_KIND',
      EBUSY: 'ERR_DDI_BUSY',
    })
  }
  try {
    const stats = await handle.stat()
    const kind = kindOf(stats)
    if (kind === undefined)
      throw new DdiError(
        'ERR_DDI_IMAGE_KIND',
        `${path} is ${describeKind(stats)}: an image is a regular file or a block device`,
      )
    const size = kind === 'file' ? stats.size : await blockDeviceSize(stats.rdev, path)
    if (size === 0) throw new DdiError('ERR_DDI_IMAGE_EMPTY', `${path} is empty: was it ever written?`)
    return new OpenFile(path, handle, kind, size, await identify(handle))
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** What tells an open file or block device from any other, whatever its path leads to by now. */
export async function identify(handle: FileHandle): Promise<string> {
  const stats = await handle.stat({ bigint: true })
  if (!stats.isBlockDevice()) return `file ${stats.dev}:${stats.ino}`
  const number = deviceNumber(stats.rdev)
  return `device ${number}${await diskSequence(number)}`
}

/** Which of the disks that had a number, one after the other, has it now: of a partition, its disk. Since Linux 5.15. */
async function diskSequence(number: string): Promise<string> {
  const directory = `/sys/dev/block/${number}`
  for (const path of [`${directory}/diskseq`, `${directory}/../diskseq`]) {
    const sequence = await readFile(path, 'utf8').catch(() => undefined)
    if (sequence !== undefined) return ` ${sequence.trim()}`
  }
  return ''
}

class OpenFile implements FileTarget {
  readonly #handle: FileHandle

  constructor(
    readonly path: string,
    handle: FileHandle,
    readonly kind: FileSource['kind'],
    readonly size: number,
    readonly identity: string,
  ) {
    this.#handle = handle
  }

  get fd(): number {
    // -1 once it is closed, which must not reach native code.
    if (this.#handle.fd < 0) throw new DdiError('ERR_DDI_USAGE', `${this.path} is closed`)
    return this.#handle.fd
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    for (let done = 0; done < length; ) {
      let bytesRead: number
      try {
        bytesRead = (await this.#handle.read(bytes, done, length - done, offset + done)).bytesRead
      } catch (error) {
        throw systemError(error, `cannot read ${this.path} at byte ${offset + done}`)
      }
      if (bytesRead === 0)
        throw new DdiError(
          'ERR_DDI_SHORT_READ',
          `${this.path} ends at byte ${offset + done}; it had ${this.size} bytes when it was opened: it was truncated since`,
        )
      done += bytesRead
    }
    return bytes
  }

  where(offset: number, length: number): readonly FileExtent[] {
    // No check against `size`: a target may have grown by what was written to it.
    return [{ kind: 'linear', base: this, start: offset, length }]
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      try {
        done += (await this.#handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
      } catch (error) {
        throw systemError(error, `cannot write ${this.path} at byte ${offset + done}`)
      }
    }
  }

  async punch(offset: number, length: number): Promise<boolean> {
    try {
      await addon().punchHole(this.fd, this.path, offset, length)
      return true
    } catch (error) {
      if (['ENOTSUP', 'EINVAL', 'ENOSYS'].includes(systemCode(error) ?? '')) return false
      throw systemError(error, `cannot write ${this.path} at byte ${offset}`)
    }
  }

  async flush(): Promise<void> {
    try {
      await this.#handle.sync()
    } catch (error) {
      throw systemError(error, `cannot flush ${this.path}`)
    }
  }

  async truncate(size: number): Promise<void> {
    try {
      await this.#handle.truncate(size)
    } catch (error) {
      throw systemError(error, `cannot truncate ${this.path}`)
    }
  }

  async close(): Promise<void> {
    if (this.#handle.fd >= 0) await this.#handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function kindOf(stats: Stats): FileSource['kind'] | undefined {
  if (stats.isFile()) return 'file'
  return stats.isBlockDevice() ? 'block-device' : undefined
}

/** What something is that is no regular file. */
export function describeKind(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory'
  if (stats.isBlockDevice()) return 'a block device'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isCharacterDevice()) return 'a character device'
  return stats.isSocket() ? 'a socket' : 'neither a file nor a device'
}

/** The `major:minor` of a device number, as sysfs and device-mapper tables write it (glibc's gnu_dev_major). */
export function deviceNumber(rdev: number | bigint): string {
  const value = BigInt(rdev)
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

async function blockDeviceSize(rdev: number, path: string): Promise<number> {
  try {
    // sysfs counts in 512-byte sectors, whatever the device's sector size.
    return Number(await readFile(`/sys/dev/block/${deviceNumber(rdev)}/size`, 'utf8')) * 512
  } catch (error) {
    throw systemError(error, `cannot determine the size of ${path}`)
  }
}

import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { DdiError, systemError } from '../errors.js'
import type { Source } from './source.js'

/** A regular file or block device, open for reading. */
export interface FileSource extends Source, AsyncDisposable {
  readonly path: string
  readonly fd: number
  readonly kind: 'file' | 'block-device'
  close(): Promise<void>
}

/**
 * Opens an image file or block device for reading.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND (directory, FIFO, …), ERR_DDI_IMAGE_EMPTY
 */
export async function openFile(path: string): Promise<FileSource> {
  let handle: FileHandle
  try {
    // Non-blocking, or a FIFO without a writer would keep us here for ever.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    throw systemError(error, `cannot open ${path}`, {
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
      ENXIO: 'ERR_DDI_IMAGE_KIND',
    })
  }
  try {
    const stats = await handle.stat()
    const kind = kindOf(stats)
    if (kind === undefined)
      throw new DdiError('ERR_DDI_IMAGE_KIND', `${path} is ${describe(stats)}: an image is a file or a block device`)
    const size = kind === 'file' ? stats.size : await blockDeviceSize(stats.rdev, path)
    if (size === 0) throw new DdiError('ERR_DDI_IMAGE_EMPTY', `${path} is empty: was it ever written?`)
    return new OpenFile(path, handle, kind, size)
  } catch (error) {
    await handle.close()
    throw error
  }
}

class OpenFile implements FileSource {
  readonly #handle: FileHandle

  constructor(
    readonly path: string,
    handle: FileHandle,
    readonly kind: FileSource['kind'],
    readonly size: number,
  ) {
    this.#handle = handle
  }

  get fd(): number {
    return this.#handle.fd
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    for (let done = 0; done < length; ) {
      let bytesRead: number
      try {
        bytesRead = (await this.#handle.read(bytes, done, length - done, offset + done)).bytesRead
      } catch (error) {
        throw systemError(error, `cannot read ${this.path} at byte ${offset + done}`, { EIO: 'ERR_DDI_IO' })
      }
      if (bytesRead === 0)
        throw new DdiError(
          'ERR_DDI_SHORT_READ',
          `${this.path} ends at byte ${offset + done}, and had ${this.size} when it was opened: it was cut meanwhile`,
        )
      done += bytesRead
    }
    return bytes
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

function describe(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isCharacterDevice()) return 'a character device'
  return stats.isSocket() ? 'a socket' : 'neither file nor device'
}

/** The `major:minor` of a device number, as sysfs and device-mapper tables write it (glibc's gnu_dev_major). */
export function deviceNumber(rdev: number): string {
  const value = BigInt(rdev)
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

async function blockDeviceSize(rdev: number, path: string): Promise<number> {
  try {
    // sysfs counts in 512-byte sectors whatever the device's own are.
    return Number(await readFile(`/sys/dev/block/${deviceNumber(rdev)}/size`, 'utf8')) * 512
  } catch (error) {
    throw systemError(error, `cannot learn the size of ${path}`)
  }
}

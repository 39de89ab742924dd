import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { DdiError, systemCode, systemError } from '../errors.js'

/** Keys, certificates, definitions, credentials and root hashes are small; this is the limit of cryptsetup for key files. */
export const largestSmallFile = 8 * 1024 * 1024

const codes = { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND', EISDIR: 'ERR_DDI_FILE_KIND' } as const

/**
 * Reads all of a small regular file, and waits for nobody: whoever may name or replace it decides neither how long we
 * read nor how much memory that takes.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IO, and ERR_DDI_FILE_KIND if it is no regular file or has more
 *   than 8 MiB
 */
export async function readSmallFile(path: string): Promise<Buffer> {
  let handle: FileHandle
  try {
    // Opening a FIFO would wait for a writer, a terminal would become ours.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    throw systemError(error, `cannot read ${path}`, { ...codes, ENXIO: 'ERR_DDI_FILE_KIND' })
  }
  try {
    if (!(await handle.stat()).isFile()) throw new DdiError('ERR_DDI_FILE_KIND', `${path} is not a regular file`)
    return await readBounded(path, handle.createReadStream({ autoClose: false }))
  } catch (error) {
    throw systemError(error, `cannot read ${path}`, codes)
  } finally {
    await handle.close()
  }
}

/**
 * All that comes from a stream that should be short.
 * @param path where it comes from, for the error
 * @throws ERR_DDI_FILE_KIND if it has more than 8 MiB, and what the stream throws
 */
export async function readBounded(path: string, chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const read: Buffer[] = []
  let length = 0
  for await (const chunk of chunks) {
    read.push(chunk)
    length += chunk.length
    if (length > largestSmallFile)
      throw new DdiError('ERR_DDI_FILE_KIND', `${path} has more than ${largestSmallFile} bytes: is it the right file?`)
  }
  return Buffer.concat(read)
}

/**
 * Reads a small regular file that need not be there.
 * @returns undefined if there is none
 * @throws as {@link readSmallFile}, ERR_DDI_NOT_FOUND excepted
 */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readSmallFile(path)
  } catch (error) {
    if (error instanceof DdiError && ['ENOENT', 'ENOTDIR'].includes(systemCode(error.cause) ?? '')) return undefined
    throw error
  }
}

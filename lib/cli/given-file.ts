import { createReadStream } from 'node:fs'
import { DdiError, systemError } from '../errors.js'

/** Keys, certificates, passphrases and root hashes are small; this is the limit of cryptsetup for key files. */
const most = 8 * 1024 * 1024

/**
 * Reads all of a file that an option names, which may be a pipe; `-` is standard input.
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_USAGE if it has more than 8 MiB
 */
export async function readGiven(path: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of createReadStream(path === '-' ? '/dev/stdin' : path)) {
      chunks.push(chunk as Buffer)
      length += (chunk as Buffer).length
      if (length > most)
        throw new DdiError('ERR_DDI_USAGE', `${path} has more than ${most} bytes: is it the right file?`)
    }
  } catch (error) {
    const missing = 'ERR_DDI_NOT_FOUND'
    throw systemError(error, `cannot read ${path}`, { ENOENT: missing, ENOTDIR: missing, EISDIR: missing })
  }
  return Buffer.concat(chunks)
}

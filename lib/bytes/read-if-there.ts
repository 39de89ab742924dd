import { readFile } from 'node:fs/promises'
import { systemCode, systemError } from '../errors.js'

/**
 * Reads a small file.
 * @returns undefined if there is none
 * @throws ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot read ${path}`)
  }
}

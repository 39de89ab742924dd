import { lstat } from 'node:fs/promises'
import { systemCode, systemError } from '../errors.js'

/** Whether a path exists, dangling links included. @throws ERR_DDI_PERMISSION if that cannot be determined */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false
    throw systemError(error, `cannot stat ${path}`)
  }
}

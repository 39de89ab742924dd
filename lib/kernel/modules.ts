import { open } from 'node:fs/promises'
import { addon } from '../../bindings/addon.js'
import { systemCode, systemError } from '../errors.js'

/**
 * Loads a module from a file, which may be compressed; one that is loaded already is fine.
 * @param parameters as in `modprobe`: `max_loop=8 max_part=7`
 * @throws ERR_DDI_NOT_FOUND if there is no such file, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function loadModule(path: string, parameters = ''): Promise<void> {
  try {
    const handle = await open(path, 'r')
    try {
      await addon().loadModule(handle.fd, path, parameters, /\.(gz|xz|zst)$/.test(path))
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return
    throw systemError(error, `cannot load ${path}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
}

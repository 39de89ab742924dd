import { open } from 'node:fs/promises'
import { addon, mountFlags } from '../../bindings/addon.js'
import { systemError } from '../errors.js'

/** Writes all of the file system that holds a path to its disk. @throws ERR_DDI_KERNEL, ERR_DDI_PERMISSION */
export async function syncFileSystem(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r')
    try {
      await addon().syncFileSystem(handle.fd, path)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw systemError(error, `cannot write the file system of ${path} to its disk`, { ENOSPC: 'ERR_DDI_NO_SPACE' })
  }
}

/** Moves a mount, and what is mounted below it, to another directory. @throws ERR_DDI_KERNEL, ERR_DDI_PERMISSION */
export async function moveMount(from: string, to: string): Promise<void> {
  await addon()
    .mount(from, to, '', mountFlags.move, '')
    .catch((error: unknown) => {
      throw systemError(error, `cannot move the mount of ${from} to ${to}`, { ENOENT: 'ERR_DDI_MOUNT_POINT' })
    })
}

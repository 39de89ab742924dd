import { mkdir, mkdtemp, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addon, mountFlags, unmountFlags } from '../../bindings/addon.js'
import { DdiError, systemError } from '../errors.js'
import { mountAt } from '../mount/overlay.js'
import { isMissing, resolveInRoot } from '../mount/root.js'
import { completeRoot } from './base-directories.js'

/**
 * Makes a root that is empty memory but for the /usr of a tree: `systemd.volatile=yes`.
 * @param mountTree mounts the tree on a directory; disposing of it undoes that
 * @returns what undoes all of it
 * @throws ERR_DDI_MOUNT_POINT if the tree has no /usr, ERR_DDI_KERNEL, and what `mountTree` throws
 */
export async function mountOverUsr(
  sysroot: string,
  mountTree: (directory: string) => Promise<AsyncDisposable>,
): Promise<AsyncDisposable> {
  await mkdir('/run/ddi', { recursive: true, mode: 0o755 })
  const hidden = await mkdtemp('/run/ddi/root-')
  try {
    const tree = await mountTree(hidden)
    try {
      const usr = await resolveInRoot(hidden, 'usr').catch((error: unknown) => {
        if (!isMissing(error)) throw error
        throw new DdiError('ERR_DDI_MOUNT_POINT', 'the root has no /usr to boot from', { cause: error })
      })
      await makeRoot(sysroot, usr)
    } catch (error) {
      await tree[Symbol.asyncDispose]()
      throw error
    }
    // What was bound from it stays.
    await addon().unmount(hidden, unmountFlags.detach)
    return {
      async [Symbol.asyncDispose]() {
        await unmountRoot(sysroot)
        await tree[Symbol.asyncDispose]()
      },
    }
  } finally {
    await rmdir(hidden)
  }
}

async function makeRoot(sysroot: string, from: string): Promise<void> {
  const usr = join(sysroot, 'usr')
  await mountAt('tmpfs', sysroot, 'tmpfs', { flags: mountFlags.noDev, data: 'mode=0755' })
  try {
    await mkdir(usr)
    await addon().mount(from, usr, '', mountFlags.bind, '')
    await completeRoot(sysroot)
  } catch (error) {
    await unmountRoot(sysroot)
    throw systemError(error, `cannot make a root of ${from}`)
  }
}

async function unmountRoot(sysroot: string): Promise<void> {
  await addon()
    .unmount(join(sysroot, 'usr'), 0)
    .catch(() => {})
  await addon().unmount(sysroot, 0)
}

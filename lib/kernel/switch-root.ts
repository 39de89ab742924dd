import { closeSync, constants, lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { addon, unmountFlags } from '../../bindings/addon.js'
import { exists } from '../bytes/exists.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { moveMount } from './file-systems.js'
import { listMounts } from './mounts.js'

/** What a system keeps of its initrd. */
const kept = ['/dev', '/proc', '/sys', '/run'] as const

/** TMPFS_MAGIC and RAMFS_MAGIC of <linux/magic.h>. */
const inMemory: readonly number[] = [0x01021994, 0x858458f6]

/**
 * Leaves an initramfs for the system that is mounted at `directory`, and becomes its first program: moves /dev, /proc, /sys and
 * /run, frees the memory of the initramfs, and detaches its /usr.
 * @param argv of the program; the first is its path in the new root
 * @throws ERR_DDI_USAGE where that would destroy something else: if `/` is no initramfs, or `directory` no mount point;
 *   ERR_DDI_NOT_FOUND if there is no such program, ERR_DDI_MOUNT_POINT if there is no place for what is moved: nothing has changed
 *   then. ERR_DDI_KERNEL, ERR_DDI_PERMISSION
 */
export async function switchRoot(
  directory: string,
  argv: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>>,
): Promise<never> {
  const mounts = new Set((await listMounts()).map(({ path }) => path))
  await refuseUnlessInitramfs(directory, mounts)
  if (!(await hasProgram(directory, argv[0])))
    throw new DdiError('ERR_DDI_NOT_FOUND', `there is no ${argv[0]} in ${directory}`)
  const moved = kept.filter((path) => mounts.has(path))
  for (const path of moved) makePlace(directory, path)
  await using initramfs = await openDirectory('/')
  try {
    for (const path of moved) await moveMount(path, join(directory, path))
    // It goes with the last that uses it, this process.
    if (mounts.has('/usr')) await addon().unmount('/usr', unmountFlags.detach)
    process.chdir(directory)
    await moveMount('.', '/')
    await addon().changeRoot('.')
    process.chdir('/')
    removeWithin(`/proc/self/fd/${initramfs.fd}`, (await initramfs.stat()).dev)
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
    return await addon().execute(argv[0], argv, variables)
  } catch (error) {
    throw systemError(error, `cannot hand over to ${argv[0]} in ${directory}`)
  }
}

async function refuseUnlessInitramfs(directory: string, mounts: ReadonlySet<string>): Promise<void> {
  const refuse = (why: string) => new DdiError('ERR_DDI_USAGE', `cannot make ${directory} the root: ${why}`)
  if (!inMemory.includes((await statfs('/')).type)) throw refuse('the root now is no initramfs, as it is not in memory')
  if (!(await exists('/etc/initrd-release')))
    throw refuse('the root now is no initramfs, as it has no /etc/initrd-release')
  if (directory === '/' || !mounts.has(directory)) throw refuse('nothing is mounted there')
}

/** Whether a new root has a program. Links in it are followed as they will be then. @throws ERR_DDI_KERNEL, ERR_DDI_IO */
export async function hasProgram(directory: string, path: string): Promise<boolean> {
  await using root = await openDirectory(directory)
  try {
    closeSync(await addon().openInRoot(root.fd, path, constants.O_RDONLY | constants.O_NONBLOCK, 0))
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw systemError(error, `cannot open ${path} in ${directory}`)
  }
}

async function openDirectory(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_DIRECTORY).catch((error: unknown) => {
    throw systemError(error, `cannot open ${path}`)
  })
}

function makePlace(directory: string, path: string): void {
  const place = join(directory, path)
  try {
    mkdirSync(place, 0o755)
  } catch (error) {
    if (lstatSync(place, { throwIfNoEntry: false })?.isDirectory()) return
    throw systemError(error, `the new root has no directory ${path}, and none can be made`, {
      EROFS: 'ERR_DDI_MOUNT_POINT',
      EEXIST: 'ERR_DDI_MOUNT_POINT',
    })
  }
}

/** Removes what is in a directory, but never what is on another device; what cannot be removed stays. */
function removeWithin(directory: string, device: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    const stats = lstatSync(path)
    if (stats.dev !== device) continue
    try {
      if (stats.isDirectory()) removeWithin(path, device)
      if (stats.isDirectory()) rmdirSync(path)
      else unlinkSync(path)
    } catch (error) {
      // A mount point, or a directory that holds one.
      if (!['EBUSY', 'ENOTEMPTY'].includes(systemCode(error) ?? '')) throw error
    }
  }
}

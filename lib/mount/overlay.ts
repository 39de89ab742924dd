import { mkdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { addon, mountFlags, unmountFlags } from '../../bindings/addon.js'
import { openFile } from '../bytes/file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { listMounts } from '../kernel/mounts.js'
import { formatUuid } from '../uuid.js'
import type { MountArguments } from './arguments.js'
import { type OpenedInRoot, openRoot } from './root.js'

/**
 * Mounts on exactly this place.
 * @param place a path without links, or that of a descriptor
 * @param type of the file system
 * @throws ERR_DDI_FILE_SYSTEM if the kernel does not have it, or finds it damaged; ERR_DDI_BUSY for a btrfs whose UUID is mounted already
 */
export async function mountAt(
  source: string,
  place: string,
  type: string,
  { flags, data }: MountArguments,
): Promise<void> {
  try {
    await addon().mount(source, place, type, flags, data)
  } catch (error) {
    if (type === 'btrfs' && systemCode(error) === 'EEXIST') throw await twinOf(source, error)
    const why = systemCode(error) === 'ENODEV' ? ` (this kernel has no ${type})` : ''
    const where = await readlink(place).catch(() => place)
    throw systemError(error, `cannot mount ${source} on ${where}${why}`, {
      ENODEV: 'ERR_DDI_FILE_SYSTEM',
      EUCLEAN: 'ERR_DDI_FILE_SYSTEM',
    })
  }
}

/**
 * Opens what was just mounted on a directory. Whoever may write in the tree can have its path lead elsewhere by then; that is found out.
 * @throws ERR_DDI_MOUNT_POINT if the path leads elsewhere
 */
export async function openMountOn(directory: OpenedInRoot): Promise<OpenedInRoot> {
  const path = await directory.realPath()
  await using root = await openRoot('/')
  const opened = await root.open(path)
  const [id, below] = [await mountId(opened), await mountId(directory)]
  const mounts = await listMounts()
  if (mounts.some((one) => one.id === id && one.parent === below && one.path === path)) return opened
  await opened[Symbol.asyncDispose]()
  throw new DdiError('ERR_DDI_MOUNT_POINT', `${path} changed while something was mounted on it`)
}

/** That of the mount that a descriptor is in: proc(5), fdinfo. */
async function mountId({ fd }: OpenedInRoot): Promise<number> {
  return Number(/^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1])
}

/** Kernels know a btrfs by its UUID: neither a copy nor the same image on another device is mounted beside it. */
async function twinOf(source: string, cause: unknown): Promise<DdiError> {
  const uuid = await btrfsUuid(source)
  for (const { type, source: other, path } of await listMounts())
    if (type === 'btrfs' && (await btrfsUuid(other).catch(() => undefined)) === uuid)
      return new DdiError('ERR_DDI_BUSY', `${path} is of a btrfs with the same UUID ${uuid}: unmount it first`, {
        cause,
      })
  return new DdiError('ERR_DDI_BUSY', `a btrfs with the same UUID ${uuid} is mounted already: unmount it first`, {
    cause,
  })
}

/** Of the superblock, at 64 KiB: its UUID follows the checksum of 32 bytes. */
async function btrfsUuid(path: string): Promise<string> {
  await using device = await openFile(path)
  return formatUuid(await device.read(64 * 1024 + 32, 16))
}

/** Mounts an empty file system in memory, which nothing in it is run from. @param name that it has among mounts */
export async function mountMemory(name: string, place: string): Promise<void> {
  const flags = mountFlags.noSuid | mountFlags.noDev | mountFlags.noExec
  await mountAt(name, place, 'tmpfs', { flags, data: 'mode=0755' })
}

/** Covers a mount with itself and a layer in memory that takes what is written. */
export async function overlay(place: string, { flags }: MountArguments): Promise<void> {
  await mkdir('/run/ddi', { recursive: true, mode: 0o755 })
  await using directory = await openScratchDirectory('/run/ddi/overlay')
  const layer = directory.path
  await mountMemory('tmpfs', layer)
  try {
    for (const name of ['upper', 'work']) await mkdir(join(layer, name), { mode: 0o755 })
    const quoted = (path: string) => path.replace(/[\\:,]/g, '\\$&')
    const data = `lowerdir=${quoted(place)},upperdir=${layer}/upper,workdir=${layer}/work`
    await mountAt('overlay', place, 'overlay', { flags, data })
  } finally {
    // The overlay keeps what it needs.
    await addon().unmount(layer, unmountFlags.detach)
  }
}

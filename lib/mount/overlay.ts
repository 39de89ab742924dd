import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addon, mountFlags, unmountFlags } from '../../bindings/addon.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { systemCode, systemError } from '../errors.js'
import type { MountArguments } from './arguments.js'

/**
 * Mounts on exactly this place, which has no links in it.
 * @param type of the file system
 * @throws ERR_DDI_FILE_SYSTEM if the kernel does not have it, or finds it damaged
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
    const why = systemCode(error) === 'ENODEV' ? ` (this kernel has no ${type})` : ''
    throw systemError(error, `cannot mount ${source} on ${place}${why}`, {
      ENODEV: 'ERR_DDI_FILE_SYSTEM',
      EUCLEAN: 'ERR_DDI_FILE_SYSTEM',
    })
  }
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

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addon, mountFlags } from '../../bindings/addon.js'
import { exists } from '../bytes/exists.js'
import { systemError } from '../errors.js'
import { listMounts } from '../kernel/mounts.js'

const { noSuid, noDev, noExec } = mountFlags
const nothingActs = noSuid | noDev | noExec

interface KernelFileSystem {
  readonly path: string
  readonly type: string
  readonly flags: number
  readonly data?: string
  /** Only where the directory is there, which the kernel makes. */
  readonly optional?: true
}

/** In the order in which they are mounted. */
const fileSystems: readonly KernelFileSystem[] = [
  { path: 'proc', type: 'proc', flags: nothingActs },
  { path: 'sys', type: 'sysfs', flags: nothingActs },
  { path: 'dev', type: 'devtmpfs', flags: noSuid, data: 'mode=0755' },
  // What is pulled goes there, and may need nearly all memory that there is.
  { path: 'run', type: 'tmpfs', flags: noSuid | noDev, data: 'mode=0755,size=90%' },
  { path: 'sys/firmware/efi/efivars', type: 'efivarfs', flags: nothingActs, optional: true },
]

/** Mounts what the kernel has to say, and a place for files of this run, unless they are mounted. @throws ERR_DDI_KERNEL */
export async function mountKernelFileSystems(root: string): Promise<void> {
  for (const { path, type, flags, data = '', optional } of fileSystems) {
    const place = join(root, path)
    if (optional && !(await exists(place))) continue
    // The first is what says which are.
    const mounts = await listMounts().catch(() => [])
    if (mounts.some((mount) => mount.path === place)) continue
    try {
      await mkdir(place, { recursive: true })
      await addon().mount(type, place, type, flags, data)
    } catch (error) {
      if (!optional) throw systemError(error, `cannot mount ${type} on ${place}`)
    }
  }
}

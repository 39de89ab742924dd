import { chmod, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { systemCode, systemError } from '../errors.js'

/** What programs of /usr expect beside it: file-hierarchy(7). */
const links = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'] as const
const directories = {
  dev: 0o755,
  etc: 0o755,
  proc: 0o555,
  root: 0o700,
  run: 0o755,
  sys: 0o555,
  tmp: 0o1777,
  var: 0o755,
} as const

/**
 * Makes what is missing in a root that is no more than its /usr: no program starts without the loader in /lib64. A root that cannot
 * be written stays as it is.
 * @throws ERR_DDI_KERNEL, ERR_DDI_PERMISSION
 */
export async function completeRoot(sysroot: string): Promise<void> {
  try {
    for (const name of links) {
      const path = join(sysroot, name)
      if (!(await exists(path)) && (await exists(join(sysroot, 'usr', name)))) await symlink(`usr/${name}`, path)
    }
    for (const [name, mode] of Object.entries(directories)) {
      const path = join(sysroot, name)
      if (await exists(path)) continue
      await mkdir(path)
      await chmod(path, mode)
    }
  } catch (error) {
    if (systemCode(error) !== 'EROFS') throw systemError(error, `cannot complete the root in ${sysroot}`)
  }
}

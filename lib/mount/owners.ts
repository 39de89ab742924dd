import { spawn } from 'node:child_process'
import { open, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon } from '../../bindings/addon.js'
import { DdiError, systemError } from '../errors.js'
import { systemPath, toolPath } from '../tool.js'
import type { OpenedInRoot } from './root.js'

/** Shows files of owners from `inside` as those of owners from `outside`: so many user and group IDs. */
export interface OwnerMap {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

/** Maps the owners of a mount. @throws ERR_DDI_KERNEL, ERR_DDI_PERMISSION */
export async function mapOwners(mount: OpenedInRoot, { inside, outside, count }: OwnerMap): Promise<void> {
  // A user namespace lives as long as a process in it.
  const unshare = await toolPath({ command: ['unshare'], package: 'util-linux' })
  const child = spawn(unshare, ['--user', 'sleep', '60'], { stdio: 'ignore', env: { PATH: systemPath } })
  try {
    await new Promise<void>((done, fail) => child.once('spawn', done).once('error', fail))
    await untilUnshared(child.pid!)
    for (const map of ['uid_map', 'gid_map'])
      await writeFile(`/proc/${child.pid}/${map}`, `${inside} ${outside} ${count}\n`)
    const handle = await open(`/proc/${child.pid}/ns/user`, 'r')
    try {
      await addon().mapOwners(mount.path, handle.fd)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw systemError(error, `cannot map the owners of ${await mount.realPath()}`)
  } finally {
    child.kill('SIGKILL')
  }
}

async function untilUnshared(pid: number): Promise<void> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    // `unshare` has become `sleep` once it is in its own namespace.
    if ((await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'sleep') return
    await sleep(5)
  }
  throw new DdiError('ERR_DDI_KERNEL', 'this machine makes no user namespaces (kernel.unprivileged_userns_clone?)')
}

import { chmod, chown, lstat, readdir, rename, rmdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'

/**
 * Moves up an operating system that an archive has in a directory of its own, as systemd-pull does: a machine has its /usr at the top.
 * @param tree of nothing but what was unpacked
 */
export async function moveUp(tree: string): Promise<void> {
  const [only, second] = await readdir(tree)
  if (only === undefined || second !== undefined || !(await isSystem(join(tree, only)))) return
  // Something within may have the same name.
  const [top, aside] = [join(tree, only), join(tree, '.ddi-moved-up')]
  const { mode, uid, gid, atime, mtime } = await lstat(top)
  await rename(top, aside)
  for (const name of await readdir(aside)) await rename(join(aside, name), join(tree, name))
  await rmdir(aside)
  await chown(tree, uid, gid)
  await chmod(tree, mode & 0o7777)
  await utimes(tree, atime, mtime)
}

/** Whether a directory holds an operating system: os-release(5). Links are not followed, they may lead out. */
async function isSystem(path: string): Promise<boolean> {
  if (!(await lstat(path)).isDirectory()) return false
  for (const [directory, name] of [
    ['etc', 'os-release'],
    ['usr/lib', 'os-release'],
  ] as const)
    if ((await isOwnDirectory(path, directory)) && (await exists(join(path, directory, name)))) return true
  return false
}

async function isOwnDirectory(path: string, below: string): Promise<boolean> {
  let at = path
  for (const name of below.split('/')) {
    at = join(at, name)
    const stats = await lstat(at).catch(() => undefined)
    if (!stats?.isDirectory()) return false
  }
  return true
}

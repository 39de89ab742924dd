import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { openFile } from '../bytes/file.js'
import type { Source } from '../bytes/source.js'
import type { CpioEntry } from './cpio.js'

/**
 * What lies below a directory, as members of an archive. Of what is mounted there, the mount point is taken alone; sockets and other
 * special files are left out.
 */
export async function treeEntries(directory: string): Promise<readonly CpioEntry[]> {
  const { dev } = await lstat(directory)
  const entries: CpioEntry[] = []
  const pending = ['']
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop())
    for (const name of await readdir(join(directory, parent))) {
      const path = join(parent, name)
      const from = join(directory, path)
      const stats = await lstat(from)
      const mode = stats.mode & 0o7777
      if (stats.isDirectory()) {
        entries.push({ path, kind: 'directory', mode })
        if (stats.dev === dev) pending.push(path)
      } else if (stats.isSymbolicLink()) entries.push({ path, kind: 'link', mode: 0o777, target: await readlink(from) })
      else if (stats.isFile()) entries.push(await fileEntry(path, from, mode))
    }
  return entries
}

/** A file that is open only while it is read. */
export async function fileEntry(path: string, from: string, mode = 0o644): Promise<CpioEntry> {
  const { size } = await lstat(from)
  const content: Source = {
    size,
    async read(offset, length) {
      await using again = await openFile(from)
      return await again.read(offset, length)
    },
  }
  return { path, kind: 'file', mode, content }
}

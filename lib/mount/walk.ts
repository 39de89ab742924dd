import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileKind, nameText, type TreeEntry } from './entries.js'
import type { Root } from './root.js'

/**
 * All files of a mounted tree: directories before what is in them, names in the order of their bytes.
 * @throws ERR_DDI_FILE_SYSTEM for a name or link that is not UTF-8
 */
export async function* walk(root: Root, within = ''): AsyncGenerator<TreeEntry> {
  const names = await readdir(join(root.path, within), { encoding: 'buffer' })
  for (const name of names.sort(Buffer.compare)) {
    const path = join(within, nameText(name, within))
    const full = join(root.path, path)
    const { mode, uid, gid, size, mtimeMs } = await lstat(full)
    const kind = fileKind(mode, path)
    const target = kind === 'link' ? nameText(await readlink(full, 'buffer'), path) : null
    yield { path, kind, mode: mode & 0o7777, uid, gid, size, modified: Math.floor(mtimeMs / 1000), target }
    if (kind === 'folder') yield* walk(root, path)
  }
}

import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { exists } from '../bytes/new-file.js'
import { DdiError, systemError } from '../errors.js'
import { runTool } from '../tool.js'
import { isMissing, type Root } from './root.js'

export type FileKind = 'file' | 'folder' | 'link' | 'block-device' | 'character-device' | 'fifo' | 'socket'

export interface TreeEntry {
  /** From the root of the tree, without a slash at the beginning. */
  readonly path: string
  readonly kind: FileKind
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Seconds since 1970. */
  readonly modified: number
  /** Where a link leads. */
  readonly target: string | null
}

/** All that is in a tree, folders before what is in them, names in the order of their bytes. */
export async function* walk(root: Root, within = ''): AsyncGenerator<TreeEntry> {
  const folder = join(root.path, within)
  const names = await readdir(folder, { encoding: 'buffer' })
  for (const name of names.sort(Buffer.compare)) {
    // Names are bytes; as text they read back as themselves only where they are UTF-8.
    const path = join(within, name.toString('utf8'))
    const full = join(root.path, path)
    const stats = await lstat(full)
    const kind: FileKind = stats.isDirectory()
      ? 'folder'
      : stats.isSymbolicLink()
        ? 'link'
        : stats.isBlockDevice()
          ? 'block-device'
          : stats.isCharacterDevice()
            ? 'character-device'
            : stats.isFIFO()
              ? 'fifo'
              : stats.isSocket()
                ? 'socket'
                : 'file'
    const { mode, uid, gid, size, mtimeMs } = stats
    const target = kind === 'link' ? await readlink(full) : null
    yield { path, kind, mode: mode & 0o7777, uid, gid, size, modified: Math.floor(mtimeMs / 1000), target }
    if (kind === 'folder') yield* walk(root, path)
  }
}

/** SHA-256 of a file of a tree, in hexadecimal. */
export async function digestFile(root: Root, path: string): Promise<string> {
  const handle = await open(join(root.path, path), constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const hash = createHash('sha256')
    await pipeline(handle.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }), hash)
    return hash.digest('hex')
  } finally {
    await handle.close()
  }
}

/**
 * Copies a file or folder out of a tree.
 * @param path within the tree; links in it lead nowhere else
 * @param target a new path; null: a file goes to standard output
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS, ERR_DDI_USAGE where a folder would go to standard output
 */
export async function copyFrom(root: Root, path: string, target: string | null): Promise<void> {
  const opened = await root.open(path, constants.O_RDONLY).catch((error: unknown) => {
    throw systemError(error, `cannot copy ${path}`, {
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
      ELOOP: 'ERR_DDI_NOT_FOUND',
      ENXIO: 'ERR_DDI_NOT_FOUND',
    })
  })
  await using _ = opened
  const handle = await open(opened.path, 'r')
  try {
    const stats = await handle.stat()
    if (target === null) {
      if (!stats.isFile()) throw new DdiError('ERR_DDI_USAGE', `${path} is no file: give a folder to copy it to`)
      await pipeline(handle.createReadStream({ autoClose: false }), process.stdout, { end: false })
      return
    }
    if (await exists(target)) throw new DdiError('ERR_DDI_EXISTS', `${target} exists`)
    const from = await opened.realPath()
    await runTool({ command: ['cp', '--archive', '--no-target-directory', '--', from, target], package: 'coreutils' })
  } finally {
    await handle.close()
  }
}

/**
 * Copies a file or folder into a tree, which is mounted for writing. Links in the tree lead nowhere else.
 * @param source a path outside
 * @param path within the tree; what is there is replaced if it is a file
 * @throws ERR_DDI_NOT_FOUND for the source, and for the folder it would go to
 */
export async function copyTo(root: Root, source: string, path: string): Promise<void> {
  const stats = await lstat(source).catch((error: unknown) => {
    throw systemError(error, `cannot copy ${source}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  })
  const parent = await root
    .open(join('/', path, '..'), constants.O_RDONLY | constants.O_DIRECTORY)
    .catch((error: unknown) => {
      if (isMissing(error)) throw new DdiError('ERR_DDI_NOT_FOUND', `there is no folder for ${path} in the image`)
      throw systemError(error, `cannot copy to ${path}`)
    })
  await using _ = parent
  // The folder is where it is; what is in it under this name must not lead on.
  const target = join(await parent.realPath(), basename(path))
  const there = await lstat(target).catch(() => undefined)
  if (there?.isSymbolicLink())
    throw new DdiError('ERR_DDI_EXISTS', `${path} is a symbolic link in the image: name what it leads to`)
  if (there && (there.isDirectory() || stats.isDirectory()))
    throw new DdiError('ERR_DDI_EXISTS', `${path} exists in the image`)
  await runTool({ command: ['cp', '--archive', '--no-target-directory', '--', source, target], package: 'coreutils' })
}

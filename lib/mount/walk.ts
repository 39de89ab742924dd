import type { BigIntStats } from 'node:fs'
import { lstat, opendir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { DdiError, systemError } from '../errors.js'
import { type Bounds, walkBounds } from './bounds.js'
import { fileKind, nameText, type TreeEntry } from './entries.js'
import type { Root } from './root.js'

/** More than the names of a walk take up: kernels read a directory to its end, wherever an image says that it is. */
const largestDirectory = 512n * 1024n * 1024n

/** How kernels say that a file system contradicts itself. */
const damage = {
  ELOOP: 'ERR_DDI_FILE_SYSTEM',
  ESTALE: 'ERR_DDI_FILE_SYSTEM',
  ENOENT: 'ERR_DDI_FILE_SYSTEM',
  ENAMETOOLONG: 'ERR_DDI_FILE_SYSTEM',
} as const

/**
 * All files of a mounted tree: directories before what is in them, names in the order of their bytes.
 * @throws ERR_DDI_FILE_SYSTEM for a name or link that is not UTF-8, a directory with two names or too many files;
 *   ERR_DDI_IO, ERR_DDI_ABORTED
 */
export async function* walk(root: Root, signal?: AbortSignal): AsyncGenerator<TreeEntry> {
  const bounds = walkBounds(signal)
  // The next is the last: one list, and not a generator for each level, which all below would go through.
  const waiting: string[] = ['']
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    try {
      const stats = await lstat(join(root.path, path), { bigint: true })
      if (path !== '') yield await entryOf(root, path, stats)
      if (stats.isDirectory()) for (const below of await pathsIn(root, path, stats, bounds)) waiting.push(below)
    } catch (error) {
      throw systemError(error, `cannot read ${JSON.stringify(`/${path}`)}`, damage)
    }
  }
}

async function entryOf(root: Root, path: string, stats: BigIntStats): Promise<TreeEntry> {
  const [mode, uid, gid] = [Number(stats.mode), Number(stats.uid), Number(stats.gid)]
  const kind = fileKind(mode, path)
  const target = kind === 'link' ? nameText(await readlink(join(root.path, path), 'buffer'), path) : null
  const modified = Math.floor(Number(stats.mtimeMs) / 1000)
  return { path, kind, mode: mode & 0o7777, uid, gid, size: Number(stats.size), modified, target }
}

/** @returns the paths of what is in a directory, the last first */
async function pathsIn(root: Root, directory: string, stats: BigIntStats, bounds: Bounds): Promise<readonly string[]> {
  if (stats.size > largestDirectory)
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `the directory ${JSON.stringify(`/${directory}`)} has ${stats.size} bytes`,
    )
  const names: Buffer[] = []
  // Its types have no names that are bytes.
  const opened = await opendir(join(root.path, directory), { encoding: 'buffer' as BufferEncoding, bufferSize: 1024 })
  for await (const { name } of opened) {
    names.push(name as unknown as Buffer)
    bounds.count(`${directory}/${String(name)}`)
  }
  if (names.length === 0) return []
  // What is empty may have the number of another: btrfs has one for all snapshots that are not there.
  bounds.enter(`${stats.dev}:${stats.ino}`, directory)
  names.sort(Buffer.compare)
  const twin = names.find((name, index) => index > 0 && name.equals(names[index - 1]!))
  if (twin)
    throw new DdiError('ERR_DDI_FILE_SYSTEM', `two entries of /${directory} are named ${JSON.stringify(String(twin))}`)
  return names.reverse().map((name) => (directory === '' ? '' : `${directory}/`) + nameText(name, directory))
}

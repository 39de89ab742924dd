import { close as closeFile, constants } from 'node:fs'
import { type FileHandle, open, readlink } from 'node:fs/promises'
import { promisify } from 'node:util'
import { addon } from '../../bindings/addon.js'
import { DdiError, systemCode, systemError } from '../errors.js'

/** A directory whose files are opened without ever leaving it, whatever links in it say. */
export interface Root extends AsyncDisposable {
  readonly path: string
  /** @throws ERR_DDI_NOT_FOUND for what is missing, or cannot be opened in this way; ERR_DDI_PERMISSION, ERR_DDI_KERNEL */
  open(path: string, flags?: number, mode?: number): Promise<OpenedInRoot>
  close(): Promise<void>
}

/** A descriptor, and a path that leads to exactly what it has open. */
export interface OpenedInRoot extends AsyncDisposable {
  readonly fd: number
  readonly path: string
  /** Where it lies, without links: for people, and for mount points. */
  realPath(): Promise<string>
}

/** O_PATH of <fcntl.h>, the same on all processors that Node.js runs on. */
export const pathOnly = 0o10000000

/**
 * Opens a directory to open files in.
 * @param name of what is in it, for errors. Default: its path
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION
 */
export async function openRoot(path: string, name = path): Promise<Root> {
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_DIRECTORY | constants.O_RDONLY)
  } catch (error) {
    throw systemError(error, `cannot open ${path}`, { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND' })
  }
  const close = () => handle.close()
  return {
    path,
    close,
    async open(within, flags = pathOnly, mode = 0) {
      if (handle.fd < 0) throw new DdiError('ERR_DDI_USAGE', `${path} is closed`)
      // A FIFO would keep us waiting, a terminal become ours; a mere path does neither.
      const careful = flags & pathOnly ? 0 : constants.O_NONBLOCK | constants.O_NOCTTY
      const openAt = (place: string) => addon().openInRoot(handle.fd, place, flags | careful, mode)
      const fd = await openAt(within)
        .catch(async (error: unknown) => {
          const followed = systemCode(error) === 'ELOOP' ? await followLinks(handle.fd, within) : undefined
          if (followed === undefined) throw error
          return await openAt(followed)
        })
        .catch((error: unknown) => {
          throw systemError(error, `cannot open ${within} of ${name}`, missing)
        })
      const own = `/proc/self/fd/${fd}`
      return { fd, path: own, realPath: () => readlink(own), [Symbol.asyncDispose]: () => closeDescriptor(fd) }
    },
    [Symbol.asyncDispose]: close,
  }
}

/** As many as the kernel follows. */
const mostLinks = 40

/**
 * Follows the links of a path, which a mount with nosymfollow has nobody do.
 * @returns a path from the root; undefined if there are too many
 */
async function followLinks(rootFd: number, path: string): Promise<string | undefined> {
  const left = path.split('/')
  const done: string[] = []
  let links = 0
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '..') done.pop()
    if (['', '.', '..'].includes(name)) continue
    // What is no link, or not there, is for the kernel to judge.
    const target = await readlink(`/proc/self/fd/${rootFd}/${[...done, name].join('/')}`).catch(() => undefined)
    if (target === undefined) {
      done.push(name)
      continue
    }
    if (++links > mostLinks) return undefined
    if (target.startsWith('/')) done.length = 0
    left.unshift(...target.split('/'))
  }
  // Which only directories may end with.
  return (done.join('/') || '.') + (path.endsWith('/') ? '/' : '')
}

/**
 * Finds where a path within a directory leads: links in it lead nowhere else.
 * @returns a path without links
 * @throws as `open` of a root
 */
export async function resolveInRoot(directory: string, path: string): Promise<string> {
  await using root = await openRoot(directory)
  await using opened = await root.open(path)
  return await opened.realPath()
}

const closeDescriptor = promisify(closeFile)

/** Opens again what a descriptor has open for reading, as a handle of its own; a FIFO does not keep us waiting. */
export async function handleOf({ path }: OpenedInRoot): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
}

const missing = {
  ENOENT: 'ERR_DDI_NOT_FOUND',
  ENOTDIR: 'ERR_DDI_NOT_FOUND',
  ELOOP: 'ERR_DDI_NOT_FOUND',
  EXDEV: 'ERR_DDI_NOT_FOUND',
  ENXIO: 'ERR_DDI_NOT_FOUND',
} as const

/** Nothing is there, or nothing that may be opened in this way. */
export function isMissing(error: unknown): boolean {
  return error instanceof DdiError
    ? error.code === 'ERR_DDI_NOT_FOUND'
    : Object.hasOwn(missing, systemCode(error) ?? '')
}

/** The largest file that is read whole: only short texts are. */
const largestText = 256 * 1024

/**
 * Reads a short text of a tree.
 * @returns undefined if it is missing, not a regular file, or longer than 256 KiB
 */
export async function readTextInRoot(root: Root, path: string): Promise<string | undefined> {
  try {
    await using opened = await root.open(path, constants.O_RDONLY)
    const handle = await handleOf(opened)
    try {
      const stats = await handle.stat()
      if (!stats.isFile() || stats.size > largestText) return undefined
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw systemError(error, `cannot read ${path} of ${root.path}`)
  }
}

/** @returns an extended attribute (`user.…`) of a file; undefined if it has none of that name, or cannot have any */
export async function readAttribute(path: string, name: string): Promise<string | undefined> {
  try {
    return await addon().getExtendedAttribute(path, name)
  } catch (error) {
    if (['ENODATA', 'ENOENT', 'ENOTSUP', 'EPERM'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot read the extended attributes of ${path}`)
  }
}

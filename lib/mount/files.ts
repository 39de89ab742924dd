import { createHash, Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, type FileHandle, lstat } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { giveName, refuseExisting } from '../bytes/new-file.js'
import { openScratchDirectory } from '../bytes/scratch.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { runTool } from '../tool.js'
import { throwIfAborted, type Work, workNames } from '../work.js'
import { watchCopy } from './copy-progress.js'
import { isWithin, type Tree, type TreeEntry } from './entries.js'
import { handleOf, isMissing, type OpenedInRoot, type Root } from './root.js'

/**
 * Hashes a file of a tree.
 * @returns its SHA-256 in hexadecimal
 * @throws ERR_DDI_FILE_SYSTEM if it is not the file that the entry describes, ERR_DDI_ABORTED
 */
export async function digestFile(tree: Tree, entry: TreeEntry, work: Work = {}): Promise<string> {
  checkOptions(work, workNames, 'digestFile')
  const { path, size } = entry
  await using opened = await openFile(tree.root, path)
  const stats = await opened.handle.stat()
  if (!stats.isFile() || stats.size !== size)
    throw new DdiError('ERR_DDI_FILE_SYSTEM', `${JSON.stringify(path)} cannot be read as the file system lists it`)
  const hash = createHash('sha256')
  await passOn(opened.handle, hash, { path, size, work })
  return hash.digest('hex')
}

interface Passage {
  readonly path: string
  /** In bytes, of the file. */
  readonly size: number
  readonly work: Work
}

/** Passes the bytes of a file on to a stream, which stays open. @throws ERR_DDI_ABORTED, ERR_DDI_IO, ERR_DDI_FILE_SYSTEM, ERR_DDI_NO_SPACE */
async function passOn(handle: FileHandle, to: Writable, { path, size, work }: Passage): Promise<void> {
  const { signal, onProgress } = work
  throwIfAborted(signal)
  let done = 0
  const stream = handle.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 })
  if (onProgress)
    stream.on('data', (chunk) => {
      done += chunk.length
      onProgress({ done, total: size, part: path })
    })
  try {
    await pipeline(stream, to, { end: to instanceof Hash, ...(signal && { signal }) })
  } catch (error) {
    throwIfAborted(signal)
    throw unreadable(error, path)
  }
}

/** Turns what a stream throws into an error about the file that it is of, or what it goes to. */
function unreadable(error: unknown, path: string): DdiError {
  return systemError(error, `cannot copy ${path}`, {
    EUCLEAN: 'ERR_DDI_FILE_SYSTEM',
  })
}

interface OpenedFile extends AsyncDisposable {
  readonly place: OpenedInRoot
  readonly handle: FileHandle
}

async function openFile(root: Root, path: string): Promise<OpenedFile> {
  const place = await root.open(path, constants.O_RDONLY)
  try {
    const handle = await handleOf(place)
    return {
      place,
      handle,
      async [Symbol.asyncDispose]() {
        await handle.close()
        await place[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await place[Symbol.asyncDispose]()
    throw systemError(error, `cannot read ${path}`)
  }
}

/** Options of {@link copyFrom} and {@link copyTo}. */
export interface CopyOptions extends Work {
  /**
   * Keeps user and group, and with them set-ID bits, which without are not kept either: a program must not get other rights than its
   * owner gave it. Default: for directories, and not for files.
   */
  readonly ownership?: boolean
}
const copyOptionNames: OptionNames<CopyOptions> = { ...workNames, ownership: true }

/**
 * Copies a file or directory out of a tree.
 * @param path within the tree; links in it lead nowhere else
 * @param target a new path, or a stream, which a file is written to and which stays open
 * @throws ERR_DDI_NOT_FOUND, ERR_DDI_EXISTS, ERR_DDI_USAGE for a directory and a stream, ERR_DDI_PERMISSION for what only a
 *   mount can read, ERR_DDI_ABORTED; what was copied to a new path is removed then
 */
export async function copyFrom(
  tree: Tree,
  path: string,
  target: string | Writable,
  options: CopyOptions = {},
): Promise<void> {
  checkOptions(options, copyOptionNames, 'copyFrom')
  const { root, unread } = tree
  const inside = relative('/', join('/', path))
  if (unread.some((place) => isWithin(inside, place)))
    throw new DdiError('ERR_DDI_PERMISSION', `${path} can only be read if the image is mounted (run as root?)`)
  await using opened = await openFile(root, path)
  const { handle, place } = opened
  const stats = await handle.stat()
  if (typeof target !== 'string') {
    if (!stats.isFile()) throw new DdiError('ERR_DDI_USAGE', `${path} is not a file: name a directory to copy it to`)
    await passOn(handle, target, { path, size: stats.size, work: options })
    return
  }
  const from = await place.realPath()
  const missing = unread.find((one) => isWithin(one, relative(root.path, from)))
  if (missing !== undefined)
    throw new DdiError('ERR_DDI_PERMISSION', `${missing} can only be read if the image is mounted (run as root?)`)
  await refuseExisting(target)
  await copyAll(from, target, { replace: false, ownership: stats.isDirectory(), ...options })
}

interface Copying extends Required<Pick<CopyOptions, 'ownership'>>, Work {
  /** What has the name of the copy already. */
  readonly replace: boolean
}

/** Copies a file or directory, all or nothing. */
async function copyAll(
  from: string,
  target: string,
  { replace, ownership, signal, onProgress }: Copying,
): Promise<void> {
  // Nobody else may enter it: cp, which would follow a link that waits for it, finds none.
  await using directory = await openScratchDirectory(target)
  const copied = `${directory.held}/copy`
  const kept = ownership ? [] : ['--no-preserve=ownership']
  const copying = ['cp', '--archive', ...kept, '--no-target-directory', '--', from, copied] as const
  const place = { from, to: copied, part: basename(target) }
  await watchCopy(runTool({ command: copying, package: 'coreutils' }, signal), place, { onProgress })
  if (!ownership) {
    const privileged = ['!', '-type', 'l', '-perm', '/6000'] as const
    const plain = ['find', copied, ...privileged, '-exec', 'chmod', 'ug-s', '{}', '+'] as const
    await runTool({ command: plain, package: 'findutils' }, signal)
  }
  await giveName(copied, target, replace).catch((error: unknown) => {
    throw systemError(error, `cannot create ${target}`)
  })
}

/**
 * Copies a file or directory into a tree: a directory, or an image that is mounted for writing. Links in the tree lead nowhere else.
 * @param source a path outside
 * @param path within the tree; what is there is replaced if it is a file, once all of the new one is there
 * @throws ERR_DDI_NOT_FOUND for the source, and for the directory it would go to; ERR_DDI_EXISTS, ERR_DDI_PERMISSION if the file
 *   system is read-only, ERR_DDI_ABORTED
 */
export async function copyTo(tree: Tree, source: string, path: string, options: CopyOptions = {}): Promise<void> {
  checkOptions(options, copyOptionNames, 'copyTo')
  const stats = await lstat(source).catch((error: unknown) => {
    throw systemError(error, `cannot copy ${source}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  })
  const parent = await tree.root
    .open(join('/', path, '..'), constants.O_RDONLY | constants.O_DIRECTORY)
    .catch((error: unknown) => {
      if (isMissing(error)) throw new DdiError('ERR_DDI_NOT_FOUND', `there is no directory for ${path} in the image`)
      throw error
    })
  await using _ = parent
  await access(`/proc/${process.pid}/fd/${parent.fd}`, constants.W_OK).catch((error: unknown) => {
    const why = systemCode(error) === 'EROFS' ? ': it is read-only, or of a kind that nothing can be copied into' : ''
    throw systemError(error, `cannot write to the file system of the image${why}`, { EROFS: 'ERR_DDI_PERMISSION' })
  })
  // The directory is held, whoever renames it; what has this name in it must not be a link.
  const target = `/proc/${process.pid}/fd/${parent.fd}/${basename(path)}`
  const there = await lstat(target).catch(() => undefined)
  if (there?.isSymbolicLink())
    throw new DdiError('ERR_DDI_EXISTS', `${path} is a symbolic link in the image: name its target`)
  if (there && (!there.isFile() || stats.isDirectory()))
    throw new DdiError('ERR_DDI_EXISTS', `${path} exists in the image`)
  await copyAll(source, target, { replace: there !== undefined, ownership: stats.isDirectory(), ...options })
}

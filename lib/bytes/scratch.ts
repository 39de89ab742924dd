import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, realpath, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { addon } from '../../bindings/addon.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { runTool } from '../tool.js'
import { nodeCrypto } from './crypto.js'

/** Names for what is temporary. All that has one is removed when the scratch is disposed of. */
export interface Scratch extends AsyncDisposable {
  /** How the paths of all that is temporary begin; a dot and a word of the user's follow. */
  readonly prefix: string
}

const lockSuffix = '.lock'

/**
 * Claims names for what is temporary, beside what it is for. Who was killed leaves some: a lock goes with its process, so
 * that what an unlocked name begins with is nobody's, and the next to claim names for the same path removes it.
 * @throws ERR_DDI_NOT_FOUND for the directory, ERR_DDI_NO_SPACE, ERR_DDI_PERMISSION
 */
export async function openScratch(path: string): Promise<Scratch> {
  return await claimNames(path)
}

async function claimNames(path: string): Promise<Scratch & { readonly lock: FileHandle }> {
  const directory = dirname(path)
  // A name may have 255 bytes, those here included.
  const name = [...basename(path)].slice(0, 50).join('')
  try {
    await sweep(directory, name)
    for (;;) {
      const prefix = join(directory, `.${name}.${nodeCrypto().randomBytes(6).toString('hex')}`)
      const lock = await lockNew(`${prefix}${lockSuffix}`)
      if (lock) return { prefix, lock, [Symbol.asyncDispose]: () => giveUp(prefix, lock) }
    }
  } catch (error) {
    throw cannotMake(path, error)
  }
}

/** A directory among what is temporary, which only this user may enter. */
export interface ScratchDirectory extends AsyncDisposable {
  /** Without links. */
  readonly path: string
  /** Leads to it from this process and those that it starts, whoever renames it, or what it lies in. */
  readonly held: string
}

/** Makes a temporary directory, named after a path. @throws as {@link openScratch} */
export async function openScratchDirectory(path: string): Promise<ScratchDirectory> {
  const scratch = await claimNames(path)
  const dispose = () => scratch[Symbol.asyncDispose]()
  try {
    const directory = `${scratch.prefix}.d`
    await mkdir(directory, { mode: 0o700 })
    const handle = await openMade(directory, scratch.lock)
    return {
      path: await realpath(directory),
      held: `/proc/${process.pid}/fd/${handle.fd}`,
      async [Symbol.asyncDispose]() {
        await handle.close()
        await dispose()
      },
    }
  } catch (error) {
    await dispose()
    throw cannotMake(path, error)
  }
}

/**
 * Opens a directory that we made, unless whoever may write to the one above put another there.
 * @param lock what we make there has its owner; some file systems keep neither owners nor modes
 */
async function openMade(path: string, lock: FileHandle): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  const [made, like] = await Promise.all([handle.stat(), lock.stat()])
  const isOpen = ({ mode }: { readonly mode: number }) => (mode & 0o077) !== 0
  if (made.uid === like.uid && (!isOpen(made) || isOpen(like))) return handle
  await handle.close()
  throw new DdiError('ERR_DDI_EXISTS', `${path} is not the directory that was made there`)
}

function cannotMake(path: string, error: unknown): DdiError {
  const codes = { ENOENT: 'ERR_DDI_NOT_FOUND', ENOTDIR: 'ERR_DDI_NOT_FOUND' } as const
  return systemError(error, `cannot make temporary files in ${dirname(path)}`, codes)
}

/** @returns undefined if somebody who sweeps took it for left before it was locked */
async function lockNew(path: string): Promise<FileHandle | undefined> {
  const handle = await open(path, 'wx', 0o600)
  const isOurs = await tryLock(handle, path)
  // Where nothing can be locked, nobody removes what others left.
  if (isOurs !== 'held' && (await leadsTo(path, handle))) return handle
  await handle.close()
  return undefined
}

async function tryLock(handle: FileHandle, path: string): Promise<'locked' | 'held' | 'impossible'> {
  try {
    await addon().lockExclusively(handle.fd, path)
    return 'locked'
  } catch (error) {
    return systemCode(error) === 'EAGAIN' ? 'held' : 'impossible'
  }
}

async function leadsTo(path: string, handle: FileHandle): Promise<boolean> {
  const [there, ours] = await Promise.all([lstat(path).catch(() => undefined), handle.stat()])
  return there !== undefined && there.dev === ours.dev && there.ino === ours.ino
}

async function giveUp(prefix: string, lock: FileHandle): Promise<void> {
  // What cannot be removed now, whoever sweeps next will try to.
  await removeAll(prefix).catch(() => undefined)
  await lock.close()
}

/** Removes what others left whose process is gone. What cannot be removed stays: it is in nobody's way. */
async function sweep(directory: string, name: string): Promise<void> {
  const begin = `.${name}.`
  for (const lock of await readdir(directory))
    if (lock.startsWith(begin) && /^[0-9a-f]{12}\.lock$/.test(lock.slice(begin.length)))
      await removeIfLeft(join(directory, lock)).catch(() => undefined)
}

async function removeIfLeft(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = await handle.stat()
    const isOurs = stats.isFile() && stats.size === 0 && stats.nlink === 1 && stats.uid === process.geteuid?.()
    if (!isOurs || (await tryLock(handle, path)) !== 'locked' || !(await leadsTo(path, handle))) return
    await removeAll(path.slice(0, -lockSuffix.length))
  } finally {
    await handle.close()
  }
}

/** The lock goes last: whatever has the prefix has a lock. */
async function removeAll(prefix: string): Promise<void> {
  const directory = dirname(prefix)
  const names = (await readdir(directory)).filter((one) => one.startsWith(`${basename(prefix)}.`))
  const lock = `${basename(prefix)}${lockSuffix}`
  for (const name of names) if (name !== lock) await remove(join(directory, name))
  await rm(`${prefix}${lockSuffix}`, { force: true })
}

/** What is mounted is not ours, not even on a directory that is. */
async function remove(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory()) return await rm(path, { force: true })
  const careful = ['--one-file-system', '--preserve-root=all'] as const
  await runTool({ command: ['rm', '--recursive', '--force', ...careful, '--', path], package: 'coreutils' })
}

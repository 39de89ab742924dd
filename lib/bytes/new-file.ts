import { link, mkdir, open, realpath, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DdiError, systemCode, systemError } from '../errors.js'
import { exists } from './exists.js'
import { createFile, describeKind, type FileTarget, growAround } from './file.js'
import { openScratch } from './scratch.js'

export interface NewFileOptions {
  /** Replaces a file that exists. Default: false. */
  readonly replace?: boolean
  /** What it is made from: files that it does not replace, whatever names they have. */
  readonly from?: readonly string[]
  /** A file on the same file system that may become this one, its bytes at `start`: saves copying them. */
  readonly around?: { readonly path: string; readonly start: number } | undefined
}

/**
 * Creates a file, all or nothing: it has a temporary name until `write` is done and every byte is on the disk.
 * @param size in bytes; what `write` leaves out is a hole
 * @param write its second argument says whether the bytes of `around` are in place already
 * @throws ERR_DDI_EXISTS, ERR_DDI_USAGE if it would replace one of `from`, ERR_DDI_PERMISSION, ERR_DDI_NOT_FOUND for the directory, ERR_DDI_NO_SPACE, and what `write` throws;
 *   nothing is left then
 */
export async function writeNewFile<Result>(
  path: string,
  size: number,
  write: (target: FileTarget, hasBytes: boolean) => Promise<Result>,
  { around, ...options }: NewFileOptions = {},
): Promise<Result> {
  await refuseNewFile(path, options)
  const { replace = false } = options
  await using scratch = await openScratch(path)
  const temporary = `${scratch.prefix}.new`
  const grown = around && (await growAround(around.path, around.start, size))
  if (grown) await rename(grown.path, temporary)
  const target = grown ?? (await createFile(temporary, size))
  try {
    let result: Result
    try {
      result = await write(target, grown !== undefined)
      await target.flush()
    } finally {
      await target.close()
    }
    await giveName(temporary, path, replace)
    return result
  } catch (error) {
    throw systemError(error, `cannot create ${path}`)
  }
}

/** Refuses what {@link writeNewFile} would refuse before it writes. @throws as that */
export async function refuseNewFile(
  path: string,
  { replace = false, from = [] }: Omit<NewFileOptions, 'around'> = {},
): Promise<void> {
  await refuseSpecial(path)
  if (!replace) await refuseExisting(path)
  await refuseReplacing(path, from)
}

/** Refuses to replace what a file is made from, whatever names that has. @throws ERR_DDI_USAGE */
export async function refuseReplacing(path: string, from: readonly string[]): Promise<void> {
  const [replaced, ...others] = await Promise.all(
    [path, ...from].map((name) => stat(name, { bigint: true }).catch(() => undefined)),
  )
  const same = from.find((_, n) => replaced && others[n]?.dev === replaced.dev && others[n].ino === replaced.ino)
  if (same !== undefined)
    throw new DdiError('ERR_DDI_USAGE', `${path} is ${same}, which it is made from: name another file`)
}

function taken(path: string): DdiError {
  return new DdiError('ERR_DDI_EXISTS', `${path} exists`)
}

/**
 * Makes a directory, and those above it. That of Node.js tries for ever where a file system, such as /proc, takes none.
 * @param mode of the last one, if it is made; the umask may take bits away
 * @throws ERR_DDI_NOT_FOUND if something else is in the way, ERR_DDI_PERMISSION, ERR_DDI_NO_SPACE
 */
export async function makeDirectories(path: string, mode = 0o777): Promise<void> {
  try {
    await makeDirectory(path, true, mode)
  } catch (error) {
    const missing = 'ERR_DDI_NOT_FOUND'
    const codes = { ENOENT: missing, ENOTDIR: missing, EEXIST: missing } as const
    throw systemError(error, `cannot make the directory ${path}`, codes)
  }
}

async function makeDirectory(path: string, withParents: boolean, mode: number): Promise<void> {
  try {
    await mkdir(path, mode)
  } catch (error) {
    const isThere = await stat(path).then(
      (stats) => stats.isDirectory(),
      () => false,
    )
    if (isThere) return
    if (!withParents || systemCode(error) !== 'ENOENT' || dirname(path) === path) throw error
    await makeDirectory(dirname(path), true, 0o777)
    await makeDirectory(path, false, mode)
  }
}

/** @throws ERR_DDI_EXISTS */
export async function refuseExisting(path: string): Promise<void> {
  if (await exists(path)) throw taken(path)
}

/**
 * Refuses to put something new in the place of something that is no file: what was meant is to write to it. Links are followed.
 * @throws ERR_DDI_EXISTS, ERR_DDI_PERMISSION
 */
export async function refuseSpecial(path: string, mayBeDirectory = false): Promise<void> {
  // A device that is not there (any more) would become a file in memory.
  const directory = await realpath(dirname(path)).catch(() => dirname(path))
  if (/^\/dev(\/|$)/.test(directory) && !/^\/dev\/shm(\/|$)/.test(directory))
    throw new DdiError('ERR_DDI_EXISTS', `${path} lies in /dev, which has devices, not files`)
  const stats = await stat(path).catch((error: unknown) => {
    // Whether its directory can be made is found out later.
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot stat ${path}`)
  })
  if (!stats || stats.isFile() || (stats.isDirectory() && mayBeDirectory)) return
  throw new DdiError('ERR_DDI_EXISTS', `${path} is ${describeKind(stats)}, which a new file cannot take the place of`)
}

/**
 * Gives a file its final name, durably. Unlike a rename, a hard link replaces nothing; on file systems without hard links a
 * check just before has to do. The temporary name may be left.
 * @throws ERR_DDI_EXISTS unless `replace`
 */
export async function giveName(temporary: string, path: string, replace: boolean): Promise<void> {
  if (replace) await rename(temporary, path)
  else await nameNew(temporary, path)
  await flushDirectory(dirname(path))
}

async function nameNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST') throw taken(path)
    if (!['EPERM', 'ENOTSUP', 'EMLINK'].includes(code ?? '')) throw error
    await refuseExisting(path)
    await rename(temporary, path)
  }
}

/** Makes the names in a directory durable. */
export async function flushDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

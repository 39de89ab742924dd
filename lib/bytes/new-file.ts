import { randomBytes } from 'node:crypto'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DdiError, systemCode, systemError } from '../errors.js'
import { createFile, type FileTarget, growAround } from './file.js'

export interface NewFileOptions {
  readonly replace?: boolean
  readonly around?: { readonly path: string; readonly start: number } | undefined
}

/**
 * Makes a file, all or nothing: it has another name until `write` is done and every byte is on the disk.
 * @param size in bytes; what `write` leaves out is a hole
 * @param options `replace`: an existing file is replaced, not refused; `around`: a file of ours on the same file system, which is
 *   given up, and whose bytes are at `start` already where `write` is told so
 * @throws ERR_DDI_EXISTS, ERR_DDI_PERMISSION, ERR_DDI_NOT_FOUND for the folder, ERR_DDI_NO_SPACE, and what `write` throws;
 *   nothing is left then
 */
export async function writeNewFile<Result>(
  path: string,
  size: number,
  write: (target: FileTarget, hasBytes: boolean) => Promise<Result>,
  { replace = false, around }: NewFileOptions = {},
): Promise<Result> {
  if (!replace) await refuseExisting(path)
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.new`)
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
    throw systemError(error, `cannot make ${path}`)
  } finally {
    await rm(temporary, { force: true })
  }
}

function taken(path: string): DdiError {
  return new DdiError('ERR_DDI_EXISTS', `${path} exists: remove it, or say that it may be replaced`)
}

/** Whether a path names something, be it a link that leads nowhere. @throws ERR_DDI_PERMISSION where that cannot be told */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false
    throw systemError(error, `cannot look at ${path}`)
  }
}

/** @throws ERR_DDI_EXISTS */
export async function refuseExisting(path: string): Promise<void> {
  if (await exists(path)) throw taken(path)
}

/**
 * Gives a file its final name, and makes that last. A link, unlike a renaming, replaces nothing; where there are no links, a
 * look just before has to do. The name before may be left.
 * @throws ERR_DDI_EXISTS unless `replace`
 */
export async function giveName(temporary: string, path: string, replace: boolean): Promise<void> {
  if (replace) await rename(temporary, path)
  else await nameNew(temporary, path)
  await flushFolder(dirname(path))
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

/** Makes what was named or renamed in a folder last. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

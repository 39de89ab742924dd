import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { systemCode } from '../errors.js'

/** Links are not followed, and nothing is waited for. */
const careful = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** The mode of what a pull keeps; the umask may take bits away. */
const ownMode = 0o644

/**
 * Whether nobody else can have written to a file: it is a regular one of our user, with one name, and no wider mode than we make.
 * Other files are neither believed nor written to.
 */
export function isOwn(stats: Stats): boolean {
  return (
    stats.isFile() && stats.uid === process.geteuid!() && stats.nlink === 1 && (stats.mode & 0o7777 & ~ownMode) === 0
  )
}

/** @returns undefined if something has that name already */
export async function createOwn(path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | careful
  return await open(path, flags, ownMode).catch(unless('EEXIST'))
}

/**
 * @param flags of open(2)
 * @returns undefined if there is no such file, or something else of that name, such as a link
 */
export async function openCarefully(path: string, flags: number): Promise<FileHandle | undefined> {
  return await open(path, flags | careful).catch(unless('ENOENT', 'ELOOP', 'ENXIO'))
}

function unless(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(systemCode(error) ?? '')) throw error
    return undefined
  }
}

/** @returns undefined if there is no such file of ours */
export async function readOwn(path: string): Promise<string | undefined> {
  const file = await openCarefully(path, constants.O_RDONLY)
  try {
    return file && isOwn(await file.stat()) ? await file.readFile('utf8') : undefined
  } finally {
    await file?.close()
  }
}

/** Writes a small file in place of whatever has its name. */
export async function writeOwn(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', ownMode)
  try {
    await file.writeFile(text)
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

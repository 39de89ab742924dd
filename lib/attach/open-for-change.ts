import { openFile, openFileForWriting } from '../bytes/file.js'
import { memoryOverlay } from '../bytes/overlay.js'
import type { OpenedFile, Target } from '../bytes/source.js'
import type { TableUsers } from '../disk/table.js'
import { DdiError } from '../errors.js'
import type { OptionNames } from '../options.js'
import { holdersOf, usersOfDevice, usersOfFile } from './disk-users.js'

/** Options of calls that open what they change. */
export interface DryRunOptions {
  /**
   * Tries changes: what would be refused is, what is returned is as it would be, and nothing is written. It takes permission to read,
   * and no lock. Default: false.
   */
  readonly dryRun?: boolean
}
export const dryRunNames: OptionNames<DryRunOptions> = { dryRun: true }

/** A file or block device that is changed. */
export type ChangedFile = Target & Pick<OpenedFile, 'path' | 'fd' | 'kind'>

/** Who uses it, what becomes of changes, and what ends them. */
export interface Opened {
  readonly users: TableUsers
  readonly dryRun: boolean
  readonly close: () => Promise<void>
}

/**
 * Opens a file or block device exclusively, and what is to be changed on it.
 * @param dryRun opens it for reading, and keeps what is written in memory
 * @throws as `openDisk`, and what `open` throws
 */
export async function openForChange<Table>(
  path: string,
  open: (file: ChangedFile, opened: Opened) => Promise<Table>,
  dryRun = false,
): Promise<Table> {
  const { file, close, isShared } = dryRun ? await openUnchanged(path) : await openExclusively(path)
  try {
    const users = file.kind === 'file' ? await usersOfFile(path) : await usersOfDevice(path, isShared)
    return await open(file, { users: dryRun ? unchanged(users) : users, dryRun, close })
  } catch (error) {
    await close()
    throw error
  }
}

async function openExclusively(path: string) {
  let isShared = false
  const file = await openFileForWriting(path).catch(async (error: unknown) => {
    // Of a block device that our own attachments hold, or partitions of which are in use, all else is ours to change.
    if (error instanceof DdiError && error.code === 'ERR_DDI_BUSY' && (await holdersOf(path)) === 'known') {
      isShared = true
      return await openFileForWriting(path, { exclusive: false })
    }
    throw error
  })
  return { file, close: () => file.close(), isShared }
}

async function openUnchanged(path: string) {
  const file = await openFile(path)
  const close = () => file.close()
  const holders = file.kind === 'file' ? 'none' : await holdersOf(path)
  if (holders === 'others') {
    await close()
    throw new DdiError('ERR_DDI_BUSY', `${path} is in use: it could not be opened to be changed`, { path })
  }
  const { fd, kind } = file
  return { file: { ...memoryOverlay(file), path, fd, kind }, close, isShared: holders === 'known' }
}

/** Refuses what is in use, and tells nobody of changes. */
function unchanged({ refuseUsed, grown }: TableUsers): TableUsers {
  return { refuseUsed, changed: async () => {}, ...(grown && { grown: async () => {} }) }
}

import { randomUUID } from 'node:crypto'
import { addon } from '../../bindings/addon.js'
import { copyFromFile } from '../bytes/copy-file.js'
import { extentTarget, linear } from '../bytes/extents.js'
import type { FileSource } from '../bytes/file.js'
import type { OpenedFile, Target } from '../bytes/source.js'
import type { VolumeHead } from '../disk/chain.js'
import { createChain } from '../disk/change.js'
import { type Disk, diskOn } from '../disk/disk.js'
import { heldBy } from '../disk/held.js'
import { scanDisk } from '../disk/scan.js'
import type { TableUsers } from '../disk/table.js'
import { DdiError } from '../errors.js'
import { backupLength, encodeNewDisk, newGpt } from '../gpt/create.js'
import type { Gpt } from '../gpt/table.js'
import { checkOptions, type OptionNames } from '../options.js'
import { type Work, workNames, workOn } from '../work.js'
import { type ChangedFile, type DryRunOptions, dryRunNames, type Opened, openForChange } from './open-for-change.js'

/** A volume that a disk begins with. */
export interface FirstVolume {
  readonly head: VolumeHead
  /** In bytes, rounded up to what segments are multiples of. */
  readonly size: number
  /** What it begins with, at most `size` bytes. Default: what lies there */
  readonly from?: FileSource
}

/** Options of {@link initDisk}. */
export interface InitDiskOptions extends Work, DryRunOptions {
  /** Overwrites what the disk holds. Default: false. */
  readonly force?: boolean
  /** Default: a random one. */
  readonly uuid?: string
  /** How many partitions the table can name, 128 to 4096: a volume takes one for each of its segments. Default: 128. */
  readonly entries?: number
  /** What is on the disk before the table is, and with it: without a table, the disk is as blank as before. Default: none. */
  readonly volumes?: readonly FirstVolume[]
}
const initDiskOptionNames: OptionNames<InitDiskOptions> = {
  force: true,
  uuid: true,
  entries: true,
  volumes: true,
  ...workNames,
  ...dryRunNames,
}
export const fewestEntries = 128
export const mostEntries = 4096

/** How much of the beginning of a disk no partition uses, in bytes. */
const beforePartitions = 1024 * 1024

/**
 * Makes a new GPT on a disk image or block device, empty but for what is asked for.
 * @throws ERR_DDI_EXISTS unless forced, if it holds a table, a super partition, what libblkid knows, or any other bytes than
 *   zeroes where the GPT goes; ERR_DDI_USAGE if it is too small; ERR_DDI_NO_SPACE if it is for the volumes; ERR_DDI_ABORTED; and as
 *   {@link openDisk}
 */
export async function initDisk(path: string, options: InitDiskOptions = {}): Promise<Disk> {
  checkOptions(options, initDiskOptionNames, 'initDisk')
  const { volumes = [], signal, onProgress, dryRun } = options
  const make = async (file: ChangedFile, opened: Opened) => {
    const { table, places } = await layOut(file, opened.users, options)
    // Where another table was, nothing is named while volumes are written over what it names.
    await blank(file, table)
    for (const [index, { head, from }] of volumes.entries()) {
      const work = workOn(head.label, { signal, onProgress })
      if (from && !dryRun) await copyFromFile(from, extentTarget(file, linear(places[index]!)), from.size, work)
    }
    await file.flush()
    for (const { offset, bytes } of encodeNewDisk(table, file.size)) await file.write(offset, bytes)
    await file.flush()
    await opened.users.changed()
    return await diskOn(file, path, opened)
  }
  return await openForChange(path, make, dryRun)
}

/** What a new table on a file or block device counts in, in bytes. */
export async function sectorSizeOf({ kind, fd, path }: Omit<OpenedFile, 'size' | 'identity'>): Promise<number> {
  return kind === 'file' ? 512 : (await addon().blockGeometry(fd, path)).sectorSize
}

/**
 * Takes a table away again, unless the disk has another one by now: what only that named is gone.
 * @param uuid of the table
 * @throws as {@link openDisk}
 */
export async function blankDisk(path: string, uuid: string): Promise<void> {
  await openForChange(path, async (file, { users, close }) => {
    const scan = await scanDisk(file)
    if ('table' in scan && scan.table.uuid === uuid) {
      await users.refuseUsed([{ start: 0, length: file.size }])
      await blank(file, scan.table)
      await file.flush()
      await users.changed()
    }
    await close()
  })
}

/** Zeroes where both copies of a table are. */
async function blank(file: Target, { usableEnd }: Gpt): Promise<void> {
  await file.write(0, new Uint8Array(beforePartitions))
  await file.write(usableEnd, new Uint8Array(file.size - usableEnd))
}

/** A table for a disk, and where its volumes lie on it. @throws as {@link initDisk} */
async function layOut(
  file: ChangedFile,
  users: TableUsers,
  { force = false, uuid = randomUUID(), entries = fewestEntries, volumes = [] }: InitDiskOptions,
) {
  const { path } = file
  if (!Number.isInteger(entries) || entries < fewestEntries || entries > mostEntries)
    throw new DdiError('ERR_DDI_USAGE', `invalid number of entries ${entries}: ${fewestEntries} to ${mostEntries}`)
  const sectorSize = await sectorSizeOf(file)
  if (file.size < 2 * beforePartitions)
    throw new DdiError('ERR_DDI_USAGE', `${path} has ${file.size} bytes: a GPT needs ${2 * beforePartitions} at least`)
  await users.refuseUsed([{ start: 0, length: file.size }])
  const held = await overwritten(file, sectorSize)
  if (held !== undefined && !force)
    throw new DdiError('ERR_DDI_EXISTS', `${path} holds data already, and a GPT would destroy it: ${held} exists on it`)
  let table = newGpt(file.size, sectorSize, uuid, [], entries)
  const places = volumes.map(({ head, size }) => {
    const change = createChain(table, head, size)
    table = change.table
    return change.chain
  })
  return { table, places }
}

/** What a new GPT on a disk would overwrite, for people; undefined if nothing but zeroes. */
async function overwritten(file: ChangedFile, sectorSize: number): Promise<string | undefined> {
  const scan = await scanDisk(file)
  if (!('code' in scan)) return 'a GPT'
  const held = await heldBy(file)
  if (held !== undefined) return held
  if (scan.code !== 'ERR_DDI_NO_TABLE') return 'what is left of a GPT'
  const behind = backupLength(sectorSize)
  const places = [await file.read(0, beforePartitions), await file.read(file.size - behind, behind)]
  return places.every((bytes) => bytes.every((byte) => byte === 0)) ? undefined : 'data of no format known here'
}

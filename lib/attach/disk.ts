import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { deviceNumber, type FileTarget, openFileForWriting } from '../bytes/file.js'
import type { LinearExtent, Run } from '../bytes/source.js'
import { type Disk, diskOn } from '../disk/disk.js'
import { heldBy } from '../disk/held.js'
import { noUsers, type TableUsers } from '../disk/table.js'
import type { WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { type ListedLoop, listLoops, loopBackings } from '../kernel/loop.js'
import { mountPoints } from '../kernel/mounts.js'
import { syncPartitionNodes, usedPartitions } from '../kernel/partitions.js'
import type { LinearTarget } from '../kernel/targets.js'
import { beginUdevTransaction } from '../kernel/udev.js'
import { checkOptions, type OptionNames } from '../options.js'
import { foreignLoops } from './foreign-loops.js'
import { type FoundAttachment, findAttachments, linearDevices } from './list.js'
import { parseLoopReference, uuidPrefix } from './names.js'

/**
 * Opens a disk image or block device to change its volumes. What is attached of it meanwhile is protected: volumes in use
 * may grow, and their devices with them, but are neither cut, moved nor removed.
 * @throws as `openFile` and `readGpt`, and ERR_DDI_BUSY if someone else uses the disk: another process that changes it, a
 *   loop device that ddi did not create, or who holds the block device
 */
export async function openDisk(path: string, options: OpenDiskOptions = {}): Promise<Disk> {
  checkOptions(options, openDiskOptionNames, 'openDisk')
  const { table, force = false } = options
  return await openForChange(
    path,
    async (file, opened) =>
      await diskOn(file, path, table ? { ...opened, rescue: { held: await heldBy(file), force } } : opened),
  )
}

/** Options of {@link openDisk}. */
export interface OpenDiskOptions {
  /** Reads the backup table at the end of the disk, whatever lies before it; a repair puts it back. Default: as the disk is. */
  readonly table?: 'backup'
  /** With `table`: overwrites a file system or other table that lies where the primary table goes. Default: false. */
  readonly force?: boolean
}
const openDiskOptionNames: OptionNames<OpenDiskOptions> = { table: true, force: true }

/** Opens a file or block device exclusively, and what is to be changed on it. @throws as {@link openDisk}, and what `open` throws */
export async function openForChange<Table>(
  path: string,
  open: (
    file: FileTarget,
    options: { readonly users: TableUsers; readonly close: () => Promise<void> },
  ) => Promise<Table>,
): Promise<Table> {
  let isShared = false
  const file = await openFileForWriting(path).catch(async (error: unknown) => {
    // Of a block device that our own attachments hold, or partitions of which are in use, all else is ours to change.
    if (error instanceof DdiError && error.code === 'ERR_DDI_BUSY' && (await areHoldersKnown(path))) {
      isShared = true
      return await openFileForWriting(path, { exclusive: false })
    }
    throw error
  })
  try {
    const users = file.kind === 'file' ? await usersOfFile(path) : await usersOfDevice(path, isShared)
    return await open(file, { users, close: () => file.close() })
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * The device that offers a volume of a disk, if the volume is attached as it is now.
 * @returns its path, or undefined
 */
export async function attachedDevice(volume: WholeVolume<LinearExtent>, path: string): Promise<string | undefined> {
  const real = await realpath(path)
  const offered = (await findAttachments())
    .filter(({ image }) => image === real)
    .flatMap(({ mapped }) => mapped.filter(({ role }) => role === 'volume'))
  const same = (await linearDevices(offered)).find(
    ({ extents }) => extents.length === volume.extents.length && isBeginning(extents, volume.extents),
  )
  return same && mapperPath(same.device.name)
}

/** `major:minor` of the devices through which an attachment uses a disk; none if it does not use it. */
type BasesOf = (attachment: FoundAttachment) => readonly string[]

/** Who uses an image file. */
async function usersOfFile(path: string): Promise<TableUsers> {
  const { dev, ino } = await stat(path, { bigint: true })
  if (!(await isBacking(dev, ino))) return noUsers
  const isOver = (loop: ListedLoop) => loop.backingDevice === String(dev) && loop.backingInode === String(ino)
  const loops = (await listLoops()).filter(isOver)
  const foreign = loops.find(({ reference }) => !parseLoopReference(reference))
  if (foreign)
    throw new DdiError(
      'ERR_DDI_BUSY',
      `${foreign.device} is backed by ${path} and was not created by ddi: detach it first`,
      {
        path: foreign.device,
      },
    )
  const basesOf: BasesOf = (attachment) => attachment.loops.filter(isOver).map(({ deviceNumber }) => deviceNumber)
  return { ...attachedUsers(path, basesOf), changed: async () => {} }
}

/**
 * Who uses a block device, the kernel's own view of its partitions included.
 * @param isShared it is in use, or partitions of it are
 */
async function usersOfDevice(path: string, isShared: boolean): Promise<TableUsers> {
  const device = await realpath(path)
  const number = deviceNumber((await stat(device)).rdev)
  const basesOf: BasesOf = ({ mapped, loops }) => [
    ...(mapped.some(({ under }) => under.includes(number)) ? [number] : []),
    ...loops.filter(({ backing }) => backing === device).map((loop) => loop.deviceNumber),
  ]
  const users = attachedUsers(path, basesOf)
  return {
    ...users,
    async refuseUsed(runs) {
      await users.refuseUsed(runs)
      const used = isShared ? (await usedPartitions(device)).find((one) => overlap([one], runs)) : undefined
      if (used)
        throw new DdiError('ERR_DDI_BUSY', `${used.path}, a partition of ${path}, is in use`, { path: used.path })
      const loop = (await foreignLoops(number)).find((one) => overlap([one], runs))
      if (loop)
        throw new DdiError(
          'ERR_DDI_BUSY',
          `${loop.path} lies over these bytes of ${path} and was not created by ddi: detach it first`,
          { path: loop.path },
        )
    },
    changed: () => syncPartitionNodes(device),
  }
}

/** Whether those who hold a block device are known: device-mapper devices of ours, and who uses its partitions. */
async function areHoldersKnown(path: string): Promise<boolean> {
  const device = await realpath(path)
  if (!(await stat(device)).isBlockDevice()) return false
  const holders = await readdir(`/sys/class/block/${basename(device)}/holders`).catch(() => [])
  const uuids = await Promise.all(
    holders.map((name) => readFile(`/sys/class/block/${name}/dm/uuid`, 'utf8').catch(() => '')),
  )
  if (!uuids.every((uuid) => uuid.startsWith(uuidPrefix))) return false
  if ((await mountPoints()).has(deviceNumber((await stat(device)).rdev))) return false
  return uuids.length > 0 || (await usedPartitions(device)).length > 0
}

function attachedUsers(path: string, basesOf: BasesOf): Required<Omit<TableUsers, 'changed'>> {
  return {
    async refuseUsed(runs) {
      for (const attachment of await findAttachments()) {
        const used = await findUsed(attachment, basesOf(attachment), runs)
        if (used !== undefined)
          throw new DdiError('ERR_DDI_BUSY', `${used} offers this volume of ${path}: detach it first`, { path: used })
      }
    },
    async grown(volume) {
      for (const attachment of await findAttachments()) await growAttached(attachment, basesOf(attachment), volume)
    },
  }
}

/** Whether a loop device is backed by a file, as far as can be told without privileges: few files need a closer look. */
async function isBacking(dev: bigint, ino: bigint): Promise<boolean> {
  for (const { backing } of await loopBackings()) {
    const stats = await stat(backing, { bigint: true }).catch(() => undefined)
    if (stats?.dev === dev && stats.ino === ino) return true
  }
  return false
}

function overlap(a: readonly Run[], b: readonly Run[]): boolean {
  return a.some((one) => b.some((two) => one.start < two.start + two.length && two.start < one.start + one.length))
}

/** The path of a device that uses any of these runs of a disk. @param bases the devices of the disk under the attachment */
async function findUsed(
  { mapped, loops }: FoundAttachment,
  bases: readonly string[],
  runs: readonly Run[],
): Promise<string | undefined> {
  for (const { device, extents } of await linearDevices(mapped)) {
    const ofDisk = extents.filter((extent) => bases.includes(extent.device))
    if (overlap(ofDisk, runs)) return mapperPath(device.name)
  }
  // Without device-mapper each volume is a loop device at an offset.
  return loops.find(
    ({ deviceNumber, offset, sizeLimit }) =>
      bases.includes(deviceNumber) && sizeLimit > 0 && overlap([{ start: offset, length: sizeLimit }], runs),
  )?.device
}

/** Gives the device that offers a volume the volume's new end. */
async function growAttached(
  { mapped }: FoundAttachment,
  bases: readonly string[],
  volume: WholeVolume<LinearExtent>,
): Promise<void> {
  const offered = mapped.filter(({ kind, role }) => kind === 'linear' && role === 'volume')
  for (const { device, extents } of await linearDevices(offered)) {
    const base = extents[0]?.device
    if (base === undefined || !bases.includes(base) || !isBeginning(extents, volume.extents)) continue
    const mapper = await openDeviceMapper()
    if (!mapper) return
    const udev = await beginUdevTransaction()
    try {
      const grown = volume.extents.map((extent): LinearTarget => ({ ...extent, device: base }))
      await mapper.reload(device.name, grown, device.readOnly, udev)
    } finally {
      await udev.settle()
      await mapper[Symbol.asyncDispose]()
    }
  }
}

/** Whether `long` begins with `short`, whose last extent may be shorter. */
function isBeginning(short: readonly Run[], long: readonly Run[]): boolean {
  return (
    short.length > 0 &&
    short.every(({ start, length }, n) => {
      const other = long[n]
      const last = n === short.length - 1
      return other !== undefined && other.start === start && (last ? other.length >= length : other.length === length)
    })
  )
}

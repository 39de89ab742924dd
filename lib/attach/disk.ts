import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { type FileTarget, openFileForWriting } from '../bytes/file.js'
import type { LinearExtent, Run } from '../bytes/source.js'
import { type Disk, type DiskUsers, diskOn } from '../disk/disk.js'
import type { WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { type ListedLoop, listLoops, loopBackings } from '../kernel/loop.js'
import { mountPoints } from '../kernel/mounts.js'
import { syncPartitionNodes } from '../kernel/partitions.js'
import type { LinearTarget } from '../kernel/targets.js'
import { beginUdevTransaction } from '../kernel/udev.js'
import { type FoundAttachment, findAttachments } from './list.js'
import { parseLoopReference, uuidPrefix } from './names.js'

/**
 * Opens a disk image or block device to change its volumes. What is attached of an image meanwhile is protected: volumes
 * in use may grow, and their devices with them, but are neither cut, moved nor removed.
 * @throws as `openFile` and `readGpt`, and ERR_DDI_BUSY where someone else uses the disk: another process that changes it,
 *   a loop device that is not ours, and for a block device whoever holds it
 */
export async function openDisk(path: string): Promise<Disk> {
  const { file, users } = await openForChange(path)
  const close = () => file.close()
  try {
    return await diskOn(file, path, { close, ...(users && { users }) })
  } catch (error) {
    await close()
    throw error
  }
}

/** What is to be changed, open for us alone, and who stands on it. @throws as {@link openDisk} */
export async function openForChange(
  path: string,
): Promise<{ readonly file: FileTarget; readonly users: DiskUsers | undefined }> {
  const file = await openFileForWriting(path).catch(async (error: unknown) => {
    // A block device that only our own attachments hold is ours to change.
    if (error instanceof DdiError && error.code === 'ERR_DDI_BUSY' && (await isHeldByUsOnly(path)))
      return await openFileForWriting(path, { exclusive: false })
    throw error
  })
  try {
    return { file, users: file.kind === 'file' ? await usersOfFile(path) : await usersOfDevice(path) }
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * The device that offers a volume of a disk, where it is attached as it is now.
 * @returns `/dev/mapper/…`, or undefined
 */
export async function attachedDevice(volume: WholeVolume<LinearExtent>, path: string): Promise<string | undefined> {
  const real = await realpath(path)
  const names = (await findAttachments())
    .filter(({ image }) => image === real)
    .flatMap(({ mapped }) => mapped.map(({ name }) => name))
  const same = (await linearDevices(names)).find(
    ({ extents }) => extents.length === volume.extents.length && isBeginning(extents, volume.extents),
  )
  return same && mapperPath(same.name)
}

type IsOver = (attachment: FoundAttachment) => boolean

/** What stands on an image file; undefined where nothing does. */
async function usersOfFile(path: string): Promise<DiskUsers | undefined> {
  const { dev, ino } = await stat(path, { bigint: true })
  if (!(await isBacking(dev, ino))) return undefined
  const isOver = (loop: ListedLoop) => loop.backingDevice === String(dev) && loop.backingInode === String(ino)
  const loops = (await listLoops()).filter(isOver)
  const foreign = loops.find(({ reference }) => !parseLoopReference(reference))
  if (foreign)
    throw new DdiError('ERR_DDI_BUSY', `${foreign.device} lies over ${path}, and is not ours: detach it first`, {
      path: foreign.device,
    })
  return { ...attachedUsers(path, (attachment) => attachment.loops.some(isOver)), changed: async () => {} }
}

/** What stands on a block device, the kernel's own view of its partitions included. */
async function usersOfDevice(path: string): Promise<DiskUsers> {
  const device = await realpath(path)
  return { ...attachedUsers(path, ({ image }) => image === device), changed: () => syncPartitionNodes(device) }
}

/** Who holds a block device are device-mapper devices of ours, and nobody has mounted it or a partition of it. */
async function isHeldByUsOnly(path: string): Promise<boolean> {
  const folder = `/sys/class/block/${basename(await realpath(path))}`
  const holders = await readdir(`${folder}/holders`).catch(() => [])
  const uuids = await Promise.all(
    holders.map((name) => readFile(`/sys/class/block/${name}/dm/uuid`, 'utf8').catch(() => '')),
  )
  if (uuids.length === 0 || !uuids.every((uuid) => uuid.startsWith(uuidPrefix))) return false
  const numbers = [await readFile(`${folder}/dev`, 'utf8')]
  for (const name of await readdir(folder))
    numbers.push(await readFile(`${folder}/${name}/dev`, 'utf8').catch(() => ''))
  const mounts = await mountPoints()
  return !numbers.some((number) => mounts.has(number.trim()))
}

function attachedUsers(path: string, isOver: IsOver): Omit<DiskUsers, 'changed'> {
  const attachments = async () => (await findAttachments()).filter(isOver)
  return {
    async refuseUsed(extents) {
      for (const attachment of await attachments()) await refuseOverlap(path, attachment, extents)
    },
    async grown(volume) {
      for (const attachment of await attachments()) await growAttached(attachment, volume)
    },
  }
}

/** Whether a loop device lies over a file, as far as can be told without privileges: few files need us to look closer. */
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

async function refuseOverlap(path: string, { mapped, loops }: FoundAttachment, extents: readonly Run[]): Promise<void> {
  const busy = (device: string) =>
    new DdiError('ERR_DDI_BUSY', `${device} offers this volume of ${path}: detach it first`, { path: device })
  for (const { name, extents: used } of await linearDevices(mapped.map(({ name }) => name)))
    if (overlap(used, extents)) throw busy(mapperPath(name))
  // Without device-mapper each volume is a loop device at an offset.
  for (const { device, offset, sizeLimit } of loops)
    if (sizeLimit > 0 && overlap([{ start: offset, length: sizeLimit }], extents)) throw busy(device)
}

async function linearDevices(names: readonly string[]) {
  const mapper = await openDeviceMapper()
  if (!mapper) return []
  try {
    return await Promise.all(
      names.map(async (name) => {
        const table = await mapper.table(name)
        return { name, extents: table.filter((target): target is LinearTarget => target.kind === 'linear') }
      }),
    )
  } finally {
    await mapper[Symbol.asyncDispose]()
  }
}

/** Gives the device that offers a volume the volume's new end. */
async function growAttached({ mapped }: FoundAttachment, volume: WholeVolume<LinearExtent>): Promise<void> {
  const tops = mapped.filter(({ kind, node }) => kind === 'linear' && !/-(data|verity)$/.test(node))
  for (const { name, extents } of await linearDevices(tops.map((device) => device.name))) {
    if (!isBeginning(extents, volume.extents)) continue
    const mapper = await openDeviceMapper()
    if (!mapper) return
    const udev = await beginUdevTransaction()
    try {
      const { readOnly } = tops.find((device) => device.name === name)!
      const { device } = extents[0]!
      const grown = volume.extents.map((extent): LinearTarget => ({ ...extent, device }))
      await mapper.reload(name, grown, readOnly, udev)
    } finally {
      await udev.settle()
      await mapper[Symbol.asyncDispose]()
    }
  }
}

/** `long` goes on where `short` ends, its last extent perhaps longer. */
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

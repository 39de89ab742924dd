import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { deviceNumber } from '../bytes/file.js'
import type { LinearExtent, Run } from '../bytes/source.js'
import { noUsers, type TableUsers } from '../disk/table.js'
import type { WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { mapperPath, openDeviceMapper } from '../kernel/device-mapper.js'
import { type ListedLoop, listLoops, loopBackings } from '../kernel/loop.js'
import { mountPoints } from '../kernel/mounts.js'
import { syncPartitionNodes, usedPartitions } from '../kernel/partitions.js'
import type { LinearTarget } from '../kernel/targets.js'
import { beginUdevTransaction } from '../kernel/udev.js'
import { foreignLoops } from './foreign-loops.js'
import { type FoundAttachment, findAttachments, linearDevices } from './list.js'
import { parseLoopReference, uuidPrefix } from './names.js'

/** `major:minor` of the devices through which an attachment uses a disk; none if it does not use it. */
type BasesOf = (attachment: FoundAttachment) => readonly string[]

/** Who uses an image file. */
export async function usersOfFile(path: string): Promise<TableUsers> {
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
export async function usersOfDevice(path: string, isShared: boolean): Promise<TableUsers> {
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

/** Who holds a block device: nobody, only device-mapper devices of ours and who uses its partitions, or others too. */
export async function holdersOf(path: string): Promise<'none' | 'known' | 'others'> {
  const device = await realpath(path)
  if (!(await stat(device)).isBlockDevice()) return 'none'
  const holders = await readdir(`/sys/class/block/${basename(device)}/holders`).catch(() => [])
  const uuids = await Promise.all(
    holders.map((name) => readFile(`/sys/class/block/${name}/dm/uuid`, 'utf8').catch(() => '')),
  )
  if (!uuids.every((uuid) => uuid.startsWith(uuidPrefix))) return 'others'
  if ((await mountPoints()).has(deviceNumber((await stat(device)).rdev))) return 'others'
  return uuids.length > 0 || (await usedPartitions(device)).length > 0 ? 'known' : 'none'
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
export function isBeginning(short: readonly Run[], long: readonly Run[]): boolean {
  return (
    short.length > 0 &&
    short.every(({ start, length }, n) => {
      const other = long[n]
      const last = n === short.length - 1
      return other !== undefined && other.start === start && (last ? other.length >= length : other.length === length)
    })
  )
}

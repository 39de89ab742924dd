import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { addon, type ScannedTable } from '../../bindings/addon.js'
import { openFile } from '../bytes/file.js'
import type { Run } from '../bytes/source.js'
import { DdiError, errorCodes, systemCode, systemError } from '../errors.js'
import { mountPoints } from './mounts.js'

/**
 * Makes the partition nodes of a block device (`/dev/loop0p1`, …) from its GPT, for kernels built without GPT support.
 * The addon reads the table from the device.
 * @param device path of a whole block device that allows partitions (a loop device needs its partition-scan flag)
 * @returns the numbers of the table’s partitions, including those that had nodes
 * @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes, ERR_DDI_BUSY, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function addPartitionNodes(device: string): Promise<readonly number[]> {
  return await withDevice(device, async (fd) => {
    const { partitions } = await scanDevice(fd, device)
    for (const { number, start, length } of partitions) {
      try {
        await addon().blockAddPartition(fd, device, number, start, length)
      } catch (error) {
        // EBUSY: the number exists, or the range overlaps another partition.
        if (systemCode(error) !== 'EBUSY') throw systemError(error, `cannot add partition ${number}`)
      }
    }
    return partitions.map(({ number }) => number)
  })
}

/**
 * Removes partition nodes, as far as they exist.
 * @param device path of a whole block device
 * @param numbers of partitions
 * @throws ERR_DDI_BUSY, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function removePartitionNodes(device: string, numbers: readonly number[]): Promise<void> {
  await withDevice(device, async (fd) => {
    for (const number of numbers) {
      try {
        await addon().blockDeletePartition(fd, device, number)
      } catch (error) {
        if (systemCode(error) !== 'ENXIO')
          throw systemError(error, `cannot remove partition ${number}`, { EBUSY: 'ERR_DDI_BUSY' })
      }
    }
  })
}

/** A partition as the kernel or a table has it: both in bytes, from the beginning of the device. */
export interface NumberedRun extends Run {
  readonly number: number
}

/** A step from the kernel's partitions to those of a table. */
export interface PartitionChange extends NumberedRun {
  readonly kind: 'remove' | 'resize' | 'add'
}

/**
 * Makes the kernel's partitions of a block device those of its GPT: removes, adds, and resizes, in use or not, those of
 * which only the end differs. A device that allows no partitions is left alone.
 * @throws ERR_DDI_BUSY, ERR_DDI_PERMISSION, ERR_DDI_KERNEL, and the `ERR_DDI_GPT_…` codes
 */
export async function syncPartitionNodes(device: string): Promise<void> {
  const directory = `/sys/class/block/${basename(await realpath(device))}`
  // A device with one minor number allows no partitions.
  if ((await readNumber(`${directory}/ext_range`)) <= 1) return
  const present = await readPartitions(directory)
  await withDevice(device, async (fd) => {
    const { partitions } = await scanDevice(fd, device)
    for (const { kind, number, start, length } of partitionChanges(present, partitions)) {
      try {
        if (kind === 'remove') await addon().blockDeletePartition(fd, device, number)
        else if (kind === 'resize') await addon().blockResizePartition(fd, device, number, start, length)
        else await addon().blockAddPartition(fd, device, number, start, length)
      } catch (error) {
        const what = `the table of ${device} has changed, and the kernel cannot ${kind} its partition ${number}`
        throw systemError(error, what, { EBUSY: 'ERR_DDI_BUSY' })
      }
    }
  })
}

/** What to change, in an order in which no two partitions ever overlap: what gives space up comes first. */
export function partitionChanges(
  present: readonly NumberedRun[],
  wanted: readonly NumberedRun[],
): readonly PartitionChange[] {
  const targets = new Map(wanted.map((one) => [one.number, one]))
  const kept = present.filter(({ number, start }) => targets.get(number)?.start === start)
  const removed = present.filter((one) => !kept.includes(one))
  const numbers = new Set(kept.map(({ number }) => number))
  const resized = kept.flatMap(({ number, length }) => {
    const target = targets.get(number)!
    return target.length === length ? [] : [{ target, shrinks: target.length < length }]
  })
  const change = (kind: PartitionChange['kind'], { number, start, length }: NumberedRun): PartitionChange => {
    return { kind, number, start, length }
  }
  return [
    ...removed.map((one) => change('remove', one)),
    ...resized.filter(({ shrinks }) => shrinks).map(({ target }) => change('resize', target)),
    ...resized.filter(({ shrinks }) => !shrinks).map(({ target }) => change('resize', target)),
    ...wanted.filter(({ number }) => !numbers.has(number)).map((one) => change('add', one)),
  ]
}

/** A partition that somebody uses. */
export interface UsedPartition extends Run {
  readonly path: string
}

/**
 * The kernel's partitions of a disk that are mounted, swapped to, or under another device: they can be told from a disk that
 * somebody holds as a whole.
 * @param disk path of the device, links resolved
 */
export async function usedPartitions(disk: string): Promise<readonly UsedPartition[]> {
  const directory = `/sys/class/block/${basename(disk)}`
  const mounts = await mountPoints()
  const swaps = await readFile('/proc/swaps', 'utf8').catch(() => '')
  const used: UsedPartition[] = []
  for (const { name, start, length } of await readPartitions(directory)) {
    const path = join(dirname(disk), name)
    const device = (await readFile(`${directory}/${name}/dev`, 'utf8').catch(() => '')).trim()
    const holders = await readdir(`${directory}/${name}/holders`).catch(() => [])
    const isSwap = swaps.split('\n').some((line) => line.startsWith(`${path} `))
    if (mounts.has(device) || holders.length > 0 || isSwap) used.push({ path, start, length })
  }
  return used
}

/** The kernel's partitions of a device: a file has none. @param directory of the device in /sys; it counts in 512-byte sectors */
async function readPartitions(directory: string): Promise<readonly (NumberedRun & { readonly name: string })[]> {
  const partitions: (NumberedRun & { readonly name: string })[] = []
  for (const name of await readdir(directory).catch(() => [])) {
    const number = await readNumber(`${directory}/${name}/partition`)
    if (number === 0) continue
    const start = (await readNumber(`${directory}/${name}/start`)) * 512
    partitions.push({ name, number, start, length: (await readNumber(`${directory}/${name}/size`)) * 512 })
  }
  return partitions
}

async function readNumber(path: string): Promise<number> {
  return Number(await readFile(path, 'utf8').catch(() => '0'))
}

async function scanDevice(fd: number, device: string): Promise<ScannedTable> {
  const { size } = await addon().blockGeometry(fd, device)
  const scan = await addon().scanPartitions(fd, device, size)
  if ('code' in scan) throw new DdiError(scan.code, `${device}: ${errorCodes[scan.code][1]}`, { path: device })
  return scan.table
}

async function withDevice<Result>(device: string, use: (fd: number) => Promise<Result>): Promise<Result> {
  try {
    await using file = await openFile(device)
    if (file.kind !== 'block-device') throw new DdiError('ERR_DDI_IMAGE_KIND', `${device} is not a block device`)
    return await use(file.fd)
  } catch (error) {
    throw systemError(error, `cannot change the partitions of ${device}`)
  }
}

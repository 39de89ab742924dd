import { open, readdir, readFile, realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import { addon, type ScannedTable } from '../../bindings/addon.js'
import { DdiError, errorCodes, systemCode, systemError } from '../errors.js'

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

/**
 * Makes the kernel's partitions of a block device those of its GPT: removes, adds, and resizes, in use or not, those of
 * which only the end differs. A device that allows no partitions is left alone.
 * @throws ERR_DDI_BUSY, ERR_DDI_PERMISSION, ERR_DDI_KERNEL, and the `ERR_DDI_GPT_…` codes
 */
export async function syncPartitionNodes(device: string): Promise<void> {
  const directory = `/sys/class/block/${basename(await realpath(device))}`
  // A device with one minor number allows no partitions.
  if ((await readNumber(`${directory}/ext_range`)) <= 1) return
  const kernel = new Map<number, { start: number; length: number }>()
  for (const name of await readdir(directory)) {
    const number = await readNumber(`${directory}/${name}/partition`)
    if (number > 0)
      kernel.set(number, {
        start: (await readNumber(`${directory}/${name}/start`)) * 512,
        length: (await readNumber(`${directory}/${name}/size`)) * 512,
      })
  }
  await withDevice(device, async (fd) => {
    const table = await scanDevice(fd, device)
    const wanted = new Map(table.partitions.map((partition) => [partition.number, partition]))
    const step = async (number: number, what: string, change: () => Promise<void>) => {
      try {
        await change()
      } catch (error) {
        throw systemError(error, `cannot ${what} partition ${number}`, { EBUSY: 'ERR_DDI_BUSY' })
      }
    }
    for (const [number, { start }] of kernel) {
      if (wanted.get(number)?.start === start) continue
      await step(number, 'remove', () => addon().blockDeletePartition(fd, device, number))
      kernel.delete(number)
    }
    for (const [number, { start, length }] of [...wanted].sort(([, a], [, b]) => a.length - b.length)) {
      const known = kernel.get(number)
      if (!known) await step(number, 'add', () => addon().blockAddPartition(fd, device, number, start, length))
      else if (known.length !== length)
        await step(number, 'resize', () => addon().blockResizePartition(fd, device, number, start, length))
    }
  })
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
    const handle = await open(device, 'r')
    try {
      return await use(handle.fd)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw systemError(error, `cannot change the partitions of ${device}`, { ENOENT: 'ERR_DDI_NOT_FOUND' })
  }
}

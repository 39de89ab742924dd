import { open } from 'node:fs/promises'
import { addon } from '../../bindings/addon.js'
import { DdiError, errorCodes, systemCode, systemError } from '../errors.js'

/**
 * Makes the partition nodes of a block device (`/dev/loop0p1`, …) from its GPT, for kernels built without GPT support.
 * The table is read by the addon straight off the device.
 * @param device path of a whole block device that allows partitions (a loop device needs its partition-scan flag)
 * @returns the partitions’ numbers, those that were there already included
 * @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes, ERR_DDI_BUSY, ERR_DDI_PERMISSION, ERR_DDI_KERNEL
 */
export async function addPartitionNodes(device: string): Promise<readonly number[]> {
  return await withDevice(device, async (fd) => {
    const { size } = await addon().blockGeometry(fd, device)
    const scan = await addon().scanPartitions(fd, device, size)
    if ('code' in scan) throw new DdiError(scan.code, `${device}: ${errorCodes[scan.code][1]}`, { path: device })
    for (const { number, start, length } of scan.table.partitions) {
      try {
        await addon().blockAddPartition(fd, device, number, start, length)
      } catch (error) {
        // The kernel refuses a number that exists, or a range that overlaps another’s, with the same error.
        if (systemCode(error) !== 'EBUSY') throw systemError(error, `cannot add partition ${number}`)
      }
    }
    return scan.table.partitions.map(({ number }) => number)
  })
}

/**
 * Removes partition nodes; those that are gone are no error.
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

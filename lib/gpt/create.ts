import { checkSectorSize } from './check.js'
import { encodeCopy, fitToDisk, type Write } from './encode.js'
import type { Gpt, Partition } from './table.js'

const entryCount = 128
const entrySize = 128
/** Where partitions begin by custom, for all sector sizes. */
const firstUsable = 1024 * 1024

/**
 * A table for a new disk.
 * @param size of the disk in bytes, whole sectors
 * @param sectorSize in bytes
 * @throws ERR_DDI_USAGE for any other sector size than 512, 1024, 2048 and 4096
 */
export function newGpt(size: number, sectorSize: number, uuid: string, partitions: readonly Partition[] = []): Gpt {
  checkSectorSize(sectorSize)
  return fitToDisk(
    { sectorSize, uuid, entrySize, entryCount, usableStart: firstUsable, usableEnd: 0, partitions },
    size,
  )
}

/** How many bytes a table takes behind the last partition. @throws as {@link newGpt} */
export function backupLength(sectorSize: number): number {
  checkSectorSize(sectorSize)
  return sectorSize + Math.ceil((entryCount * entrySize) / sectorSize) * sectorSize
}

/**
 * All writes that put a table on a new disk, in their order: the protective MBR (UEFI specification 2.10, section
 * 5.2.3), then both copies.
 * @throws what `encodeCopy` throws
 */
export function encodeNewDisk(table: Gpt, size: number): readonly Write[] {
  const copies = [...encodeCopy(table, size, 'backup'), ...encodeCopy(table, size, 'primary')]
  const mbr = Buffer.alloc(512)
  const sectors = size / table.sectorSize
  // A partition of type 0xee from the first sector to the end, or as far as 32 bits count.
  mbr.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446)
  mbr.writeUInt32LE(1, 454)
  mbr.writeUInt32LE(Math.min(sectors - 1, 0xffffffff), 458)
  mbr.writeUInt16LE(0xaa55, 510)
  return [{ offset: 0, bytes: mbr }, ...copies]
}

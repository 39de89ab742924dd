import type { Write } from './encode.js'
import { encodeCopy, fitToDisk } from './encode.js'
import type { Gpt, Partition } from './table.js'

const entryCount = 128
const entrySize = 128
/** Where partitions begin by custom, whatever the sector size. */
const firstUsable = 1024 * 1024

/** A table for a disk of `size` bytes, of whole sectors. */
export function newGpt(size: number, sectorSize: number, uuid: string, partitions: readonly Partition[] = []): Gpt {
  return fitToDisk(
    { sectorSize, uuid, entrySize, entryCount, usableStart: firstUsable, usableEnd: 0, partitions },
    size,
  )
}

/** How many bytes a table takes behind the last partition. */
export function backupLength(sectorSize: number): number {
  return sectorSize + Math.ceil((entryCount * entrySize) / sectorSize) * sectorSize
}

/**
 * All that makes a table on a new disk, in the order to be written: the protective MBR (UEFI specification 2.10, section
 * 5.2.3), then both copies.
 * @throws what `encodeCopy` throws
 */
export function encodeNewDisk(table: Gpt, size: number): readonly Write[] {
  const mbr = Buffer.alloc(512)
  const sectors = size / table.sectorSize
  // A partition of type 0xee from the first sector to the end, or as far as 32 bits tell.
  mbr.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446)
  mbr.writeUInt32LE(1, 454)
  mbr.writeUInt32LE(Math.min(sectors - 1, 0xffffffff), 458)
  mbr.writeUInt16LE(0xaa55, 510)
  return [{ offset: 0, bytes: mbr }, ...encodeCopy(table, size, 'backup'), ...encodeCopy(table, size, 'primary')]
}

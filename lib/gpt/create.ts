import { checkSectorSize } from './check.js'
import { encodeCopies, type Write } from './encode.js'
import { newMbr } from './mbr.js'
import type { Gpt, Partition } from './table.js'

/** What the specification has a table hold at least. */
const defaultEntries = 128
const entrySize = 128
/** Where partitions begin by custom, for all sector sizes. */
const firstUsable = 1024 * 1024

/**
 * A table for a new disk.
 * @param size of the disk in bytes, whole sectors
 * @param sectorSize in bytes
 * @param entryCount how many partitions it can name
 * @throws ERR_DDI_USAGE for any other sector size than 512, 1024, 2048 and 4096
 */
export function newGpt(
  size: number,
  sectorSize: number,
  uuid: string,
  partitions: readonly Partition[] = [],
  entryCount = defaultEntries,
): Gpt {
  const usableEnd = Math.floor(size / sectorSize) * sectorSize - backupLength(sectorSize, entryCount)
  return { sectorSize, uuid, entrySize, entryCount, usableStart: firstUsable, usableEnd, partitions }
}

/** How many bytes a table takes behind the last partition. @throws as {@link newGpt} */
export function backupLength(sectorSize: number, entryCount = defaultEntries): number {
  checkSectorSize(sectorSize)
  return sectorSize + Math.ceil((entryCount * entrySize) / sectorSize) * sectorSize
}

/**
 * All writes that put a table on a new disk, in their order: the protective MBR, then both copies.
 * @throws what `encodeCopies` throws
 */
export function encodeNewDisk(table: Gpt, size: number): readonly Write[] {
  const { primary, backup } = encodeCopies(table, size)
  return [{ offset: 0, bytes: newMbr(Math.floor(size / table.sectorSize) - 1) }, ...backup, ...primary]
}

import { crc32 } from 'node:zlib'
import { DdiError } from '../errors.js'
import { parseUuid, swapUuidEndianness } from '../uuid.js'
import { arraySectors, checkTable } from './check.js'
import { type Copy, type Gpt, type Partition, smallestEntry } from './table.js'

/** Bytes to write at an offset. */
export interface Write {
  readonly offset: number
  readonly bytes: Uint8Array
}

const headerLength = 92

/** A table as it is on a disk of `size` bytes: its backup at the very end, all before it usable. */
export function fitToDisk(table: Gpt, size: number): Gpt {
  const sectors = Math.floor(size / table.sectorSize)
  return { ...table, usableEnd: (sectors - 1 - arraySectors(table)) * table.sectorSize }
}

/**
 * Encodes one copy of a table (UEFI specification 2.10, section 5.3).
 * @param size of the disk, in bytes
 * @returns its entry array, then its header: to be written and flushed in this order
 * @throws as {@link checkTable}, and ERR_DDI_USAGE for an invalid UUID
 */
export function encodeCopy(table: Gpt, size: number, copy: Copy): readonly [array: Write, header: Write] {
  const { sectorSize, entrySize, entryCount, usableStart, usableEnd } = table
  checkTable(table, size)
  const last = Math.floor(size / sectorSize) - 1
  const length = arraySectors(table)
  const [lba, alternate, arrayLba] = copy === 'primary' ? [1, last, 2] : [last, 1, last - length]
  const array = new Uint8Array(entryCount * entrySize)
  for (const partition of table.partitions)
    array.set(encodeEntry(partition, sectorSize), (partition.number - 1) * entrySize)
  const header = new Uint8Array(sectorSize)
  const view = new DataView(header.buffer)
  header.set(Buffer.from('EFI PART', 'latin1'))
  view.setUint32(8, 0x00010000, true)
  view.setUint32(12, headerLength, true)
  view.setBigUint64(24, BigInt(lba), true)
  view.setBigUint64(32, BigInt(alternate), true)
  view.setBigUint64(40, BigInt(usableStart / sectorSize), true)
  view.setBigUint64(48, BigInt(usableEnd / sectorSize - 1), true)
  header.set(mixedEndian(table.uuid), 56)
  view.setBigUint64(72, BigInt(arrayLba), true)
  view.setUint32(80, entryCount, true)
  view.setUint32(84, entrySize, true)
  view.setUint32(88, crc32(array), true)
  view.setUint32(16, crc32(header.subarray(0, headerLength)), true)
  return [
    { offset: arrayLba * sectorSize, bytes: array },
    { offset: lba * sectorSize, bytes: header },
  ]
}

function encodeEntry(partition: Partition, sectorSize: number): Uint8Array {
  const entry = new Uint8Array(smallestEntry)
  const view = new DataView(entry.buffer)
  entry.set(mixedEndian(partition.typeUuid))
  entry.set(mixedEndian(partition.uuid), 16)
  view.setBigUint64(32, BigInt(partition.start / sectorSize), true)
  view.setBigUint64(40, BigInt((partition.start + partition.length) / sectorSize - 1), true)
  view.setBigUint64(48, partition.attributes, true)
  for (let unit = 0; unit < Math.min(partition.label.length, 36); unit++)
    view.setUint16(56 + 2 * unit, partition.label.charCodeAt(unit), true)
  return entry
}

function mixedEndian(uuid: string): Uint8Array {
  const bytes = parseUuid(uuid)
  if (!bytes) throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(uuid)} is not a UUID`)
  return swapUuidEndianness(bytes)
}

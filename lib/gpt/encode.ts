import { crc32 } from '../bytes/native.js'
import { octets } from '../bytes/octets.js'
import { DdiError } from '../errors.js'
import { parseUuid, swapUuidEndianness } from '../uuid.js'
import { arraySectors, checkPartitions, checkPlaces, checkTable } from './check.js'
import { type Copy, type Gpt, type Partition, type StoredGpt, smallestEntry } from './table.js'

/** Bytes to write at an offset. */
export interface Write {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** What a disk has of a table already: encoding keeps each byte of it that the table does not name. */
export interface Kept extends Pick<StoredGpt, 'array' | 'headers' | 'arrays'> {
  /** What `array` says. */
  readonly partitions: readonly Partition[]
}

/** The writes of one copy: to be made and flushed in this order. */
export type CopyWrites = readonly [array: Write, header: Write]

const smallestHeader = 92

/** Nothing yet: the arrays lie where the specification puts them by default. */
function blank(table: Gpt, size: number): Kept {
  const header = new Uint8Array(table.sectorSize)
  const view = new DataView(header.buffer)
  header.set(octets('EFI PART'))
  view.setUint32(8, 0x00010000, true)
  view.setUint32(12, smallestHeader, true)
  const last = Math.floor(size / table.sectorSize) - 1
  return {
    partitions: [],
    array: new Uint8Array(table.entryCount * table.entrySize),
    headers: { primary: header, backup: header },
    arrays: { primary: 2, backup: last - arraySectors(table) },
  }
}

/**
 * Encodes both copies of a table (UEFI specification 2.10, section 5.3), the backup's header in the last sector.
 * @param size of the disk, in bytes
 * @param stored what the disk has. Default: nothing
 * @throws as {@link checkTable}, {@link checkPlaces} and {@link checkPartitions}, and ERR_DDI_USAGE for an invalid UUID
 */
export function encodeCopies(table: Gpt, size: number, stored?: Kept): Readonly<Record<Copy, CopyWrites>> {
  checkTable(table, size)
  const kept = stored ?? blank(table, size)
  checkPlaces(table, size, kept.arrays)
  checkPartitions(table)
  const array = encodeArray(table, kept)
  const last = Math.floor(size / table.sectorSize) - 1
  const encoded = (copy: Copy, lba: number, alternate: number): CopyWrites => {
    const header = encodeHeader(kept.headers[copy], table, array, { lba, alternate, array: kept.arrays[copy] })
    return [
      { offset: kept.arrays[copy] * table.sectorSize, bytes: array },
      { offset: lba * table.sectorSize, bytes: header },
    ]
  }
  return { primary: encoded('primary', 1, last), backup: encoded('backup', last, 1) }
}

function encodeHeader(
  kept: Uint8Array,
  { uuid, usableStart, usableEnd, sectorSize, entryCount, entrySize }: Gpt,
  array: Uint8Array,
  lbas: { readonly lba: number; readonly alternate: number; readonly array: number },
): Uint8Array {
  const header = Uint8Array.from(kept)
  const view = new DataView(header.buffer)
  view.setBigUint64(24, BigInt(lbas.lba), true)
  view.setBigUint64(32, BigInt(lbas.alternate), true)
  view.setBigUint64(40, BigInt(usableStart / sectorSize), true)
  view.setBigUint64(48, BigInt(usableEnd / sectorSize - 1), true)
  header.set(mixedEndian(uuid), 56)
  view.setBigUint64(72, BigInt(lbas.array), true)
  view.setUint32(80, entryCount, true)
  view.setUint32(84, entrySize, true)
  view.setUint32(88, crc32(array), true)
  view.setUint32(16, 0, true)
  view.setUint32(16, crc32(header.subarray(0, view.getUint32(12, true))), true)
  return header
}

function encodeArray({ partitions, entrySize, sectorSize }: Gpt, kept: Kept): Uint8Array {
  const array = Uint8Array.from(kept.array)
  const entryOf = ({ number }: Partition) => array.subarray((number - 1) * entrySize, number * entrySize)
  const numbers = new Set(partitions.map(({ number }) => number))
  for (const one of kept.partitions) if (!numbers.has(one.number)) entryOf(one).fill(0)
  const before = new Map(kept.partitions.map((one) => [one.number, one]))
  for (const one of partitions) encodeEntry(entryOf(one), before.get(one.number), one, sectorSize)
  return array
}

/** Changes an entry in the fields that change; a new one begins empty. */
function encodeEntry(entry: Uint8Array, old: Partition | undefined, next: Partition, sectorSize: number): void {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
  if (!old) entry.fill(0)
  if (old?.typeUuid !== next.typeUuid) entry.set(mixedEndian(next.typeUuid))
  if (old?.uuid !== next.uuid) entry.set(mixedEndian(next.uuid), 16)
  view.setBigUint64(32, BigInt(next.start / sectorSize), true)
  view.setBigUint64(40, BigInt((next.start + next.length) / sectorSize - 1), true)
  view.setBigUint64(48, next.attributes, true)
  if (old?.label === next.label) return
  entry.fill(0, 56, smallestEntry)
  for (let unit = 0; unit < next.label.length; unit++) view.setUint16(56 + 2 * unit, next.label.charCodeAt(unit), true)
}

function mixedEndian(uuid: string): Uint8Array {
  const bytes = parseUuid(uuid)
  if (!bytes) throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(uuid)} is not a UUID`)
  return swapUuidEndianness(bytes)
}

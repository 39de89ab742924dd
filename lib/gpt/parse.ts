// The structures of UEFI specification 2.10, section 5.3, as they are read. Every byte may be hostile.
import { crc32 } from '../bytes/native.js'
import { formatUuid, swapUuidEndianness } from '../uuid.js'
import { type GptProblem, type Partition, smallestEntry } from './table.js'

const smallestHeader = 92
const signature = 'EFI PART'

export type Code = GptProblem['code']
/** A value, or the code of what is wrong with its bytes. */
export type Checked<Value> =
  | { readonly code?: undefined; readonly value: Value }
  | { readonly code: Code; readonly value?: Value }

/** The header of one copy; positions in sectors. */
export interface Header {
  readonly lba: bigint
  readonly alternate: bigint
  readonly firstUsable: bigint
  readonly lastUsable: bigint
  readonly array: bigint
  readonly entryCount: number
  readonly entrySize: number
  readonly arrayCrc: number
  readonly diskUuid: string
}

/** The header of one copy, as it was read. */
export interface StoredCopy {
  /** All of the sector in which the header lies. */
  readonly sector: Uint8Array
  readonly header: Header
}

/** Parses the header in the sector at `lba`, up to the first thing that is wrong. */
export function parseHeader(sector: Uint8Array, lba: bigint): Checked<Header> {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength)
  if (String.fromCharCode(...sector.subarray(0, 8)) !== signature) return { code: 'ERR_DDI_GPT_NO_HEADER' }
  const size = view.getUint32(12, true)
  if (size < smallestHeader || size > sector.length) return { code: 'ERR_DDI_GPT_HEADER_SIZE' }
  const summed = Uint8Array.from(sector.subarray(0, size))
  summed.fill(0, 16, 20)
  if (crc32(summed) !== view.getUint32(16, true)) return { code: 'ERR_DDI_GPT_HEADER_CRC' }
  if (view.getUint16(10, true) !== 1) return { code: 'ERR_DDI_GPT_REVISION' }
  const header: Header = {
    lba: view.getBigUint64(24, true),
    alternate: view.getBigUint64(32, true),
    firstUsable: view.getBigUint64(40, true),
    lastUsable: view.getBigUint64(48, true),
    diskUuid: formatUuid(swapUuidEndianness(sector.subarray(56, 72))),
    array: view.getBigUint64(72, true),
    entryCount: view.getUint32(80, true),
    entrySize: view.getUint32(84, true),
    arrayCrc: view.getUint32(88, true),
  }
  if (header.lba !== lba || header.alternate === lba) return { code: 'ERR_DDI_GPT_HEADER_LBA' }
  return { value: header }
}

/** An entry that is used, and the LBAs that it says. */
export interface UsedEntry {
  readonly number: number
  readonly entry: Uint8Array
  readonly first: bigint
  readonly last: bigint
}

/** The used entries of an array, wherever they say that their partitions lie. */
export function* usedEntries(array: Uint8Array, { entryCount, entrySize }: Header): Generator<UsedEntry> {
  for (let index = 0; index < entryCount; index++) {
    const entry = array.subarray(index * entrySize, index * entrySize + smallestEntry)
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
    yield { number: index + 1, entry, first: view.getBigUint64(32, true), last: view.getBigUint64(40, true) }
  }
}

/** What an entry says; its place only if numbers can hold it. */
export function parseEntry({ number, entry, first, last }: UsedEntry, sectorSize: number): Partition {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
  const text = String.fromCharCode(...Array.from({ length: 36 }, (_, unit) => view.getUint16(56 + 2 * unit, true)))
  const end = text.indexOf('\0')
  return {
    number,
    typeUuid: formatUuid(swapUuidEndianness(entry)),
    uuid: formatUuid(swapUuidEndianness(entry.subarray(16, 32))),
    start: Number(first) * sectorSize,
    length: Number(last - first + 1n) * sectorSize,
    attributes: view.getBigUint64(48, true),
    label: end < 0 ? text : text.slice(0, end),
  }
}

/** The used entries of a verified array, or the first that lies where no partition may. */
export function parseEntries(
  array: Uint8Array,
  header: Header,
  sectorSize: number,
): Checked<Partition[]> & { partition?: number } {
  const partitions: Partition[] = []
  for (const used of usedEntries(array, header)) {
    const { number, first, last } = used
    if (first > last || first < header.firstUsable || last > header.lastUsable)
      return { code: 'ERR_DDI_GPT_ENTRY_RANGE', partition: number }
    partitions.push(parseEntry(used, sectorSize))
  }
  const byStart = [...partitions].sort((a, b) => a.start - b.start)
  for (const [index, next] of byStart.slice(1).entries()) {
    const previous = byStart[index]!
    if (next.start < previous.start + previous.length) return { code: 'ERR_DDI_GPT_OVERLAP', partition: next.number }
  }
  return { value: partitions }
}

/** Whether two headers are the two copies of one table. */
export function sameTable(a: Header, b: Header): boolean {
  return (
    a.firstUsable === b.firstUsable &&
    a.lastUsable === b.lastUsable &&
    a.entryCount === b.entryCount &&
    a.entrySize === b.entrySize &&
    a.arrayCrc === b.arrayCrc &&
    a.lba === b.alternate &&
    a.alternate === b.lba &&
    a.diskUuid === b.diskUuid
  )
}

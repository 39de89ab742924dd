import { crc32 } from 'node:zlib'
import { withEndsInMemory } from '../bytes/memory.js'
import type { Source } from '../bytes/source.js'
import { formatUuid, swapUuidEndianness } from '../uuid.js'
import type { Copy, Gpt, GptProblem, GptScan, Partition } from './table.js'

// The bounds that hostile tables meet. native/partition_scan.cc keeps the same ones, and a property test both equal.
const sectorSizes = [512, 1024, 2048, 4096] as const
const largestArray = 4 * 1024 * 1024
const smallestEntry = 128
const largestEntry = 4096
const smallestHeader = 92
const signature = 'EFI PART'
/** Header and array of a usual table, in any sector size, before it or behind it. */
const usualTable = 32 * 1024

type Code = GptProblem['code']
type Checked<Value> =
  | { readonly code?: undefined; readonly value: Value }
  | { readonly code: Code; readonly value?: Value }

interface Header {
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

/** Parses the header in one sector, which is to lie at `lba`; the checks stop at the first thing wrong. */
function parseHeader(sector: Uint8Array, lba: bigint): Checked<Header> {
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

/** What a header with a right checksum may still claim wrongly of a disk of `sectors`. */
function checkGeometry(header: Header, sectorSize: number, sectors: bigint): Code | undefined {
  const { entrySize, entryCount, firstUsable, lastUsable, array, lba } = header
  if (entrySize < smallestEntry || entrySize > largestEntry || (entrySize & (entrySize - 1)) !== 0)
    return 'ERR_DDI_GPT_ENTRY_SIZE'
  const arrayBytes = entryCount * entrySize
  if (entryCount === 0 || arrayBytes > largestArray) return 'ERR_DDI_GPT_ENTRY_COUNT'
  if (lastUsable >= sectors || header.alternate >= sectors) return 'ERR_DDI_GPT_TRUNCATED'
  if (firstUsable > lastUsable || (lba >= firstUsable && lba <= lastUsable)) return 'ERR_DDI_GPT_USABLE_RANGE'
  const arrayEnd = array + BigInt(Math.ceil(arrayBytes / sectorSize))
  if (array < 2n || arrayEnd > sectors) return 'ERR_DDI_GPT_ARRAY_RANGE'
  if (lba >= array && lba < arrayEnd) return 'ERR_DDI_GPT_ARRAY_RANGE'
  if (array <= lastUsable && arrayEnd > firstUsable) return 'ERR_DDI_GPT_ARRAY_RANGE'
  return undefined
}

function parseEntry(entry: Uint8Array, number: number, sectorSize: number): Partition {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
  const first = view.getBigUint64(32, true)
  const text = Buffer.from(entry.buffer, entry.byteOffset + 56, 72).toString('utf16le')
  const end = text.indexOf('\0')
  return {
    number,
    typeUuid: formatUuid(swapUuidEndianness(entry)),
    uuid: formatUuid(swapUuidEndianness(entry.subarray(16, 32))),
    start: Number(first) * sectorSize,
    length: Number(view.getBigUint64(40, true) - first + 1n) * sectorSize,
    attributes: view.getBigUint64(48, true),
    label: end < 0 ? text : text.slice(0, end),
  }
}

/** The used entries of a verified array, or the first that lies where no partition may. */
function parseEntries(
  array: Uint8Array,
  header: Header,
  sectorSize: number,
): Checked<Partition[]> & { partition?: number } {
  const partitions: Partition[] = []
  for (let index = 0; index < header.entryCount; index++) {
    const entry = array.subarray(index * header.entrySize, index * header.entrySize + smallestEntry)
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
    const first = view.getBigUint64(32, true)
    const last = view.getBigUint64(40, true)
    if (first > last || first < header.firstUsable || last > header.lastUsable)
      return { code: 'ERR_DDI_GPT_ENTRY_RANGE', partition: index + 1 }
    partitions.push(parseEntry(entry, index + 1, sectorSize))
  }
  const byStart = [...partitions].sort((a, b) => a.start - b.start)
  for (const [index, next] of byStart.slice(1).entries()) {
    const previous = byStart[index]!
    if (next.start < previous.start + previous.length) return { code: 'ERR_DDI_GPT_OVERLAP', partition: next.number }
  }
  return { value: partitions }
}

function duplicates(partitions: readonly Partition[], copy: Copy): GptProblem[] {
  const seen = new Set<string>()
  return partitions.flatMap(({ uuid, number }) => {
    if (seen.has(uuid)) return [{ copy, code: 'ERR_DDI_GPT_DUPLICATE_UUID' as const, partition: number }]
    seen.add(uuid)
    return []
  })
}

function isProtectiveMbr(sector: Uint8Array): boolean {
  return sector[510] === 0x55 && sector[511] === 0xaa && [446, 462, 478, 494].some((at) => sector[at + 4] === 0xee)
}

function sameTable(a: Header, b: Header): boolean {
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

/**
 * Looks for a GPT on a disk, whatever its sector size, and says what it found; nothing about the table makes it throw.
 *
 * The sector size is the one at whose LBA 1 a header with a right checksum lies, else the one at whose last LBA its
 * backup does. The primary counts where its header and array verify, else the backup. A copy that verifies and yet
 * places partitions wrongly is refused, not worked around: both copies say the same then.
 * @param disk all of it
 * @returns the table and its problems, or the one problem that leaves no table
 * @throws what `disk.read` throws
 */
export async function scanGpt(disk: Source): Promise<GptScan> {
  const source = withEndsInMemory(disk, usualTable)
  const sectorCount = (sectorSize: number) => BigInt(Math.floor(source.size / sectorSize))

  async function readHeader(sectorSize: number, lba: bigint): Promise<Checked<Header>> {
    if (lba >= sectorCount(sectorSize)) return { code: 'ERR_DDI_GPT_NO_HEADER' }
    return parseHeader(await source.read(Number(lba) * sectorSize, sectorSize), lba)
  }

  async function readCopy(sectorSize: number, lba: bigint) {
    const { code, value: header } = await readHeader(sectorSize, lba)
    if (code) return { code }
    const wrong = checkGeometry(header, sectorSize, sectorCount(sectorSize))
    if (wrong) return { code: wrong, header }
    const array = await source.read(Number(header.array) * sectorSize, header.entryCount * header.entrySize)
    return crc32(array) === header.arrayCrc ? { header, array } : { code: 'ERR_DDI_GPT_ARRAY_CRC' as const, header }
  }

  async function finish(copy: Copy, sectorSize: number, header: Header, array: Uint8Array, problems: GptProblem[]) {
    const { code, partition, value: partitions } = parseEntries(array, header, sectorSize)
    if (code) return { copy, code, ...(partition !== undefined && { partition }) }
    const table: Gpt = {
      sectorSize,
      uuid: header.diskUuid,
      entrySize: header.entrySize,
      entryCount: header.entryCount,
      usableStart: Number(header.firstUsable) * sectorSize,
      usableEnd: Number(header.lastUsable + 1n) * sectorSize,
      partitions,
    }
    problems.push(...duplicates(partitions, copy))
    if (!isProtectiveMbr(await source.read(0, 512)))
      problems.push({ copy: 'primary', code: 'ERR_DDI_GPT_NO_PROTECTIVE_MBR' })
    return { copy, table, problems }
  }

  async function fromBackup(sectorSize: number, primaryCode: Code, lba: bigint): Promise<GptScan> {
    const { code, header, array } = await readCopy(sectorSize, lba)
    // What ails the primary is what to tell, unless there is no primary at all.
    if (code)
      return primaryCode === 'ERR_DDI_GPT_NO_HEADER' ? { copy: 'backup', code } : { copy: 'primary', code: primaryCode }
    return finish('backup', sectorSize, header, array, [{ copy: 'primary', code: primaryCode }])
  }

  async function fromPrimary(sectorSize: number): Promise<GptScan> {
    const sectors = sectorCount(sectorSize)
    const { code, header, array } = await readCopy(sectorSize, 1n)
    if (code) {
      const alternate = header?.alternate
      const known = alternate !== undefined && alternate >= 2n && alternate < sectors
      return fromBackup(sectorSize, code, known ? alternate : sectors - 1n)
    }
    const problems: GptProblem[] = []
    const backup = await readCopy(sectorSize, header.alternate)
    const wrong = backup.code ?? (sameTable(header, backup.header) ? undefined : 'ERR_DDI_GPT_COPIES_DIFFER')
    if (wrong) problems.push({ copy: 'backup', code: wrong })
    if (header.alternate !== sectors - 1n) problems.push({ copy: 'backup', code: 'ERR_DDI_GPT_BACKUP_NOT_AT_END' })
    return finish('primary', sectorSize, header, array, problems)
  }

  let damaged: GptProblem | undefined
  async function candidates(copy: Copy, lbaOf: (sectors: bigint) => bigint | undefined): Promise<number[]> {
    const found: number[] = []
    for (const sectorSize of sectorSizes) {
      const lba = lbaOf(sectorCount(sectorSize))
      if (lba === undefined) continue
      const { code } = await readHeader(sectorSize, lba)
      if (code === undefined) found.push(sectorSize)
      else if (code !== 'ERR_DDI_GPT_NO_HEADER') damaged ??= { copy, code }
    }
    return found
  }

  const primaries = await candidates('primary', () => 1n)
  if (primaries.length > 1) return { copy: 'primary', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  if (primaries.length === 1) return fromPrimary(primaries[0]!)
  const backups = await candidates('backup', (sectors) => (sectors > 2n ? sectors - 1n : undefined))
  if (backups.length > 1) return { copy: 'backup', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  if (backups.length === 1) {
    const sectorSize = backups[0]!
    const { code } = await readHeader(sectorSize, 1n)
    return fromBackup(sectorSize, code ?? 'ERR_DDI_GPT_NO_HEADER', sectorCount(sectorSize) - 1n)
  }
  return damaged ?? { copy: 'primary', code: 'ERR_DDI_NO_TABLE' }
}

import { withEndsInMemory } from '../bytes/memory.js'
import { crc32, equalOctets } from '../bytes/native.js'
import type { Source } from '../bytes/source.js'
import { nilUuid } from '../uuid.js'
import { arraySectors, checkGeometry, sectorSizes } from './check.js'
import { isProtectiveMbr } from './mbr.js'
import { type Checked, type Code, type Header, parseEntries, parseHeader, type StoredCopy, sameTable } from './parse.js'
import { hasSuperblock } from './superblock.js'
import type { Copy, Gpt, GptProblem, GptScan, Partition, StoredGpt } from './table.js'

/** Header and array of a usual table, of any sector size, at either end of the disk. */
export const usualTable = 32 * 1024

/** A disk, taken for one of a sector size. */
export interface Sectors {
  readonly source: Source
  readonly size: number
  readonly count: bigint
}

export function inSectors(source: Source, size: number): Sectors {
  return { source, size, count: BigInt(Math.floor(source.size / size)) }
}

/**
 * Looks for a GPT on a disk of any sector size, and says what it found; nothing about the table makes it throw.
 *
 * The sector size is the one at whose LBA 1 lies a header with a right checksum, else the one at whose last LBA its
 * backup does. The primary counts if its header and array verify, else the backup. A copy that verifies and yet
 * places partitions wrongly is refused, not worked around: then both copies say the same.
 * @param disk all of it
 * @returns the table and its problems, or the one problem that leaves no table
 * @throws what `disk.read` throws
 */
export async function scanGpt(disk: Source): Promise<GptScan> {
  const scan = await scanStoredGpt(disk)
  if ('code' in scan) return scan
  const { copy, table, problems } = scan
  return { copy, table, problems }
}

/**
 * The same, with the bytes that a change of the table keeps.
 * @param only reads the backup at the end of the disk, whatever the primary says and whatever lies before it: to rescue one
 * @throws what `disk.read` throws
 */
export async function scanStoredGpt(disk: Source, only?: 'backup'): Promise<StoredGpt | GptProblem> {
  const source = withEndsInMemory(disk, usualTable)
  if (only) return await rescued(source)
  const primaries = await headersAt(source, () => 1n)
  if (primaries.found.length > 1) return { copy: 'primary', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  if (primaries.found[0]) return await fromPrimary(primaries.found[0])
  const backups = await headersAt(source, lastLba)
  if (backups.found.length > 1) return { copy: 'backup', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  const [sectors] = backups.found
  if (sectors) {
    const { code } = await readHeader(sectors, 1n)
    return await fromBackup(sectors, { code: code ?? 'ERR_DDI_GPT_NO_HEADER' })
  }
  if (primaries.damage) return { copy: 'primary', code: primaries.damage }
  if (backups.damage) return { copy: 'backup', code: backups.damage }
  return { copy: 'primary', code: 'ERR_DDI_NO_TABLE' }
}

function lastLba({ count }: Sectors): bigint | undefined {
  return count > 2n ? count - 1n : undefined
}

async function rescued(source: Source): Promise<StoredGpt | GptProblem> {
  const { found, damage } = await headersAt(source, lastLba)
  const [sectors, other] = found
  if (other) return { copy: 'backup', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  if (!sectors) return { copy: 'backup', code: damage ?? 'ERR_DDI_GPT_NO_HEADER' }
  const backup = await readCopy(sectors, sectors.count - 1n)
  if (backup.code) return { copy: 'backup', code: backup.code }
  const primary = await readCopy(sectors, 1n)
  const code = primary.code ?? 'ERR_DDI_GPT_COPIES_DIFFER'
  const isSame = primary.value !== undefined && sameTable(primary.value.header, backup.value.header)
  return await tableOf(sectors, 'backup', { backup: backup.value }, isSame ? [] : [{ copy: 'primary', code }])
}

/** The sector sizes in which there is a header at an LBA, and what is wrong with the first that is damaged. */
async function headersAt(
  source: Source,
  lbaOf: (sectors: Sectors) => bigint | undefined,
): Promise<{ readonly found: readonly Sectors[]; readonly damage: Code | undefined }> {
  const found: Sectors[] = []
  let damage: Code | undefined
  for (const size of sectorSizes) {
    const sectors = inSectors(source, size)
    const lba = lbaOf(sectors)
    if (lba === undefined) continue
    const { code } = await readHeader(sectors, lba)
    if (code === undefined) found.push(sectors)
    else if (code !== 'ERR_DDI_GPT_NO_HEADER') damage ??= code
  }
  return { found, damage }
}

export async function readHeader({ source, size, count }: Sectors, lba: bigint): Promise<Checked<StoredCopy>> {
  if (lba >= count) return { code: 'ERR_DDI_GPT_NO_HEADER' }
  const sector = await source.read(Number(lba) * size, size)
  const { code, value: header } = parseHeader(sector, lba)
  return code ? { code } : { value: { sector: Uint8Array.from(sector), header } }
}

interface ReadCopy extends StoredCopy {
  readonly array: Uint8Array
}

/** A copy, or what is wrong with it; of one whose array does not verify, the header nevertheless. */
type CheckedCopy = Checked<ReadCopy> & { readonly alternate?: bigint; readonly stored?: StoredCopy }

async function readCopy(sectors: Sectors, lba: bigint): Promise<CheckedCopy> {
  const { code, value: stored } = await readHeader(sectors, lba)
  if (code) return { code }
  const { header } = stored
  const { alternate } = header
  const wrong = checkGeometry(header, sectors.size, sectors.count)
  if (wrong) return { code: wrong, alternate }
  const array = await readArray(sectors, header, header.array)
  if (crc32(array) !== header.arrayCrc) return { code: 'ERR_DDI_GPT_ARRAY_CRC', alternate, stored }
  return { value: { ...stored, array } }
}

export async function readArray({ source, size }: Sectors, { entryCount, entrySize }: Header, lba: bigint) {
  return Uint8Array.from(await source.read(Number(lba) * size, entryCount * entrySize))
}

async function fromPrimary(sectors: Sectors): Promise<StoredGpt | GptProblem> {
  const primary = await readCopy(sectors, 1n)
  if (primary.code) return await fromBackup(sectors, primary)
  const { header } = primary.value
  const problems: GptProblem[] = []
  const backup = await readCopy(sectors, header.alternate)
  const other = backup.value ?? backup.stored
  const isSame = other !== undefined && sameTable(header, other.header)
  if (backup.code || !isSame) problems.push({ copy: 'backup', code: backup.code ?? 'ERR_DDI_GPT_COPIES_DIFFER' })
  if (header.alternate !== sectors.count - 1n) problems.push({ copy: 'backup', code: 'ERR_DDI_GPT_BACKUP_NOT_AT_END' })
  return await tableOf(sectors, 'primary', { primary: primary.value, ...(isSame && { backup: other }) }, problems)
}

/** @param primary what is wrong with it, and what can be told of it nevertheless */
async function fromBackup(
  sectors: Sectors,
  primary: { readonly code: Code; readonly alternate?: bigint; readonly stored?: StoredCopy },
): Promise<StoredGpt | GptProblem> {
  const last = sectors.count - 1n
  const { alternate = last } = primary
  const isKnown = alternate >= 2n && alternate < last
  // Where a change of a grown disk was cut short, the backup is at the end already.
  const first = isKnown ? await readCopy(sectors, alternate) : undefined
  const { code, value: backup } = first?.value ? first : await readCopy(sectors, last)
  // What is wrong with the primary is what to report, unless there is no primary at all.
  if (code)
    return primary.code === 'ERR_DDI_GPT_NO_HEADER' ? { copy: 'backup', code } : { copy: 'primary', code: primary.code }
  if (await isLeftover(sectors.source)) return { copy: 'backup', code: 'ERR_DDI_GPT_LEFTOVER' }
  const problem: GptProblem = { copy: 'primary', code: primary.code }
  return await tableOf(sectors, 'backup', { ...(primary.stored && { primary: primary.stored }), backup }, [problem])
}

/** Whether the disk was put to another use since its backup was written: as `blkid -p` counts, and more careful. */
async function isLeftover(source: Source): Promise<boolean> {
  return !isProtectiveMbr(await source.read(0, 512)) || (await hasSuperblock(source))
}

async function tableOf(
  sectors: Sectors,
  copy: Copy,
  copies: { readonly primary?: StoredCopy; readonly backup?: StoredCopy },
  problems: readonly GptProblem[],
): Promise<StoredGpt | GptProblem> {
  const found = copies[copy] as ReadCopy
  const { header, array } = found
  const { size } = sectors
  const { code, partition, value: partitions } = parseEntries(array, header, size)
  if (code) return { copy, code, ...(partition !== undefined && { partition }) }
  const table: Gpt = {
    sectorSize: size,
    uuid: header.diskUuid,
    entrySize: header.entrySize,
    entryCount: header.entryCount,
    usableStart: Number(header.firstUsable) * size,
    usableEnd: Number(header.lastUsable + 1n) * size,
    partitions,
  }
  const mbr = Uint8Array.from(await sectors.source.read(0, 512))
  const unprotected: GptProblem[] = isProtectiveMbr(mbr)
    ? []
    : [{ copy: 'primary', code: 'ERR_DDI_GPT_NO_PROTECTIVE_MBR' }]
  const { primary = copies.backup!, backup = copies.primary! } = copies
  return {
    copy,
    table,
    problems: [...problems, ...duplicates(partitions, copy), ...unprotected],
    array,
    mbr,
    headers: { primary: primary.sector, backup: backup.sector },
    arrays: await arrayPlaces(sectors, table, found, copies),
    backupLba: Number(copy === 'backup' ? header.lba : header.alternate),
  }
}

/** The LBAs where the array of each copy lies, or of a lost copy belongs. */
async function arrayPlaces(
  sectors: Sectors,
  table: Gpt,
  found: ReadCopy,
  { primary, backup }: { readonly primary?: StoredCopy; readonly backup?: StoredCopy },
): Promise<Readonly<Record<Copy, number>>> {
  const length = BigInt(arraySectors(table))
  const last = sectors.count - 1n
  const isOurs = (copy: StoredCopy | undefined): copy is StoredCopy =>
    copy?.header.entryCount === table.entryCount && copy.header.entrySize === table.entrySize
  const behind = isOurs(backup) && backup.header.lba === last ? backup.header.array : last - length
  const before = isOurs(primary) ? primary.header.array : await lostArray(sectors, found, length)
  return { primary: Number(before), backup: Number(behind) }
}

/**
 * Where the array of a primary lay whose header is lost: behind the header, or before the partitions if boot code lies there.
 * The first place counts that has all of the array, else some of its entries, else nothing.
 * @param found the copy that is left
 * @param length of the array, in sectors
 */
async function lostArray(sectors: Sectors, { header, array }: ReadCopy, length: bigint): Promise<bigint> {
  const moved = header.firstUsable - length
  const places = moved > 2n ? [2n, moved] : [2n]
  const contents = await Promise.all(
    places.map(async (place) => ({ place, bytes: await readArray(sectors, header, place) })),
  )
  const entries = Array.from({ length: header.entryCount }, (_, n) => n * header.entrySize)
  const isUsed = (at: number) => array.subarray(at, at + 16).some((byte) => byte !== 0)
  const isSame = (bytes: Uint8Array, at: number) =>
    equalOctets(bytes.subarray(at, at + header.entrySize), array.subarray(at, at + header.entrySize))
  const ranks: ((bytes: Uint8Array) => boolean)[] = [
    (bytes) => equalOctets(bytes, array),
    (bytes) => entries.some((at) => isUsed(at) && isSame(bytes, at)),
    (bytes) => bytes.every((byte) => byte === 0),
  ]
  for (const fits of ranks) {
    const best = contents.find(({ bytes }) => fits(bytes))
    if (best) return best.place
  }
  return 2n
}

function duplicates(partitions: readonly Partition[], copy: Copy): GptProblem[] {
  const seen = new Set<string>()
  return partitions.flatMap(({ uuid, number }) => {
    // What has none yet, as systemd-repart makes room for a later version, clashes with nothing.
    if (uuid === nilUuid) return []
    if (seen.has(uuid)) return [{ copy, code: 'ERR_DDI_GPT_DUPLICATE_UUID' as const, partition: number }]
    seen.add(uuid)
    return []
  })
}

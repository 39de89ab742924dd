import { crc32 } from 'node:zlib'
import { withEndsInMemory } from '../bytes/memory.js'
import type { Source } from '../bytes/source.js'
import { checkGeometry, sectorSizes } from './check.js'
import { type Checked, type Code, type Header, isProtectiveMbr, parseEntries, parseHeader, sameTable } from './parse.js'
import type { Copy, Gpt, GptProblem, GptScan, Partition } from './table.js'

/** Header and array of a usual table, of any sector size, at either end of the disk. */
const usualTable = 32 * 1024

/** A disk, taken for one of a sector size. */
interface Sectors {
  readonly source: Source
  readonly size: number
  readonly count: bigint
}

function inSectors(source: Source, size: number): Sectors {
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
  const source = withEndsInMemory(disk, usualTable)
  const primaries = await headersAt(source, () => 1n)
  if (primaries.found.length > 1) return { copy: 'primary', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  if (primaries.found[0]) return await fromPrimary(primaries.found[0])
  const backups = await headersAt(source, ({ count }) => (count > 2n ? count - 1n : undefined))
  if (backups.found.length > 1) return { copy: 'backup', code: 'ERR_DDI_GPT_AMBIGUOUS' }
  const [sectors] = backups.found
  if (sectors) {
    const { code } = await readHeader(sectors, 1n)
    return await fromBackup(sectors, code ?? 'ERR_DDI_GPT_NO_HEADER', sectors.count - 1n)
  }
  if (primaries.damage) return { copy: 'primary', code: primaries.damage }
  if (backups.damage) return { copy: 'backup', code: backups.damage }
  return { copy: 'primary', code: 'ERR_DDI_NO_TABLE' }
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

async function readHeader({ source, size, count }: Sectors, lba: bigint): Promise<Checked<Header>> {
  if (lba >= count) return { code: 'ERR_DDI_GPT_NO_HEADER' }
  return parseHeader(await source.read(Number(lba) * size, size), lba)
}

interface ReadCopy {
  readonly header: Header
  readonly array: Uint8Array
}

async function readCopy(
  sectors: Sectors,
  lba: bigint,
): Promise<Checked<ReadCopy> & { readonly alternate?: bigint | undefined }> {
  const { code, value: header } = await readHeader(sectors, lba)
  if (code) return { code }
  const { alternate } = header
  const wrong = checkGeometry(header, sectors.size, sectors.count)
  if (wrong) return { code: wrong, alternate }
  const array = await sectors.source.read(Number(header.array) * sectors.size, header.entryCount * header.entrySize)
  if (crc32(array) !== header.arrayCrc) return { code: 'ERR_DDI_GPT_ARRAY_CRC', alternate }
  return { value: { header, array } }
}

async function fromPrimary(sectors: Sectors): Promise<GptScan> {
  const { code, value: primary, alternate } = await readCopy(sectors, 1n)
  const last = sectors.count - 1n
  if (code) {
    const isKnown = alternate !== undefined && alternate >= 2n && alternate < sectors.count
    return await fromBackup(sectors, code, isKnown ? alternate : last)
  }
  const { header } = primary
  const problems: GptProblem[] = []
  const backup = await readCopy(sectors, header.alternate)
  const wrong = backup.code ?? (sameTable(header, backup.value.header) ? undefined : 'ERR_DDI_GPT_COPIES_DIFFER')
  if (wrong) problems.push({ copy: 'backup', code: wrong })
  if (header.alternate !== last) problems.push({ copy: 'backup', code: 'ERR_DDI_GPT_BACKUP_NOT_AT_END' })
  return await tableOf(sectors, 'primary', primary, problems)
}

async function fromBackup(sectors: Sectors, primaryCode: Code, lba: bigint): Promise<GptScan> {
  const { code, value: backup } = await readCopy(sectors, lba)
  // What is wrong with the primary is what to report, unless there is no primary at all.
  if (code)
    return primaryCode === 'ERR_DDI_GPT_NO_HEADER' ? { copy: 'backup', code } : { copy: 'primary', code: primaryCode }
  return await tableOf(sectors, 'backup', backup, [{ copy: 'primary', code: primaryCode }])
}

async function tableOf(
  { source, size }: Sectors,
  copy: Copy,
  { header, array }: ReadCopy,
  problems: readonly GptProblem[],
): Promise<GptScan> {
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
  const mbr: GptProblem[] = isProtectiveMbr(await source.read(0, 512))
    ? []
    : [{ copy: 'primary', code: 'ERR_DDI_GPT_NO_PROTECTIVE_MBR' }]
  return { copy, table, problems: [...problems, ...duplicates(partitions, copy), ...mbr] }
}

function duplicates(partitions: readonly Partition[], copy: Copy): GptProblem[] {
  const seen = new Set<string>()
  return partitions.flatMap(({ uuid, number }) => {
    if (seen.has(uuid)) return [{ copy, code: 'ERR_DDI_GPT_DUPLICATE_UUID' as const, partition: number }]
    seen.add(uuid)
    return []
  })
}

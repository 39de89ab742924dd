import { withEndsInMemory } from '../bytes/memory.js'
import { crc32 } from '../bytes/native.js'
import type { Source } from '../bytes/source.js'
import { arraySectors, checkEntries, sectorSizes } from './check.js'
import { type Header, parseEntry, type UsedEntry, usedEntries } from './parse.js'
import { inSectors, readArray, readHeader, type Sectors, usualTable } from './scan.js'
import type { Copy, Gpt, Partition } from './table.js'

/** What a table says that is refused for where its partitions lie: to be shown, and never used. */
export interface Remains {
  readonly copy: Copy
  /** With the partitions only that lie where they may. */
  readonly table: Gpt
  readonly misplaced: readonly Misplaced[]
}

/** A partition that lies where none may. */
export interface Misplaced {
  /** Cut to what of it is on the disk, which may be nothing. */
  readonly partition: Partition
  /** For people: the rest of a sentence about it. */
  readonly why: string
}

/**
 * Reads a copy of a table whose checksums are right, whatever it says of the disk.
 * @returns undefined if there is none
 * @throws what `disk.read` throws
 */
export async function remainsOf(disk: Source): Promise<Remains | undefined> {
  const source = withEndsInMemory(disk, usualTable)
  for (const copy of ['primary', 'backup'] as const)
    for (const size of sectorSizes) {
      const sectors = inSectors(source, size)
      if (sectors.count < 3n) continue
      const { value: stored } = await readHeader(sectors, copy === 'primary' ? 1n : sectors.count - 1n)
      const array = stored && (await readableArray(sectors, stored.header))
      if (array) return remains(sectors, copy, stored.header, array)
    }
  return undefined
}

async function readableArray(sectors: Sectors, header: Header): Promise<Uint8Array | undefined> {
  if (checkEntries(header)) return undefined
  const length = BigInt(arraySectors({ ...header, sectorSize: sectors.size }))
  if (header.array < 2n || header.array + length > sectors.count) return undefined
  const array = await readArray(sectors, header, header.array)
  return crc32(array) === header.arrayCrc ? array : undefined
}

function remains({ size, count }: Sectors, copy: Copy, header: Header, array: Uint8Array): Remains {
  const { diskUuid, entryCount, entrySize, firstUsable, lastUsable } = header
  const partitions: Partition[] = []
  const misplaced: Misplaced[] = []
  let before: UsedEntry | undefined
  for (const used of [...usedEntries(array, header)].sort(byPlace)) {
    const why = misplacement(used, header, count, before)
    const partition = parseEntry(used, size)
    if (why) misplaced.push({ partition: { ...partition, ...onDisk(used, size, count) }, why: why(size) })
    else partitions.push(partition)
    if (!why) before = used
  }
  const byNumber = (a: Partition, b: Partition) => a.number - b.number
  const table: Gpt = {
    sectorSize: size,
    uuid: diskUuid,
    entryCount,
    entrySize,
    usableStart: Number(least(firstUsable, count)) * size,
    usableEnd: Number(least(lastUsable + 1n, count)) * size,
    partitions: partitions.sort(byNumber),
  }
  return { copy, table, misplaced: misplaced.sort((a, b) => byNumber(a.partition, b.partition)) }
}

/** @param before the partition before it on the disk */
function misplacement(
  { first, last }: UsedEntry,
  { firstUsable, lastUsable }: Header,
  sectors: bigint,
  before: UsedEntry | undefined,
): ((sectorSize: number) => string) | undefined {
  if (first > last) return () => 'ends before it starts'
  if (last >= sectors)
    return (size) => `ends at byte ${(last + 1n) * BigInt(size)}, and the disk at byte ${sectors * BigInt(size)}`
  if (first < firstUsable || last > lastUsable) return () => 'lies outside the usable range'
  return before && first <= before.last ? () => `overlaps partition ${before.number}` : undefined
}

function byPlace(a: UsedEntry, b: UsedEntry): number {
  return a.first === b.first ? a.number - b.number : a.first < b.first ? -1 : 1
}

function onDisk({ first, last }: UsedEntry, size: number, sectors: bigint) {
  const [start, end] = [least(first, sectors), least(last + 1n, sectors)]
  return { start: Number(start) * size, length: end > start ? Number(end - start) * size : 0 }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

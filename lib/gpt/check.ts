// What tables may be, whether they are read or written. native/partition_scan.cc keeps the same bounds, and a property test
// both equal.
import { DdiError } from '../errors.js'
import type { Header } from './parse.js'
import { type Copy, type Gpt, type GptProblem, smallestEntry } from './table.js'

export const sectorSizes: readonly number[] = [512, 1024, 2048, 4096]
const largestEntry = 4096
const largestArray = 4 * 1024 * 1024
/** In UTF-16 code units. */
const largestLabel = 36

/** @throws ERR_DDI_USAGE */
export function checkSectorSize(sectorSize: number): void {
  if (!sectorSizes.includes(sectorSize))
    throw new DdiError('ERR_DDI_USAGE', `invalid sector size ${sectorSize}: it is ${sectorSizes.join(', ')} bytes`)
}

/** How many sectors an entry array takes. */
export function arraySectors({
  entryCount,
  entrySize,
  sectorSize,
}: Pick<Gpt, 'entryCount' | 'entrySize' | 'sectorSize'>): number {
  return Math.ceil((entryCount * entrySize) / sectorSize)
}

function isEntrySize(size: number): boolean {
  return size >= smallestEntry && size <= largestEntry && (size & (size - 1)) === 0
}

/**
 * Checks the numbers that a table is encoded from.
 * @param size of the disk, in bytes
 * @throws ERR_DDI_USAGE for numbers that no table has
 */
export function checkTable(table: Gpt, size: number): void {
  const { sectorSize, entrySize, entryCount } = table
  checkSectorSize(sectorSize)
  if (!Number.isSafeInteger(size) || size < sectorSize)
    throw new DdiError('ERR_DDI_USAGE', `invalid size of a disk: ${size} bytes`)
  if (!isEntrySize(entrySize)) throw new DdiError('ERR_DDI_USAGE', `invalid size of an entry: ${entrySize} bytes`)
  if (!Number.isSafeInteger(entryCount) || entryCount < 1 || entryCount * entrySize > largestArray)
    throw new DdiError('ERR_DDI_USAGE', `invalid number of entries: ${entryCount}`)
}

/**
 * Checks that header, array and partitions of both copies have the disk to themselves.
 * @param arrays the LBAs of both entry arrays
 * @throws ERR_DDI_GPT_ARRAY_RANGE
 */
export function checkPlaces(table: Gpt, size: number, arrays: Readonly<Record<Copy, number>>): void {
  const { sectorSize, usableStart, usableEnd } = table
  const length = arraySectors(table)
  const last = Math.floor(size / sectorSize) - 1
  const places = [
    { start: 0, end: 2 },
    { start: arrays.primary, end: arrays.primary + length },
    { start: usableStart / sectorSize, end: usableEnd / sectorSize },
    { start: arrays.backup, end: arrays.backup + length },
    { start: last, end: last + 1 },
  ].sort((a, b) => a.start - b.start)
  const fits = places.every(({ start, end }, n) => {
    const before = n === 0 ? 0 : places[n - 1]!.end
    return Number.isInteger(start) && Number.isInteger(end) && before <= start && start < end && end <= last + 1
  })
  if (!fits)
    throw new DdiError(
      'ERR_DDI_GPT_ARRAY_RANGE',
      'the two headers, the two entry arrays and the usable range of the table do not fit beside each other',
    )
}

/** @throws ERR_DDI_USAGE for what no entry can say; ERR_DDI_GPT_ENTRY_RANGE if a partition lies outside the usable range */
export function checkPartitions({ partitions, sectorSize, entryCount, usableStart, usableEnd }: Gpt): void {
  const numbers = new Set<number>()
  for (const { number, start, length, attributes, label } of partitions) {
    if (!Number.isInteger(number) || number < 1 || number > entryCount || numbers.has(number))
      throw new DdiError('ERR_DDI_USAGE', `invalid or duplicate partition number ${number} of ${entryCount}`)
    numbers.add(number)
    if (start % sectorSize !== 0 || length % sectorSize !== 0 || !(length > 0))
      throw new DdiError(
        'ERR_DDI_USAGE',
        `partition ${number} has ${length} bytes from ${start}, not whole sectors of ${sectorSize}`,
      )
    if (start < usableStart || start + length > usableEnd)
      throw new DdiError('ERR_DDI_GPT_ENTRY_RANGE', `partition ${number} lies outside the usable range`)
    if (attributes < 0n || attributes >= 2n ** 64n)
      throw new DdiError('ERR_DDI_USAGE', `invalid attributes of partition ${number}: ${attributes}`)
    if (label.length > largestLabel || label.includes('\0'))
      throw new DdiError(
        'ERR_DDI_USAGE',
        `invalid label of partition ${number}: at most ${largestLabel} UTF-16 code units, none of them NUL`,
      )
  }
}

/** What a header with a right checksum may still claim wrongly of its entries. */
export function checkEntries({ entrySize, entryCount }: Header): GptProblem['code'] | undefined {
  if (!isEntrySize(entrySize)) return 'ERR_DDI_GPT_ENTRY_SIZE'
  return entryCount === 0 || entryCount * entrySize > largestArray ? 'ERR_DDI_GPT_ENTRY_COUNT' : undefined
}

/** The same of a disk of `sectors`. */
export function checkGeometry(header: Header, sectorSize: number, sectors: bigint): GptProblem['code'] | undefined {
  const { entrySize, entryCount, firstUsable, lastUsable, array, lba } = header
  const ofEntries = checkEntries(header)
  if (ofEntries) return ofEntries
  if (lastUsable >= sectors || header.alternate >= sectors) return 'ERR_DDI_GPT_TRUNCATED'
  if (firstUsable > lastUsable || (lba >= firstUsable && lba <= lastUsable)) return 'ERR_DDI_GPT_USABLE_RANGE'
  const arrayEnd = array + BigInt(arraySectors({ entryCount, entrySize, sectorSize }))
  if (array < 2n || arrayEnd > sectors) return 'ERR_DDI_GPT_ARRAY_RANGE'
  if (lba >= array && lba < arrayEnd) return 'ERR_DDI_GPT_ARRAY_RANGE'
  if (array <= lastUsable && arrayEnd > firstUsable) return 'ERR_DDI_GPT_ARRAY_RANGE'
  return undefined
}

// What tables may be, whether they are read or written. native/partition_scan.cc keeps the same bounds, and a property test
// both equal.
import { DdiError } from '../errors.js'
import type { Header } from './parse.js'
import { type Gpt, type GptProblem, smallestEntry } from './table.js'

export const sectorSizes: readonly number[] = [512, 1024, 2048, 4096]
const largestEntry = 4096
const largestArray = 4 * 1024 * 1024

/** @throws ERR_DDI_USAGE */
export function checkSectorSize(sectorSize: number): void {
  if (!sectorSizes.includes(sectorSize))
    throw new DdiError('ERR_DDI_USAGE', `invalid sector size ${sectorSize}: it is ${sectorSizes.join(', ')} bytes`)
}

/** How many sectors an entry array takes. */
export function arraySectors({ entryCount, entrySize, sectorSize }: Gpt): number {
  return Math.ceil((entryCount * entrySize) / sectorSize)
}

/**
 * Checks what a copy of a table is encoded from.
 * @param size of the disk, in bytes
 * @throws ERR_DDI_USAGE for numbers that no table has; ERR_DDI_GPT_ENTRY_SIZE for entries over 128 bytes, whose rest we
 *   would lose; ERR_DDI_GPT_ARRAY_RANGE and ERR_DDI_GPT_ENTRY_RANGE if array or partitions do not fit
 */
export function checkTable(table: Gpt, size: number): void {
  const { sectorSize, entrySize, entryCount, usableStart, usableEnd } = table
  checkSectorSize(sectorSize)
  if (!Number.isSafeInteger(size) || size < sectorSize)
    throw new DdiError('ERR_DDI_USAGE', `invalid size of a disk: ${size} bytes`)
  if (entrySize !== smallestEntry)
    throw new DdiError(
      'ERR_DDI_GPT_ENTRY_SIZE',
      `entries of ${entrySize} bytes: only tables with ${smallestEntry} are written`,
    )
  if (!Number.isSafeInteger(entryCount) || entryCount < 1 || entryCount * entrySize > largestArray)
    throw new DdiError('ERR_DDI_USAGE', `invalid number of entries: ${entryCount}`)
  const arrayLength = arraySectors(table)
  const last = Math.floor(size / sectorSize) - 1
  const areSectors = usableStart % sectorSize === 0 && usableEnd % sectorSize === 0
  const fits = (2 + arrayLength) * sectorSize <= usableStart && usableEnd <= (last - arrayLength) * sectorSize
  if (!areSectors || !fits || usableEnd <= usableStart)
    throw new DdiError('ERR_DDI_GPT_ARRAY_RANGE', 'the entry array does not fit before and behind the usable range')
  checkPartitions(table)
}

function checkPartitions({ partitions, sectorSize, entryCount, usableStart, usableEnd }: Gpt): void {
  const numbers = new Set<number>()
  for (const { number, start, length, attributes } of partitions) {
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
  }
}

/** What a header with a right checksum may still claim wrongly of a disk of `sectors`. */
export function checkGeometry(header: Header, sectorSize: number, sectors: bigint): GptProblem['code'] | undefined {
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

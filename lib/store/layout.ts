import { concatSources } from '../bytes/concat.js'
import { memorySource } from '../bytes/memory.js'
import { zeroSource } from '../bytes/repeat.js'
import { alignUp } from '../bytes/runs.js'
import { segmentUnit } from '../disk/allocation.js'
import { DdiError } from '../errors.js'
import { arraySectors, sectorSizes } from '../gpt/check.js'
import { encodeCopies, type Write } from '../gpt/encode.js'
import { grownMbr } from '../gpt/mbr.js'
import { parseHeader } from '../gpt/parse.js'
import { problemError } from '../gpt/read.js'
import { scanStoredGpt } from '../gpt/scan.js'
import type { Gpt, StoredGpt } from '../gpt/table.js'

/** How many bytes at the beginning of an image are enough for its primary table, wherever the array lies before the partitions. */
export const headLength = 1024 * 1024

/** What of an image is stored, and how large it is then. */
export interface StoredLayout {
  readonly table: Gpt
  /** How much of the image its partitions reach: nothing behind is in a volume. In bytes. */
  readonly dataEnd: number
  /** Of the volume, in bytes: the data, and the backup table behind it. */
  readonly size: number
  /** The table for that size: both copies, and the MBR. Entries stay as they are. */
  readonly writes: readonly Write[]
}

/**
 * Lays out an image so that it ends where its last partition does: its backup table moves there, and the free space that was
 * before it is not stored.
 * @param head the first {@link headLength} bytes of the image, or all of them
 * @throws ERR_DDI_NO_TABLE if it is no image with a table, and the `ERR_DDI_GPT_…` codes
 */
export async function storedLayout(head: Uint8Array): Promise<StoredLayout> {
  const claimed = claimedSize(head)
  if (claimed === undefined)
    throw new DdiError('ERR_DDI_NO_TABLE', 'the image does not begin with a GPT: a store holds images with a table')
  const known = memorySource(head)
  const rest = Math.max(0, claimed - head.length)
  const scan = await scanStoredGpt(rest === 0 ? known : concatSources([known, zeroSource(rest)]))
  if ('code' in scan) throw problemError(scan)
  return layoutOf(scan)
}

/** The size of the disk that the primary header claims, in bytes. */
function claimedSize(head: Uint8Array): number | undefined {
  for (const size of sectorSizes) {
    const { value } = parseHeader(head.subarray(size, 2 * size), 1n)
    if (!value) continue
    const claimed = Number(value.alternate + 1n) * size
    if (Number.isSafeInteger(claimed)) return claimed
  }
  return undefined
}

function layoutOf(stored: StoredGpt): StoredLayout {
  const { table } = stored
  const { sectorSize, partitions } = table
  if (partitions.length === 0)
    throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', 'the table of the image has no partitions')
  const dataEnd = Math.max(...partitions.map(({ start, length }) => start + length))
  const backup = (arraySectors(table) + 1) * sectorSize
  const size = alignUp(dataEnd + backup, segmentUnit)
  const last = size / sectorSize - 1
  const arrays = { ...stored.arrays, backup: last - arraySectors(table) }
  const next = { ...table, usableEnd: size - backup }
  const copies = encodeCopies(next, size, { ...stored, arrays, partitions })
  const mbr = { offset: 0, bytes: grownMbr(stored.mbr, stored.backupLba, last) }
  return { table: next, dataEnd, size, writes: [mbr, ...copies.backup, ...copies.primary] }
}

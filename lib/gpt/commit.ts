import { isDeepStrictEqual } from 'node:util'
import { overlaySource } from '../bytes/overlay.js'
import type { Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { encodeCopies, type Write } from './encode.js'
import { grownMbr, isProtectiveMbr, restoredMbr } from './mbr.js'
import { describeProblem } from './read.js'
import { scanGpt } from './scan.js'
import { fitToDisk, type Gpt, lastLba, type StoredGpt } from './table.js'

/**
 * What repairs the first sector of a disk: its protective record.
 * @param force replaces other records, and the boot code with them
 * @throws ERR_DDI_GPT_NO_PROTECTIVE_MBR if there are other records, which may be somebody's partitions
 */
export function repairedMbr({ mbr, table }: StoredGpt, size: number, force = false): Uint8Array {
  const repaired = isProtectiveMbr(mbr) ? mbr : restoredMbr(mbr, lastLba(table, size), force)
  if (repaired) return repaired
  throw new DdiError(
    'ERR_DDI_GPT_NO_PROTECTIVE_MBR',
    'the MBR has partitions of its own and does not protect the GPT: the disk may have been put to another use since, so nothing was written',
  )
}

/** Whether a change of the table moves its backup: the disk has grown. */
export function movesBackup({ table, backupLba }: StoredGpt, size: number): boolean {
  return backupLba !== lastLba(table, size)
}

/**
 * Replaces a disk's table, all or nothing: backup array, backup header, primary array, primary header, each flushed
 * before the next begins. After a power cut a reader finds the old table or the new one
 * (docs/extension-partitions.md, "Changing a chain"). Bytes that `next` does not name stay as they are.
 * @param target the disk
 * @param current what the disk has now: a damaged primary is repaired first, or the only good copy would be the first to be
 *   overwritten
 * @param next the table to put in its place, and the MBR before it
 * @throws what `encodeCopies` throws, ERR_DDI_USAGE for a table that would not be read back as it is, and the
 *   `ERR_DDI_GPT_…` codes for one that could not be read at all or has no protective MBR, all before anything is written; what `target` throws
 */
export async function commitGpt(
  target: Target,
  current: StoredGpt,
  next: Pick<StoredGpt, 'table' | 'mbr'>,
): Promise<void> {
  if (!isProtectiveMbr(next.mbr))
    throw new DdiError(
      'ERR_DDI_GPT_NO_PROTECTIVE_MBR',
      'nothing was written: no protective MBR says that the disk is still what its GPT says',
    )
  const writes = encodeChange(current, next, target.size)
  await refuseUnreadable(target, writes, next.table)
  for (const { offset, bytes } of writes) {
    await target.write(offset, bytes)
    await target.flush()
  }
}

function encodeChange(current: StoredGpt, next: Pick<StoredGpt, 'table' | 'mbr'>, size: number): readonly Write[] {
  const kept = { ...current, partitions: current.table.partitions }
  const { primary, backup } = encodeCopies(next.table, size, kept)
  const repair = current.copy === 'backup' ? encodeCopies(fitToDisk(current, size), size, kept).primary : []
  const mbr = grownMbr(next.mbr, current.backupLba, lastLba(current.table, size))
  const isSame = Buffer.compare(mbr, current.mbr) === 0
  return [...repair, ...backup, ...primary, ...(isSame ? [] : [{ offset: 0, bytes: mbr }])]
}

/** Reads what a change would leave before it is written. */
async function refuseUnreadable(target: Target, writes: readonly Write[], next: Gpt): Promise<void> {
  const scan = await scanGpt(overlaySource(target, writes))
  if ('code' in scan)
    throw new DdiError(scan.code, `nothing was written: the table would not be valid: ${describeProblem(scan)}`)
  if (scan.copy !== 'primary' || !isDeepStrictEqual(scan.table, next))
    throw new DdiError('ERR_DDI_USAGE', 'nothing was written: the table would not be read back as requested')
}

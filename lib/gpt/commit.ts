import type { Target } from '../bytes/source.js'
import { encodeCopy, fitToDisk } from './encode.js'
import type { Copy, Gpt } from './table.js'

/**
 * Replaces a disk's table, all or nothing: backup array, backup header, primary array, primary header, each flushed
 * before the next begins. After a power cut a reader finds the old table or the new one
 * (docs/extension-partitions.md, "Changing a chain").
 * @param target the disk
 * @param current what the disk has now, and in which copy: a damaged primary is repaired first, or the only good copy
 *   would be the first to be overwritten
 * @param next the table to put in its place; its usable range ends where the backup table begins
 * @throws what `encodeCopy` throws, before anything is written, and what `target` throws
 */
export async function commitGpt(
  target: Target,
  current: { readonly table: Gpt; readonly copy: Copy },
  next: Gpt,
): Promise<void> {
  const fitted = fitToDisk(next, target.size)
  const writes = [...encodeCopy(fitted, target.size, 'backup'), ...encodeCopy(fitted, target.size, 'primary')]
  if (current.copy === 'backup')
    writes.unshift(...encodeCopy(fitToDisk(current.table, target.size), target.size, 'primary'))
  for (const { offset, bytes } of writes) {
    await target.write(offset, bytes)
    await target.flush()
  }
}

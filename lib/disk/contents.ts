import { openFile } from '../bytes/file.js'
import type { LinearExtent, Source } from '../bytes/source.js'
import { refusedTable } from '../gpt/read.js'
import { fitToDisk, type StoredGpt } from '../gpt/table.js'
import { freeRuns } from './allocation.js'
import { type Orphan, tableVolumes } from './partition.js'
import { scanDisk } from './scan.js'
import type { TableContents } from './table.js'

/** What a disk's table says. */
export interface DiskContents extends TableContents<LinearExtent> {
  /** Of the table. */
  readonly uuid: string
  readonly orphans: readonly Orphan[]
}

/**
 * Reads what a disk's own table says, without what is nested in its volumes. Nothing is written, and no lock is taken.
 * @param given path of a disk image or block device, or a source of its bytes
 * @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes; for a path, ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_IMAGE_KIND
 */
export async function readDisk(given: string | Source): Promise<DiskContents> {
  if (typeof given === 'string') {
    await using file = await openFile(given)
    return await readDisk(file)
  }
  const { table } = await readTable(given)
  return { uuid: table.uuid, ...tableVolumes(table), free: freeRuns(table) }
}

/** A table with all the space that a change of it can use. @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes, and as `scanDisk` */
export async function readTable(source: Source, only?: 'backup'): Promise<StoredGpt> {
  const scan = await scanDisk(source, only)
  if ('code' in scan) throw await refusedTable(source, scan)
  return { ...scan, table: fitToDisk(scan, source.size) }
}

import { isSuper } from '../android/super.js'
import type { Source } from '../bytes/source.js'
import { scanStoredGpt } from '../gpt/scan.js'
import type { GptProblem, StoredGpt } from '../gpt/table.js'
import { probe } from './probe.js'

/**
 * Looks for the table of a disk, as `blkid -p` counts it: a backup behind what libblkid, or we, know to begin a disk is a
 * leftover, also where `ddi/gpt` alone does not know it.
 * @param only reads the backup at the end of the disk, whatever lies before it: to rescue one
 * @throws as `probe`
 */
export async function scanDisk(source: Source, only?: 'backup'): Promise<StoredGpt | GptProblem> {
  const scan = await scanStoredGpt(source, only)
  if ('code' in scan || scan.copy === 'primary' || only) return scan
  const isOther = (await isSuper(source)) || (await probe(source, 'the disk')) !== null
  return isOther ? { copy: 'backup', code: 'ERR_DDI_GPT_LEFTOVER' } : scan
}

/** Whether bytes are a super partition, and libblkid knows nothing that was put in its place since. @throws as `probe` */
export async function holdsSuper(source: Source): Promise<boolean> {
  return (await isSuper(source)) && (await probe(source, 'the super partition')) === null
}

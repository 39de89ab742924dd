import { isSuper } from '../android/geometry.js'
import type { Source } from '../bytes/source.js'
import { isProtectiveMbr } from '../gpt/mbr.js'
import { scanStoredGpt } from '../gpt/scan.js'
import type { GptProblem, StoredGpt } from '../gpt/table.js'
import { probe } from './probe.js'

/**
 * Looks for the table of a disk, as `blkid -p` counts it: where no protective MBR lies before it, or only a backup is left, a GPT
 * does not count if libblkid, or we, know what the disk begins with; also where `ddi/gpt` alone does not know it.
 * @param only reads the backup at the end of the disk, whatever lies before it: to rescue one
 * @throws as `probe`
 */
export async function scanDisk(source: Source, only?: 'backup'): Promise<StoredGpt | GptProblem> {
  const scan = await scanStoredGpt(source, only)
  if (only || ('code' in scan && scan.code === 'ERR_DDI_NO_TABLE')) return scan
  if (scan.copy === 'primary' && isProtectiveMbr(await source.read(0, 512))) return scan
  const isOther = (await isSuper(source)) || (await probe(source, 'the disk')) !== null
  return isOther ? { copy: scan.copy, code: 'ERR_DDI_GPT_LEFTOVER' } : scan
}

/** Whether bytes are a super partition, and libblkid knows nothing that was put in its place since. @throws as `probe` */
export async function holdsSuper(source: Source): Promise<boolean> {
  return (await isSuper(source)) && (await probe(source, 'the super partition')) === null
}

import { stat } from 'node:fs/promises'
import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'

/** Whether the firmware has an entry for a disk, or why not. */
export type BootEntry =
  | { readonly state: 'made' }
  /** @property reason for people: the firmware finds the removable path all the same */
  | { readonly state: 'none'; readonly reason: string }

const variables = '/sys/firmware/efi/efivars'

/**
 * Tells the firmware of the UKI on a disk, and to boot it first.
 * @param label what the firmware shows
 * @param loader its path on partition 1
 * @throws ERR_DDI_ABORTED
 */
export async function makeBootEntry(
  disk: string,
  label: string,
  loader: string,
  signal?: AbortSignal,
): Promise<BootEntry> {
  if (!(await stat(disk)).isBlockDevice()) return none(`${disk} is a file`)
  if (!(await exists(`${variables}/BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c`)))
    return none('this machine did not boot by EFI, or its variables are not mounted')
  const place = ['--disk', disk, '--part', '1', '--loader', `\\${loader.replaceAll('/', '\\')}`] as const
  const command = ['efibootmgr', '--create', '--quiet', ...place, '--label', label] as const
  try {
    await runTool({ command, package: 'efibootmgr' }, signal)
    return { state: 'made' }
  } catch (error) {
    if (!(error instanceof DdiError) || error.code === 'ERR_DDI_ABORTED') throw error
    return none(error.message)
  }
}

function none(reason: string): BootEntry {
  return { state: 'none', reason }
}

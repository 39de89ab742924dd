import { join } from 'node:path'
import { initDisk } from '../attach/init-disk.js'
import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { installDisk } from '../install/install-disk.js'
import { parseAddress } from '../pull/address.js'
import { pull } from '../pull/pull.js'
import { throwIfAborted } from '../work.js'
import type { BootContext } from './context.js'
import { waiting } from './fetch.js'
import { lookFor } from './look-for.js'
import { findBootOrigin } from './origin.js'
import { bootScratch } from './scratch.js'
import { readServerTrust } from './trust.js'

/** How long a disk may take to be found by its driver, in milliseconds. */
const longestWait = 10_000

/**
 * Installs a machine that booted from a URL on the blank disk that `ddi.install=` names: the UKI comes once more from that URL, and is
 * taken if a key of this initrd signed its checksum, or `ddi.insecure` says that nothing has to be signed. What is refused or fails is
 * told, and the machine boots as it would without.
 * @returns the path of the disk, if it has the UKI now
 * @throws ERR_DDI_ABORTED
 */
export async function installMachine(context: BootContext, device: string): Promise<string | undefined> {
  const { root, log, signal } = context
  const disk = join(root, device)
  try {
    if (!device.startsWith('/dev/'))
      throw new DdiError('ERR_DDI_USAGE', `ddi.install=${device} has to be a path below /dev`)
    if (!(await lookFor(async () => (await exists(disk)) || undefined, longestWait, signal)))
      throw new DdiError('ERR_DDI_NOT_FOUND', `there is no ${device}, which ddi.install= names`)
    // What is refused is refused before anything is downloaded.
    await (await initDisk(disk, { dryRun: true })).close()
    const origin = await findBootOrigin({ root })
    if (!origin) throw new DdiError('ERR_DDI_NO_BOOT_ORIGIN', 'this machine did not boot from a URL')
    await using scratch = await bootScratch(root, 'install')
    const uki = join(scratch.path, 'uki.efi')
    await fetchUki(context, origin.url, uki)
    const { bootEntry } = await installDisk(disk, { uki, signal })
    const entry = bootEntry?.state === 'none' ? `; no boot entry: ${bootEntry.reason}` : ''
    log.say(`installed ${parseAddress(origin.url).url} on ${device}${entry}`)
    return disk
  } catch (error) {
    throwIfAborted(signal)
    if (!(error instanceof DdiError)) throw error
    log.say(`nothing is installed on ${device}: ${error.message} (${error.code})`)
    return undefined
  }
}

/** What the firmware starts from a disk decides about the machine from then on: an image that the UKI would boot is no proof of it. */
async function fetchUki({ root, parameters, log, signal }: BootContext, url: string, path: string): Promise<void> {
  const { insecure, retry } = parameters
  if (insecure) log.say(`INSECURE: nothing vouches for ${parseAddress(url).url}, which is installed`)
  const options = { ...(await readServerTrust(root)), retry, onNote: log.say, onProgress: log.progress, signal }
  await waiting('UKI', options, (pulling) =>
    pull(url, { kind: 'raw', path }, { ...pulling, verify: insecure ? 'no' : 'signature' }),
  )
}

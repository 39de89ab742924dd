import { basename, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { exists } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { parameterValue } from './command-line.js'
import type { BootContext } from './context.js'
import { type RootImage, requireTrusted } from './root-image.js'
import { decideTrust, readTrustAnchors, warningOf } from './trust.js'

/** How long a disk may take to be found by its driver, in milliseconds. */
const longestWait = 30_000
const pause = 100

/**
 * The image on the disk that `root=/dev/…` names: what a machine boots that did not boot from a URL, by the same rules of trust.
 * @returns undefined if the command line names no device
 * @throws ERR_DDI_NOT_FOUND if there is no such device, and as `obtainRoot`
 */
export async function findDiskRoot({ root, parameters, log, signal }: BootContext): Promise<RootImage | undefined> {
  const device = parameterValue(parameters.text, 'root') ?? ''
  if (!/^\/dev\/(?!disk\/by-loop-ref\/)/.test(device)) return undefined
  const anchors = await readTrustAnchors(root, parameters)
  const trust = decideTrust({ kind: 'raw', use: 'root', verify: 'no', requestedBy: 'command-line' }, anchors)
  const path = join(root, device)
  const warning = warningOf(trust, path)
  if (warning !== undefined) log.say(warning)
  for (let waited = 0; !(await exists(path)); waited += pause) {
    throwIfAborted(signal)
    if (waited >= longestWait) throw new DdiError('ERR_DDI_NOT_FOUND', `there is no ${device}, which root= names`)
    await wait(pause)
  }
  const { policy } = anchors
  const rootHashes = await requireTrusted(path, trust, { policy, whole: false, signal })
  const here = { url: null, sha256: null, readOnly: true }
  return { kind: 'raw', name: basename(path), path, ...here, trust, policy, rootHashes }
}

import { basename, join } from 'node:path'
import { exists } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { parameterValue } from './command-line.js'
import type { BootContext } from './context.js'
import { lookFor } from './look-for.js'
import { type RootImage, requireTrusted } from './root-image.js'
import { decideTrust, readTrustAnchors, warningOf } from './trust.js'

/** How long a disk may take to be found by its driver, in milliseconds. */
const longestWait = 30_000

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
  if (!(await lookFor(async () => (await exists(path)) || undefined, longestWait, signal)))
    throw new DdiError('ERR_DDI_NOT_FOUND', `there is no ${device}, which root= names`)
  const { policy } = anchors
  const rootHashes = await requireTrusted({ path }, trust, { policy, whole: false, signal })
  const here = { url: null, sha256: null, readOnly: true }
  return { kind: 'raw', name: basename(path), path, ...here, trust, policy, rootHashes }
}

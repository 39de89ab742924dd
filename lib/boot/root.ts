import { join } from 'node:path'
import { printable } from '../text.js'
import type { BootContext } from './context.js'
import { type BootPull, pullRequests } from './pulls.js'
import { mountRootImage, type RootImage } from './root-image.js'
import { readServerTrust, readTrustAnchors } from './trust.js'

export type { RootImage } from './root-image.js'

/**
 * Pulls everything that this boot requests, and checks what is to be the root.
 * @returns the image of the root; undefined if none is requested, or it is skipped because the machine did not boot from a URL
 * @throws the error of the root’s request; of any other one if `systemd.pull.failure_action=` says that it matters; of a request that is
 *   malformed if there is no root else; ERR_DDI_USAGE if it is not clear which image is the root; as {@link readTrustAnchors}
 */
export async function obtainRoot(context: BootContext): Promise<RootImage | undefined> {
  const { root, parameters, log, signal } = context
  const anchors = await readTrustAnchors(root, parameters)
  const place = { root, initrd: true, parameters, anchors, credentials: join(root, 'run/credentials/@system') }
  const { pulls, root: image } = await pullRequests(place, {
    ...(await readServerTrust(root)),
    wantsRoot: true,
    retry: parameters.retry,
    onNote: log.say,
    onProgress: log.progress,
    signal,
  })
  for (const one of pulls) log.say(outcome(one))
  const failed = pulls.find((one) => one.state === 'failed')
  if (failed && (!image || parameters.failureAction !== 'none')) throw failed.error
  return image
}

function outcome(one: BootPull): string {
  const what = printable(one.expression)
  if (one.state === 'failed') return `failed: ${what}: ${one.error.message} (${one.error.code})`
  if (one.state === 'skipped') return `skipped: ${what}`
  return `${one.state}: ${one.path}`
}

/**
 * Mounts the root image, or binds its tree.
 * @param sysroot a directory that exists
 * @throws what `mountImage` throws; nothing is left then
 */
export async function mountRoot({ parameters, signal }: BootContext, image: RootImage, sysroot: string): Promise<void> {
  await mountRootImage(image, sysroot, parameters, signal)
}

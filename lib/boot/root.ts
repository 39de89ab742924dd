import { parameterValue } from '../kernel-command-line.js'
import { parseAddress } from '../pull/address.js'
import { printable } from '../text.js'
import { type Companion, type Companions, listCompanions } from './companion-list.js'
import { takeCredentials, takeExtensions } from './companions.js'
import type { BootContext } from './context.js'
import { type Credentials, joinCredentials, leaveCredentials } from './credentials.js'
import { deviceNamed, findDiskRoot } from './disk-root.js'
import type { FetchOptions } from './fetch.js'
import { findBootOrigin } from './origin.js'
import { actionsIn } from './parameters.js'
import { type BootPull, pullRequests } from './pulls.js'
import { describeRoot, record } from './record.js'
import { type Requested, readRequested, requestsIn } from './requested.js'
import { mayBeRoot } from './requests.js'
import { describePlace, mountRootImage, type RootImage } from './root-image.js'
import type { StoreSpace } from './store-pull.js'
import { readServerTrust, readTrustAnchors, type TrustAnchors } from './trust.js'

export type { RootImage } from './root-image.js'

/**
 * Pulls everything that this boot requests, and what lies beside the kernel that was booted; checks and measures what is to be the root.
 * @param store where the image of the root goes if it can; else it stays in memory
 * @param requested as it was before there was a network. Default: as it is now
 * @returns the image of the root; undefined if none is requested, or it is skipped because the machine did not boot from a URL
 * @throws the error of the root’s request; of any other one if `systemd.pull.failure_action=` says that it matters; of a request that is
 *   malformed if there is no root else; ERR_DDI_USAGE if it is not clear which image is the root; ERR_DDI_TPM; and as
 *   `readTrustAnchors`
 */
export async function obtainRoot(
  context: BootContext,
  store?: StoreSpace,
  requested?: Requested,
): Promise<RootImage | undefined> {
  const { root, parameters, log, signal } = context
  const anchors = await readTrustAnchors(root, parameters)
  const options = {
    ...(await readServerTrust(root)),
    retry: parameters.retry,
    onNote: log.say,
    onProgress: log.progress,
    signal,
  }
  const { credentials: own, origin: known, asksServer } = requested ?? (await readRequested(context))
  const origin = known === 'lease' ? await findBootOrigin({ root }) : known
  log.say(
    origin ? `booted from ${parseAddress(origin.url).url} (${origin.source})` : 'this machine did not boot from a URL',
  )
  const place = { root, initrd: true, parameters, anchors, origin: async () => origin }
  // Where nothing is to come from a server, there may be no network.
  const mayCount = options.keyring !== undefined || anchors.certificates.length > 0 || anchors.insecure
  const asks = origin && mayCount && asksServer
  const companions = asks ? await listCompanions(origin.url, options) : undefined
  const credential = requestsIn(await addCompanions(context, own, { anchors, companions }, options))
  const { pulls, root: image } = await pullRequests({ ...place, credential, store }, { ...options, wantsRoot: true })
  // An extension that was requested comes before one of its name that lies beside the kernel.
  if (companions) await record(context, named((await takeExtensions(companions, place, options)).taken))
  for (const one of pulls) log.say(outcome(one))
  const failed = pulls.find((one) => one.state === 'failed')
  const needsIt = !image && !(failed && isBesideDisk(failed.expression, parameters.text))
  if (failed && (needsIt || actionsIn(parameters.text).failureAction !== 'none')) throw failed.error
  if (image) await record(context, describeRoot(image))
  return image
}

/** Whether what could not be pulled is none of the root, which is on a disk. */
function isBesideDisk(expression: string, commandLine: string): boolean {
  return deviceNamed(parameterValue(commandLine, 'root') ?? '') !== undefined && !mayBeRoot(expression)
}

/** Adds the companions’ credentials to those of the machine, and leaves all for the system that is booted. */
async function addCompanions(
  context: BootContext,
  own: Credentials,
  { anchors, companions }: { readonly anchors: TrustAnchors; readonly companions: Companions | undefined },
  options: FetchOptions,
): Promise<Credentials> {
  const { root, log } = context
  const beside = companions && (await takeCredentials(companions, anchors, options))
  await record(context, named(beside?.taken ?? []))
  const assignments = [...own].map(([name, value]) => ({ name, value }))
  const all = joinCredentials([...assignments, ...(beside?.credentials ?? [])], log.say)
  await leaveCredentials(root, all)
  return all
}

/** How companions are measured. */
function named(taken: readonly Companion[]): readonly string[] {
  return taken.map(({ file, sha256 }) => `companion=${file} sha256=${sha256}`)
}

/**
 * Finds the root on the disk that `root=/dev/…` names, for a machine that pulls none; checks and measures it.
 * @throws as {@link findDiskRoot}; ERR_DDI_TPM
 */
export async function rootOnDisk(context: BootContext): Promise<RootImage | undefined> {
  const image = await findDiskRoot(context)
  if (image) await record(context, describeRoot(image))
  return image
}

function outcome(one: BootPull): string {
  const what = printable(one.expression)
  if (one.state === 'failed') return `failed: ${what}: ${one.error.message} (${one.error.code})`
  if (one.state === 'skipped') return `skipped: ${what}`
  return `${one.state}: ${one.state === 'installed' ? describePlace({ path: one.path, stored: one.image }) : one.path}`
}

/**
 * Mounts the root image, or binds its tree.
 * @param sysroot a directory that exists
 * @returns what undoes that
 * @throws what `mountImage` throws; nothing is left then
 */
export async function mountRoot(
  { parameters, signal }: BootContext,
  image: RootImage,
  sysroot: string,
): Promise<AsyncDisposable> {
  return await mountRootImage(image, sysroot, parameters, signal)
}

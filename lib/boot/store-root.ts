import { DdiError, systemError } from '../errors.js'
import type { FoundStore } from '../store/disks.js'
import type { StoreImage } from '../store/image.js'
import { leaveRunning } from '../store/running.js'
import { candidates } from '../store/select.js'
import { openStore } from '../store/store.js'
import { throwIfAborted } from '../work.js'
import type { BootContext } from './context.js'
import { leaveCredentials, readCredentials } from './credentials.js'
import { describeRoot, record } from './record.js'
import { describePlace, type RootImage, requireTrusted } from './root-image.js'
import type { StoreParameters } from './store-parameters.js'
import { decideTrust, readTrustAnchors, type Trust, type TrustAnchors, warningOf } from './trust.js'

/** Mounts an image as the root of the system; nothing is left of one that it refuses. */
export type Mount = (image: RootImage) => Promise<void>

/** What every image of a store is held against. */
interface Standard {
  readonly trust: Trust
  readonly policy: TrustAnchors['policy']
}

/**
 * Boots from a store as far as the hand-over (docs/image-store.md, "Which image boots"): one image after the other, until one is mounted.
 * The boot of a new image is counted on the disk before anything of it is looked at: what stops the machine is not tried for ever.
 * @returns undefined if none of the candidates boots
 * @throws ERR_DDI_UNTRUSTED if nothing would vouch for an image, ERR_DDI_NO_VOLUME if there is none of the label that the command line
 *   names; ERR_DDI_TPM, ERR_DDI_ABORTED, and as `readTrustAnchors`
 */
export async function rootInStore(
  context: BootContext,
  store: FoundStore,
  parameters: Pick<StoreParameters, 'product' | 'label'>,
  mount: Mount,
): Promise<RootImage | undefined> {
  const standard = await standardOf(context, store.path)
  for (const candidate of chosen(store, parameters)) {
    throwIfAborted(context.signal)
    const image = parameters.label === null ? await counted(context, store.path, candidate) : candidate
    const root = image && (await mounted(context, store.path, { image, standard, mount }))
    if (root) return root
  }
  context.log.say(`no image of ${parameters.product} on ${store.path} boots`)
  return undefined
}

async function standardOf({ root, parameters, log }: BootContext, path: string): Promise<Standard> {
  const anchors = await readTrustAnchors(root, parameters)
  const trust = decideTrust({ kind: 'raw', use: 'root', verify: 'no', requestedBy: 'command-line' }, anchors)
  const warning = warningOf(trust, path)
  if (warning !== undefined) log.say(warning)
  return { trust, policy: anchors.policy }
}

/** @throws ERR_DDI_NO_VOLUME */
function chosen(
  { path, images }: FoundStore,
  { product, label }: Pick<StoreParameters, 'product' | 'label'>,
): readonly StoreImage[] {
  if (label === null) return candidates(images, product)
  const named = images.filter((image) => image.label === label)
  if (named.length !== 1)
    throw new DdiError('ERR_DDI_NO_VOLUME', `${path} has ${named.length} images ${label}, which ddi.image= names`)
  return named
}

/** Takes a try of a new image. @returns the image as it is then; undefined if that cannot be written: only good ones boot then */
async function counted(context: BootContext, path: string, image: StoreImage): Promise<StoreImage | undefined> {
  if (image.state === 'good') return image
  try {
    await using store = await openStore(path)
    return await store.try(image)
  } catch (error) {
    const { message, code } = expected(error, context)
    context.log.say(`passed over ${image.label}: its boot cannot be counted on ${path}: ${message} (${code})`)
    return undefined
  }
}

interface Attempt {
  readonly image: StoreImage
  readonly standard: Standard
  readonly mount: Mount
}

/** @returns undefined if the image is refused */
async function mounted(
  context: BootContext,
  path: string,
  { image: stored, standard, mount }: Attempt,
): Promise<RootImage | undefined> {
  const { root, parameters, log, signal } = context
  const place = { path, stored }
  const tries = stored.state === 'good' ? 'good' : `${stored.tries} tries left after this one`
  log.say(`trying ${describePlace(place)} (${tries})`)
  let image: RootImage
  try {
    const rootHashes = await requireTrusted(place, standard.trust, { policy: standard.policy, whole: false, signal })
    const here = { url: null, sha256: null, readOnly: true }
    image = { kind: 'raw', name: stored.label, ...place, ...here, ...standard, rootHashes }
    await mount(image)
  } catch (error) {
    await refuse(context, { path, stored }, expected(error, context))
    return undefined
  }
  log.say(`${describePlace(image)} is mounted`)
  await record(context, describeRoot(image))
  await leaveCredentials(root, await readCredentials(root, parameters.text, log.say))
  await leaveRunning(root, stored.uuid)
  return image
}

/** Errors of ours are about an image or a disk; others are about this program. @throws any other, and ERR_DDI_ABORTED */
function expected(error: unknown, { signal }: Pick<BootContext, 'signal'>): DdiError {
  throwIfAborted(signal)
  if (error instanceof DdiError) return error
  throw error
}

/** A new image that is refused becomes bad, unless the machine is at fault; a good one stays good. */
async function refuse(
  context: BootContext,
  { path, stored }: { readonly path: string; readonly stored: StoreImage },
  { message, code, kind }: DdiError,
): Promise<void> {
  const { log } = context
  log.say(`refused ${describePlace({ path, stored })}: ${message} (${code})`)
  if (kind !== 'image' && code !== 'ERR_DDI_IO') return
  try {
    await using store = await openStore(path)
    await store.refuse(stored)
  } catch (error) {
    log.say(`cannot say on ${path} that it is refused: ${systemError(error, 'refuse').message}`)
  }
}

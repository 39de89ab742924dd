import { DdiError } from '../errors.js'
import type { StoreImage } from '../store/image.js'
import { leaveRunning } from '../store/running.js'
import { candidates } from '../store/select.js'
import { openStore } from '../store/store.js'
import { throwIfAborted } from '../work.js'
import type { BootStore } from './boot-store.js'
import type { BootContext } from './context.js'
import { leaveCredentials, readCredentials } from './credentials.js'
import { actionsIn } from './parameters.js'
import { describeRoot, record } from './record.js'
import { describePlace, type RootImage, requireTrusted } from './root-image.js'
import { decideTrust, readTrustAnchors, type Trust, type TrustAnchors, warningOf } from './trust.js'

/** Mounts an image as the root of the system; nothing is left of one that it refuses. */
export type Mount = (image: RootImage) => Promise<void>

/** An image of a store. */
interface Stored {
  /** Of the disk. */
  readonly path: string
  readonly stored: StoreImage
}

/**
 * Boots from a store as far as the hand-over (docs/image-store.md, "Which image boots"): one image after the other, until one is mounted.
 * The boot of a new image is counted on the disk before anything of it is looked at: what stops the machine is not tried for ever.
 * @returns undefined if none of the candidates boots
 * @throws ERR_DDI_UNTRUSTED if nothing would vouch for an image; ERR_DDI_NO_ROOT if the command line names one, and that does not boot;
 *   ERR_DDI_TPM, ERR_DDI_ABORTED, and as `readTrustAnchors`
 */
export async function rootInStore(
  context: BootContext,
  store: BootStore,
  mount: Mount,
): Promise<RootImage | undefined> {
  const { path, product, label } = store
  const standard = await standardOf(context, path)
  for (const candidate of chosen(store)) {
    throwIfAborted(context.signal)
    const stored = label === null ? await counted(context, { path, stored: candidate }) : candidate
    const image = stored && (await attempt(context, { path, stored }, standard, mount))
    if (!image) continue
    if (asksForMore(context.parameters))
      context.log.say('an image of the store boots: nothing is pulled, and no success_action follows')
    return image
  }
  if (label !== null)
    throw new DdiError('ERR_DDI_NO_ROOT', `${label} on ${path} does not boot, and ddi.image= allows no other`)
  context.log.say(`no image of ${product} on ${path} boots`)
  return undefined
}

/**
 * Mounts an image that was pulled into a store, and measured then. Its try is taken as that of any other.
 * @throws what `mount` throws, and what keeps its boot from being counted
 */
export async function mountInstalled(
  { root, log }: Pick<BootContext, 'root' | 'log'>,
  { path, stored }: Stored,
  mount: () => Promise<void>,
): Promise<void> {
  await takeTry({ path, stored })
  await mount()
  log.say(`${describePlace({ path, stored })} is mounted`)
  await leaveRunning(root, stored.uuid)
}

/** What every image of a store is held against. */
interface Standard {
  readonly trust: Trust
  readonly policy: TrustAnchors['policy']
}

async function standardOf({ root, parameters, log }: BootContext, path: string): Promise<Standard> {
  const anchors = await readTrustAnchors(root, parameters)
  const trust = decideTrust({ kind: 'raw', use: 'root', verify: 'no', requestedBy: 'command-line' }, anchors)
  const warning = warningOf(trust, path)
  if (warning !== undefined) log.say(warning)
  return { trust, policy: anchors.policy }
}

/** What only counts where nothing of the store boots. */
function asksForMore({ pulls, text }: BootContext['parameters']): boolean {
  return pulls.length > 0 || actionsIn(text).successAction !== 'none'
}

function chosen({ images, product, label }: BootStore): readonly StoreImage[] {
  return label === null ? candidates(images, product) : images.filter((image) => image.label === label)
}

async function takeTry({ path, stored }: Stored): Promise<StoreImage> {
  await using store = await openStore(path)
  return await store.try(stored)
}

/** @returns the image when its try is taken; undefined if that cannot be written: only good ones boot then */
async function counted(context: BootContext, { path, stored }: Stored): Promise<StoreImage | undefined> {
  if (stored.state === 'good') return stored
  try {
    return await takeTry({ path, stored })
  } catch (error) {
    const { message, code } = expected(error, context)
    context.log.say(`passed over ${stored.label}: its boot cannot be counted on ${path}: ${message} (${code})`)
    return undefined
  }
}

/** @returns undefined if the image is refused */
async function attempt(
  context: BootContext,
  place: Stored,
  standard: Standard,
  mount: Mount,
): Promise<RootImage | undefined> {
  const { root, parameters, log, signal } = context
  const { label: name, state, tries, uuid } = place.stored
  log.say(`trying ${describePlace(place)} (${state === 'good' ? 'good' : `${tries} tries left after this one`})`)
  let image: RootImage
  try {
    const rootHashes = await requireTrusted(place, standard.trust, { policy: standard.policy, whole: false, signal })
    image = { kind: 'raw', name, ...place, url: null, sha256: null, readOnly: true, ...standard, rootHashes }
    await mount(image)
  } catch (error) {
    await refuse(context, place, expected(error, context))
    return undefined
  }
  log.say(`${describePlace(image)} is mounted`)
  await record(context, describeRoot(image))
  await leaveCredentials(root, await readCredentials(root, parameters.text, log.say))
  await leaveRunning(root, uuid)
  return image
}

/** Errors of ours are about an image, a disk or the kernel; others are about this program. @throws any other, and ERR_DDI_ABORTED */
function expected(error: unknown, { signal }: Pick<BootContext, 'signal'>): DdiError {
  throwIfAborted(signal)
  if (error instanceof DdiError) return error
  throw error
}

/** Besides those of images: what cannot be read, and what has no program to begin with. */
const faults: readonly string[] = ['ERR_DDI_IO', 'ERR_DDI_NOT_FOUND']

/** A new image that is refused becomes bad, unless the machine is at fault; a good one stays good. */
async function refuse(context: BootContext, { path, stored }: Stored, error: DdiError): Promise<void> {
  const { log } = context
  const { message, code, kind } = error
  log.say(`refused ${describePlace({ path, stored })}: ${message} (${code})`)
  if (kind !== 'image' && !faults.includes(code)) return
  try {
    await using store = await openStore(path)
    await store.refuse(stored)
  } catch (problem) {
    log.say(`it cannot be said on ${path} that it was refused: ${expected(problem, context).message}`)
  }
}

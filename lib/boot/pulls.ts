import { join, resolve } from 'node:path'
import type { Attachment } from '../attach/activate.js'
import { attach } from '../attach/attach.js'
import { exists } from '../bytes/exists.js'
import { readIfThere, readSmallFile } from '../bytes/small-file.js'
import { DdiError, systemError } from '../errors.js'
import { parameterValue } from '../kernel-command-line.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { parseAddress } from '../pull/address.js'
import { pullOptionNames, settingsOf } from '../pull/options.js'
import type { Pulled } from '../pull/pull.js'
import type { StoreImage } from '../store/image.js'
import { printable } from '../text.js'
import { type Fetched, type FetchOptions, fetchImage } from './fetch.js'
import { type BootOrigin, findBootOrigin } from './origin.js'
import { type BootParameters, parseBootParameters } from './parameters.js'
import {
  type Expression,
  expressionsOf,
  onlyRoot,
  planRequests,
  pullCredential,
  rootRequests,
  type WantedRequest,
} from './requests.js'
import { mountRootImage, type RootHashes, type RootImage, requireTrusted } from './root-image.js'
import { pullIntoStore, type StoredPull, type StoreSpace } from './store-pull.js'
import {
  decideTrust,
  devicePolicy,
  dissectOptionsOf,
  readTrustAnchors,
  type TrustAnchors,
  type TrustSubject,
  warningOf,
} from './trust.js'
import type { Check } from './trusted-pull.js'

/** Options of {@link pullAtBoot}. */
export interface BootPullOptions extends FetchOptions {
  /** In the initrd, `rd.systemd.pull=` is used, and images go below /run; otherwise `systemd.pull=`, and they stay. Default: whether /etc/initrd-release exists */
  readonly initrd?: boolean
  /** Where to mount the root image of class machine, or to bind its tree. */
  readonly sysroot?: string
}

const { verify: _, ...pullNames } = pullOptionNames
const fetchOptionNames: OptionNames<FetchOptions> = { ...pullNames, retry: true, onNote: true }
const bootPullOptionNames: OptionNames<BootPullOptions> = { ...fetchOptionNames, initrd: true, sysroot: true }

/** What became of a request; one that fails does not affect the others. */
export type BootPull = { readonly expression: string } & (
  | { readonly state: 'pulled'; readonly path: string; readonly pulled: Pulled; readonly attachment: Attachment | null }
  /** It is an image of the store on the disk `path`. */
  | { readonly state: 'installed'; readonly path: string; readonly image: StoreImage; readonly attachment: null }
  /** It was here already. */
  | { readonly state: 'present'; readonly path: string; readonly attachment: Attachment | null }
  | { readonly state: 'skipped'; readonly reason: string }
  | { readonly state: 'failed'; readonly error: DdiError }
)

/**
 * Pulls everything that the machine is to pull as it boots, at the same time; attaches what is to be a block device, and mounts the
 * image of the root file system, or binds its tree. What is attached or mounted, and in the initrd what is pulled as an extension of the
 * system, has to be trusted: see {@link decideTrust}.
 * @param options `onProgress` is called with the name of the image as `part`
 * @throws ERR_DDI_USAGE if it is not clear which image is for `sysroot`, or there is none, and for malformed parameters; errors of single
 *   requests are in their results
 */
export async function pullAtBoot(options: BootPullOptions = {}): Promise<readonly BootPull[]> {
  checkOptions(options, bootPullOptionNames, 'pullAtBoot')
  const { initrd = await exists('/etc/initrd-release'), sysroot, ...fetching } = options
  const parameters = parseBootParameters((await readSmallFile('/proc/cmdline')).toString('utf8'))
  const credentials = process.env['CREDENTIALS_DIRECTORY'] ?? '/run/credentials/@system'
  const credential = (await readIfThere(join(credentials, pullCredential)))?.toString('utf8') ?? ''
  const anchors = await readTrustAnchors('/', parameters)
  const place = { root: '/', initrd, parameters, anchors, credential, origin: () => findBootOrigin() }
  // Whoever calls this has a say in what is done about a failure: nobody waits unless asked to.
  const waits = parameterValue(parameters.text, 'ddi.retry') !== undefined
  const retry = waits ? { retry: parameters.retry } : {}
  const { pulls, root } = await pullRequests(place, { ...retry, ...fetching, wantsRoot: sysroot !== undefined })
  if (sysroot !== undefined && pulls.length === 0)
    throw new DdiError('ERR_DDI_USAGE', `no image of class machine is requested for ${sysroot}`)
  if (root && sysroot !== undefined) await mountRootImage(root, resolve(sysroot), parameters, options.signal)
  return pulls
}

/** What one boot brings to its pulls. */
export interface PullPlace {
  /** The directory that everything lies in. */
  readonly root: string
  readonly initrd: boolean
  readonly parameters: BootParameters
  readonly anchors: TrustAnchors
  /** The text of {@link pullCredential}, empty if there is none. */
  readonly credential: string
  /** Where this machine booted from. */
  readonly origin: () => Promise<BootOrigin | undefined>
  /** Where the image of the root goes if it can, and not into memory. */
  readonly store?: StoreSpace | undefined
}

export interface RequestOptions extends FetchOptions {
  /** One image is to become the root: it is not attached, but left to the caller. */
  readonly wantsRoot: boolean
}

/** All pulls of a boot, and the image among them that is to become the root. */
export interface BootPulls {
  readonly pulls: readonly BootPull[]
  readonly root: RootImage | undefined
}

/**
 * Fulfils all requests of a boot at the same time.
 * @throws ERR_DDI_USAGE if it is not clear which image is to become the root
 */
export async function pullRequests(place: PullPlace, { wantsRoot, ...options }: RequestOptions): Promise<BootPulls> {
  const { initrd, parameters, credential } = place
  // Wrong options are an error of this call, not of each request.
  settingsOf(pickOptions(options, pullNames))
  const planned = await planRequests(expressionsOf(parameters.text, credential, initrd), place)
  const candidates = wantsRoot || initrd ? rootRequests(planned, parameters.text) : []
  const asRoot = wantsRoot || candidates.length === 1 ? onlyRoot(candidates) : undefined
  const all = await Promise.all(
    planned.map(async (one): Promise<Fulfilled> => {
      if (one.state !== 'wanted') return { pull: one }
      try {
        return await fulfil(one, { isRoot: one === asRoot, wantsRoot }, place, options)
      } catch (error) {
        return { pull: failed(one, error) }
      }
    }),
  )
  for (const { pull } of all)
    if (pull.state === 'skipped') options.onNote?.(`skipped ${printable(pull.expression)}: ${pull.reason}`)
  return { pulls: all.map(({ pull }) => pull), root: all.find(({ image }) => image)?.image }
}

interface Fulfilled {
  readonly pull: BootPull
  /** If it is to become the root. */
  readonly image?: RootImage
}

function failed({ expression }: Expression, error: unknown): BootPull {
  return { expression, state: 'failed', error: systemError(error, `cannot fulfil ${printable(expression)}`) }
}

async function fulfil(
  one: WantedRequest,
  role: { readonly isRoot: boolean; readonly wantsRoot: boolean },
  place: PullPlace,
  options: FetchOptions,
): Promise<Fulfilled> {
  const { expression, request, name, path, requestedBy } = one
  const { kind, verify, blockDevice, readOnly } = request
  const { anchors } = place
  const use = useOf(one, role, place)
  const trust = use && decideTrust({ kind, use, verify, requestedBy }, anchors)
  const warning = trust && warningOf(trust, path)
  if (warning !== undefined) options.onNote?.(warning)
  const isTaken = role.isRoot && role.wantsRoot
  // A tree that becomes the root is bound read-only. Where it lies in memory, it cannot be made so: tmpfs had no such flag before 6.6.
  const isBound = isTaken && kind === 'tar'
  const policy = use === 'root' ? anchors.policy : undefined
  const { signal } = options
  const isExtension = use === 'extension'
  let rootHashes: RootHashes = new Map()
  const look: Check = async (where) => {
    if (trust) rootHashes = await requireTrusted(where, trust, { policy, whole: isExtension, signal })
  }
  const check = trust && kind === 'raw' && !(isExtension && trust.by === 'download') ? look : undefined
  const installed = isTaken && trust && place.store && (await pullIntoStore(place.store, one, trust, options))
  if (installed) await check?.(installed.place)
  const fetched =
    installed ||
    (await fetchImage(isBound ? { ...one, request: { ...request, readOnly: false } } : one, options, check))
  const where = installed ? installed.place : { path }
  const attachment =
    blockDevice && trust && !isTaken
      ? await attach(path, { name, signal, ...dissectOptionsOf(trust, devicePolicy(trust, policy)) })
      : null
  const pull = { expression, ...outcomeOf(fetched, path, attachment) }
  if (!isTaken || !trust) return { pull }
  return { pull, image: { kind, name, ...where, ...cameFrom(fetched), readOnly, trust, policy, rootHashes } }
}

function outcomeOf(fetched: Fetched | StoredPull, path: string, attachment: Attachment | null) {
  switch (fetched.state) {
    case 'pulled':
      return { state: 'pulled', path, pulled: fetched.pulled, attachment } as const
    case 'installed':
      return { state: 'installed', path: fetched.place.path, image: fetched.place.stored, attachment: null } as const
    case 'present':
      return { state: 'present', path, attachment } as const
  }
}

function cameFrom(fetched: Fetched | StoredPull): Pick<RootImage, 'url' | 'sha256'> {
  if (fetched.state === 'present') return { url: null, sha256: null }
  const { sha256 } = fetched.state === 'pulled' ? fetched.pulled : fetched
  return { url: parseAddress(fetched.url).url.href, sha256 }
}

/** What an image is about to be used for by us, or by the system that boots; undefined if it is only stored. */
function useOf(
  { request: { class: of, blockDevice } }: WantedRequest,
  { isRoot, wantsRoot }: { readonly isRoot: boolean; readonly wantsRoot: boolean },
  { initrd }: PullPlace,
): TrustSubject['use'] | undefined {
  if (isRoot && (wantsRoot || blockDevice)) return 'root'
  if (blockDevice) return 'device'
  return initrd && (of === 'sysext' || of === 'confext') ? 'extension' : undefined
}

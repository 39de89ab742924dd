import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { exists } from '../bytes/exists.js'
import { DdiError } from '../errors.js'
import { imagePath } from '../pull/names.js'
import type { PullOptions } from '../pull/options.js'
import type { Companion, Companions } from './companion-list.js'
import { largestCredential } from './credentials.js'
import { type FetchOptions, openServer, waiting } from './fetch.js'
import { longestWait, optional } from './optional.js'
import { besideOrigin } from './origin.js'
import type { PullPlace } from './pulls.js'
import { requireTrusted } from './root-image.js'
import { decideTrust, type TrustAnchors } from './trust.js'
import { type Check, pullTrusted } from './trusted-pull.js'

/** What becomes of companions of one kind; those that cannot be trusted, or fetched, are left out, and told. */
export interface TakenCompanions {
  readonly taken: readonly Companion[]
}

/**
 * Fetches the credentials. They count if a list is signed that says which kernel they are for.
 * @throws ERR_DDI_ABORTED
 */
export async function takeCredentials(
  { list, signed, files }: Companions,
  { insecure }: TrustAnchors,
  options: FetchOptions,
): Promise<
  TakenCompanions & { readonly credentials: readonly { readonly name: string; readonly value: Uint8Array }[] }
> {
  const credentials: { readonly name: string; readonly value: Uint8Array }[] = []
  const own = files.filter(({ use }) => use === 'credential')
  const take = async (one: Companion, bounded: FetchOptions) => {
    if (!insecure) requireSigned(one, signed)
    const read = (pulling: PullOptions) => readCredential(one, urlOf(list, one), pulling)
    credentials.push({ name: one.name, value: await waiting(one.file, bounded, read) })
  }
  const taken = await takeEach(own, options, take, AbortSignal.timeout(longestWait * 1000))
  return { taken, credentials }
}

/** Or whoever rules the network would hand one kernel what was signed for another. @throws ERR_DDI_UNTRUSTED */
function requireSigned({ file, isOfKernel }: Companion, signed: boolean): void {
  if (!signed) throw new DdiError('ERR_DDI_UNTRUSTED', 'nobody signed the list of checksums that has it')
  if (!isOfKernel)
    throw new DdiError(
      'ERR_DDI_UNTRUSTED',
      `the signed list does not say for which kernel it is: its row has to name NAME.efi.extra.d/${file}`,
    )
}

/**
 * Fetches the extensions, and keeps them below /run for the system that is booted. Each counts if a list is signed that says which
 * kernel it is for, or if a certificate of the initrd signed it. Of a name that is here already, none is fetched.
 * @throws ERR_DDI_ABORTED
 */
export async function takeExtensions(
  { list, signed, files }: Companions,
  place: Pick<PullPlace, 'root' | 'anchors'>,
  options: FetchOptions,
): Promise<TakenCompanions> {
  const own = files.filter(({ use }) => use !== 'credential')
  const taken = await takeEach(own, options, async (one, bounded) => {
    const by = signed && one.isOfKernel ? 'signature' : 'checksum'
    await waiting(one.file, bounded, (pulling) => takeExtension(one, urlOf(list, one), by, { ...place, pulling }))
  })
  return { taken }
}

function urlOf(list: URL, { file }: Companion): URL {
  return besideOrigin(list.href, file)[0]!
}

/** What is wrong with one is no reason to do without the others, unless the server is away. @param late for all of them */
async function takeEach(
  files: readonly Companion[],
  options: FetchOptions,
  take: (one: Companion, options: FetchOptions) => Promise<void>,
  late?: AbortSignal,
): Promise<readonly Companion[]> {
  const taken: Companion[] = []
  let isAway = false
  for (const one of files) {
    const attempt = async (bounded: FetchOptions) => {
      if (isAway) throw new DdiError('ERR_DDI_PULL_BROKEN', 'the server is away')
      await take(one, bounded)
    }
    const found = await optional(`companion ${one.file}`, options, attempt, late)
    if (found.state === 'done') taken.push(one)
    else isAway ||= found.isAway
  }
  return taken
}

async function readCredential({ sha256 }: Companion, from: URL, options: PullOptions): Promise<Uint8Array> {
  await using server = await openServer(from, options)
  const { url } = server
  const value = await server.transport.read(url, largestCredential)
  if (!value) throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `${url}: the server has no such file`)
  if (createHash('sha256').update(value).digest('hex') === sha256) return value
  throw new DdiError('ERR_DDI_PULL_CHECKSUM', `${url} does not match its checksum`)
}

async function takeExtension(
  { use, name, sha256 }: Companion,
  url: URL,
  verify: 'signature' | 'checksum',
  { root, anchors, pulling }: Pick<PullPlace, 'root' | 'anchors'> & { readonly pulling: PullOptions },
): Promise<void> {
  const trust = decideTrust({ kind: 'raw', use: 'extension', verify, requestedBy: 'command-line' }, anchors)
  const path = join(root, imagePath(use as 'sysext' | 'confext', name, 'raw', true))
  // It is not the one that the list speaks of.
  if (await exists(path)) throw new DdiError('ERR_DDI_EXISTS', `there is another ${path} already`)
  const check: Check = async (place) => {
    await requireTrusted(place, trust, { policy: undefined, whole: true, signal: pulling.signal })
  }
  const checked = trust.by === 'signature' ? check : undefined
  await pullTrusted(url, { kind: 'raw', path }, { ...pulling, verify: { sha256 } }, checked)
}

import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { checksumRows } from '../pull/checksum-list.js'
import { readChecksumList } from '../pull/checksums.js'
import { imagePath } from '../pull/names.js'
import type { PullOptions } from '../pull/options.js'
import { pull } from '../pull/pull.js'
import { isCredentialName, largestCredential } from './credentials.js'
import { type FetchOptions, openServer, waiting } from './fetch.js'
import { besideOrigin } from './origin.js'
import type { PullPlace } from './pulls.js'
import { requireTrusted } from './root-image.js'
import { decideTrust, type TrustAnchors } from './trust.js'

/** A file in `NAME.efi.extra.d` beside a kernel: systemd-stub(7). */
export interface Companion {
  readonly use: 'credential' | 'sysext' | 'confext'
  /** Without its ending. */
  readonly name: string
  readonly file: string
  readonly sha256: string
}

/** What lies beside a kernel. */
export interface Companions {
  readonly list: URL
  /** A key of the initrd signed the list. */
  readonly signed: boolean
  readonly files: readonly Companion[]
}

const mostCompanions = 64

/**
 * The companions in a list of checksums.
 * @param text as sha256sum writes it; other files in it are none of ours
 */
export function companionsIn(text: string): readonly Companion[] {
  const found = checksumRows(text).flatMap(({ name: path, hash: sha256 }): readonly Companion[] => {
    const file = path.replace(/^\.\//, '')
    const [, credential] = /^([^/]+)\.cred$/.exec(file) ?? []
    if (credential !== undefined && isCredentialName(credential))
      return [{ use: 'credential', name: credential, file, sha256 }]
    const [, name, use] = /^([A-Za-z0-9_][A-Za-z0-9_.+-]{0,63})\.(sysext|confext)\.raw$/.exec(file) ?? []
    return name === undefined ? [] : [{ use: use as 'sysext' | 'confext', name, file, sha256 }]
  })
  return found.slice(0, mostCompanions)
}

/**
 * Finds what lies in the directory of companions beside a kernel.
 * @param origin the URL of the kernel
 * @throws ERR_DDI_ABORTED, ERR_DDI_PULL_BROKEN if the server stays away
 */
export async function listCompanions(origin: string, options: FetchOptions): Promise<Companions> {
  const kernel = new URL(origin).pathname.split('/').at(-1)!
  const list = besideOrigin(origin, `${kernel}.extra.d/SHA256SUMS`)[0]!
  if (kernel === '') return { list, signed: false, files: [] }
  const { text, signed } = await waiting('companions', options, (pulling) => readList(list, pulling, options.onNote))
  return { list, signed, files: companionsIn(text) }
}

/** What becomes of companions of one kind; those that cannot be trusted, or fetched, are left out, and told. */
export interface TakenCompanions {
  readonly taken: readonly Companion[]
}

/**
 * Fetches the credentials. They count if the list is signed.
 * @throws ERR_DDI_ABORTED, ERR_DDI_NO_SPACE, ERR_DDI_PULL_BROKEN if the server stays away
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
  const taken = await takeEach(own, options, async (one) => {
    if (!signed && !insecure) throw new DdiError('ERR_DDI_UNTRUSTED', 'nobody signed the list of checksums that has it')
    const read = (pulling: PullOptions) => readCredential(one, urlOf(list, one), pulling)
    credentials.push({ name: one.name, value: await waiting(one.file, options, read) })
  })
  return { taken, credentials }
}

/**
 * Fetches the extensions, and keeps them below /run for the system that is booted. Each counts if the list is signed, or if a
 * certificate of the initrd signed it. Of a name that is here already, none is fetched.
 * @throws as {@link takeCredentials}
 */
export async function takeExtensions(
  { list, signed, files }: Companions,
  place: Pick<PullPlace, 'root' | 'anchors'>,
  options: FetchOptions,
): Promise<TakenCompanions> {
  const own = files.filter(({ use }) => use !== 'credential')
  const taken = await takeEach(own, options, async (one) => {
    await waiting(one.file, options, (pulling) => takeExtension(one, urlOf(list, one), signed, { ...place, pulling }))
  })
  return { taken }
}

function urlOf(list: URL, { file }: Companion): URL {
  return besideOrigin(list.href, file)[0]!
}

/** Whoever rules the network can withhold companions: what is wrong with one is no reason not to boot. */
async function takeEach(
  files: readonly Companion[],
  { onNote }: FetchOptions,
  take: (one: Companion) => Promise<void>,
): Promise<readonly Companion[]> {
  const taken: Companion[] = []
  for (const one of files) {
    try {
      await take(one)
      taken.push(one)
    } catch (error) {
      if (!(error instanceof DdiError) || isFatal(error)) throw error
      onNote?.(`companion ${one.file} left out: ${error.message} (${error.code})`)
    }
  }
  return taken
}

/** What goes wrong with everything else, too. */
function isFatal({ code }: DdiError): boolean {
  return ['ERR_DDI_ABORTED', 'ERR_DDI_NO_SPACE', 'ERR_DDI_PULL_BROKEN'].includes(code)
}

/** The list of companions, empty if there is none, and whether a key of the initrd signed it. */
async function readList(
  list: URL,
  options: PullOptions,
  onNote: FetchOptions['onNote'],
): Promise<{ readonly text: string; readonly signed: boolean }> {
  await using server = await openServer(list, options)
  const read = async (mode: 'signature' | 'checksum') =>
    (await readChecksumList(server.transport, server.url, mode, options.keyring)) ?? ''
  try {
    return { text: await read('signature'), signed: true }
  } catch (error) {
    if (!(error instanceof DdiError) || isFatal(error)) throw error
    onNote?.(`companions: ${error.message} (${error.code})`)
    // Some servers refuse what they do not have.
    if (error.code === 'ERR_DDI_PULL_RESPONSE') return { text: '', signed: false }
    return { text: await read('checksum'), signed: false }
  }
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
  signed: boolean,
  { root, anchors, pulling }: Pick<PullPlace, 'root' | 'anchors'> & { readonly pulling: PullOptions },
): Promise<void> {
  const verify = signed ? 'signature' : 'checksum'
  const trust = decideTrust({ kind: 'raw', use: 'extension', verify, requestedBy: 'command-line' }, anchors)
  const path = join(root, imagePath(use as 'sysext' | 'confext', name, 'raw', true))
  // It is not the one that the list speaks of.
  if (await exists(path)) throw new DdiError('ERR_DDI_EXISTS', `there is another ${path} already`)
  await pull(url, { kind: 'raw', path }, { ...pulling, verify: { sha256 } })
  if (trust.by !== 'signature') return
  try {
    await requireTrusted({ path }, trust, { policy: undefined, whole: true, signal: pulling.signal })
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

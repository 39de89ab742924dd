import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { parseAddress } from '../pull/address.js'
import { checksumRows, readChecksumList } from '../pull/checksums.js'
import { imagePath } from '../pull/names.js'
import { openTransport } from '../pull/open-transport.js'
import { type PullOptions, settingsOf } from '../pull/options.js'
import { pull } from '../pull/pull.js'
import type { Transport } from '../pull/transport.js'
import { isCredentialName, largestCredential } from './credentials.js'
import type { FetchOptions } from './fetch.js'
import { besideOrigin } from './origin.js'
import { patiently } from './patience.js'
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

/** What came of the companions of a kernel. */
export interface Companions {
  readonly credentials: readonly { readonly name: string; readonly value: Uint8Array }[]
  /** All that were taken, in the order of their list. */
  readonly taken: readonly Companion[]
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

interface CompanionPlace {
  readonly root: string
  readonly anchors: TrustAnchors
}

/**
 * Fetches what lies in the directory of companions beside the kernel that was booted. A credential counts if the list is signed. An
 * extension is kept below /run for the system that is booted if the list is signed, or a certificate of the initrd signed the
 * extension. What cannot be trusted, or fetched, is left out, and told: whoever rules the network can withhold it anyway.
 * @param origin the URL of the kernel
 * @throws ERR_DDI_ABORTED, ERR_DDI_NO_SPACE, ERR_DDI_PULL_BROKEN if the server stays away
 */
export async function fetchCompanions(
  origin: string,
  place: CompanionPlace,
  options: FetchOptions,
): Promise<Companions> {
  const { retry = 0, onNote = () => {}, ...pulling } = options
  const kernel = new URL(origin).pathname.split('/').at(-1)!
  if (kernel === '') return { credentials: [], taken: [] }
  const list = besideOrigin(origin, `${kernel}.extra.d/SHA256SUMS`)[0]!
  const onFailure = (error: DdiError) => onNote(`${error.message}; trying again`)
  const patience = { longest: retry, onFailure, signal: pulling.signal }
  const { text, signed } = await patiently(patience, () => readList(list, pulling, onNote))
  const credentials: Companions['credentials'][number][] = []
  const taken: Companion[] = []
  for (const one of companionsIn(text)) {
    const url = besideOrigin(list.href, one.file)[0]!
    try {
      await patiently(patience, async (progressed) => {
        const onProgress: PullOptions['onProgress'] = (progress) => {
          progressed()
          pulling.onProgress?.({ ...progress, part: one.file })
        }
        if (one.use !== 'credential')
          return await takeExtension(one, url, signed, { ...place, options: { ...pulling, onProgress } })
        credentials.push({
          name: one.name,
          value: await readCredential(one, url, signed || place.anchors.insecure, pulling),
        })
      })
      taken.push(one)
    } catch (error) {
      if (!(error instanceof DdiError) || isFatal(error)) throw error
      onNote(`companion ${one.file} left out: ${error.message} (${error.code})`)
    }
  }
  return { credentials, taken }
}

/** What goes wrong with everything else, too. */
function isFatal({ code }: DdiError): boolean {
  return ['ERR_DDI_ABORTED', 'ERR_DDI_NO_SPACE', 'ERR_DDI_PULL_BROKEN'].includes(code)
}

/** The list of companions, empty if there is none, and whether a key of the initrd signed it. */
async function readList(
  list: URL,
  options: PullOptions,
  onNote: (text: string) => void,
): Promise<{ readonly text: string; readonly signed: boolean }> {
  await using transport = await openTransport(settingsOf(options))
  const read = async (mode: 'signature' | 'checksum') =>
    (await readChecksumList(transport, list, mode, options.keyring)) ?? ''
  try {
    return { text: await read('signature'), signed: true }
  } catch (error) {
    if (!(error instanceof DdiError) || isFatal(error)) throw error
    onNote(`${parseAddress(list).url}: ${error.message} (${error.code})`)
    // Some servers refuse what they do not have.
    if (error.code === 'ERR_DDI_PULL_RESPONSE') return { text: '', signed: false }
    return { text: await read('checksum'), signed: false }
  }
}

async function readCredential(
  { sha256 }: Companion,
  url: URL,
  trusted: boolean,
  options: PullOptions,
): Promise<Uint8Array> {
  if (!trusted) throw new DdiError('ERR_DDI_UNTRUSTED', 'nobody signed the list of checksums that has it')
  await using transport: Transport = await openTransport(settingsOf(options))
  const value = await transport.read(url, largestCredential)
  if (!value) throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `${url}: the server has no such file`)
  if (createHash('sha256').update(value).digest('hex') === sha256) return value
  throw new DdiError('ERR_DDI_PULL_CHECKSUM', `${url} does not match its checksum`)
}

async function takeExtension(
  { use, name, sha256 }: Companion,
  url: URL,
  signed: boolean,
  { root, anchors, options }: CompanionPlace & { readonly options: PullOptions },
): Promise<void> {
  const verify = signed ? 'signature' : 'checksum'
  const trust = decideTrust({ kind: 'raw', use: 'extension', verify, requestedBy: 'command-line' }, anchors)
  const path = join(root, imagePath(use as 'sysext' | 'confext', name, 'raw', true))
  const isHere = await exists(path)
  if (!isHere) await pull(url, { kind: 'raw', path }, { ...options, verify: { sha256 } })
  if (trust.by !== 'signature') return
  try {
    await requireTrusted(path, trust, { policy: undefined, whole: true, signal: options.signal })
  } catch (error) {
    if (!isHere) await rm(path, { force: true })
    throw error
  }
}

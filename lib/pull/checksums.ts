import { posix } from 'node:path'
import { DdiError } from '../errors.js'
import { fileNameOf } from './address.js'
import { findChecksum } from './checksum-list.js'
import { signedText } from './signed-text.js'
import type { Transport } from './transport.js'

/** What a download is verified by: nothing, the server’s checksums, signed checksums, or a known SHA-256. */
export type VerifyMode = 'no' | 'checksum' | 'signature' | { readonly sha256: string }

const largestList = 4 * 1024 * 1024

/**
 * Finds out which SHA-256 a download must have.
 * @param keyring path of OpenPGP keys as {@link readKeyring} takes them. Default: the first of {@link keyringPaths}
 * @returns undefined if nothing is verified
 * @throws ERR_DDI_PULL_NO_CHECKSUM, ERR_DDI_PULL_SIGNATURE, ERR_DDI_PULL_KEYRING, and what the transport throws
 */
export async function expectedChecksum(
  transport: Transport,
  url: URL,
  mode: VerifyMode,
  keyring?: string,
): Promise<string | undefined> {
  if (mode === 'no') return undefined
  if (typeof mode === 'object') return mode.sha256
  const name = fileNameOf(url)
  // A list for all files of the directory, or one for this file alone.
  for (const list of [...beside(url, 'SHA256SUMS'), ...beside(url, `${posix.basename(url.pathname)}.sha256`)]) {
    const text = await readChecksumList(transport, list, mode, keyring)
    if (text === undefined) continue
    const found = findChecksum(text, name)
    if (found !== undefined) return found
    // A hash of standard input has no name either.
    const alone = list.pathname.endsWith('.sha256')
      ? /^\s*([0-9a-f]{64})(?:[ \t]+\*?-)?\s*$/i.exec(text)?.[1]
      : undefined
    if (alone === undefined) continue
    if (mode === 'checksum') return alone.toLowerCase()
    throw new DdiError(
      'ERR_DDI_PULL_NO_CHECKSUM',
      `${list} has a hash without a name: its signature is as good for any other file; sign what sha256sum ${name} writes`,
    )
  }
  throw new DdiError('ERR_DDI_PULL_NO_CHECKSUM', `no checksum of ${name} in SHA256SUMS or ${name}.sha256 beside ${url}`)
}

/** A file beside another one: with its query, which may be what opens a whole directory, or without, if it opens one file alone. */
function beside(url: URL, file: string): readonly URL[] {
  const plain = Object.assign(new URL(file, url), { hash: '' })
  return url.search === '' ? [plain] : [Object.assign(new URL(plain), { search: url.search }), plain]
}

/**
 * Reads a list of checksums, and verifies its signature if it has to have one.
 * @param keyring as {@link expectedChecksum} takes it
 * @returns undefined if the server has none
 * @throws as {@link expectedChecksum}
 */
export async function readChecksumList(
  transport: Transport,
  list: URL,
  mode: 'checksum' | 'signature',
  keyring: string | undefined,
): Promise<string | undefined> {
  const bytes = await transport.read(list, largestList)
  if (!bytes) return undefined
  return mode === 'signature' ? await signedText(transport, list, bytes, keyring) : Buffer.from(bytes).toString('utf8')
}

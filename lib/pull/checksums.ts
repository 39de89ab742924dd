import { posix } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { fileNameOf } from './address.js'
import type { Transport } from './transport.js'

/** What a download is verified by: nothing, the server’s checksums, signed checksums, or a known SHA-256. */
export type VerifyMode = 'no' | 'checksum' | 'signature' | { readonly sha256: string }

/** The keyrings of systemd’s tools; the first that exists is used. */
export const keyringPaths = ['/etc/systemd/import-pubring', '/usr/lib/systemd/import-pubring'].flatMap((path) => [
  `${path}.pgp`,
  `${path}.gpg`,
])

const largestList = 4 * 1024 * 1024
const largestSignature = 256 * 1024

/** The rows of a list as written by sha256sum (`HASH  NAME`, `HASH *NAME`) or BSD tools (`SHA256 (NAME) = HASH`); hashes in lower case. */
export function checksumRows(text: string): readonly { readonly hash: string; readonly name: string }[] {
  return text.split('\n').flatMap((untrimmed) => {
    const line = untrimmed.trimEnd()
    const [, hash, own] = /^([0-9a-f]{64})[ \t]+\*?(.+)$/is.exec(line) ?? []
    const [, bsdName, bsdHash] = /^SHA256 \((.+)\) = ([0-9a-f]{64})$/i.exec(line) ?? []
    const found = hash ?? bsdHash
    return found === undefined ? [] : [{ hash: found.toLowerCase(), name: own ?? bsdName! }]
  })
}

/**
 * Finds the SHA-256 of a file in a list of checksums.
 * @param name without directories; a name in the list may have some, if no other one ends the same
 * @returns in lower case; undefined if it is not in the list
 */
export function findChecksum(text: string, name: string): string | undefined {
  const rows = checksumRows(text)
  const exact = rows.find((row) => row.name === name)
  const [only, second] = rows.filter((row) => posix.basename(row.name) === name)
  return exact?.hash ?? (second ? undefined : only?.hash)
}

/**
 * Finds out which SHA-256 a download must have.
 * @param keyring path of OpenPGP keys, binary or armored. Default: the first of {@link keyringPaths}
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
  const beside = (file: string) => Object.assign(new URL(file, url), { search: '', hash: '' })
  // A list for all files of the directory, or one for this file alone.
  for (const list of [beside('SHA256SUMS'), beside(`${posix.basename(url.pathname)}.sha256`)]) {
    const text = await readChecksumList(transport, list, mode, keyring)
    if (text === undefined) continue
    const found = findChecksum(text, name)
    if (found !== undefined) return found
    const alone = list.pathname.endsWith('.sha256') ? /^\s*([0-9a-f]{64})\s*$/i.exec(text)?.[1] : undefined
    if (alone === undefined) continue
    if (mode === 'checksum') return alone.toLowerCase()
    throw new DdiError(
      'ERR_DDI_PULL_NO_CHECKSUM',
      `${list} has a hash without a name: its signature is as good for any other file; sign what sha256sum ${name} writes`,
    )
  }
  throw new DdiError('ERR_DDI_PULL_NO_CHECKSUM', `no checksum of ${name} in SHA256SUMS or ${name}.sha256 beside ${url}`)
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
  if (mode === 'signature') await verifySignature(transport, list, bytes, keyring)
  return Buffer.from(bytes).toString('utf8')
}

async function verifySignature(
  transport: Transport,
  list: URL,
  bytes: Uint8Array,
  keyring: string | undefined,
): Promise<void> {
  const openpgp = await import('openpgp')
  const keys = await readKeyring(keyring)
  const refuse = (what: string, cause?: unknown) =>
    new DdiError('ERR_DDI_PULL_SIGNATURE', `${list}: ${what}`, { cause })
  for (const ending of ['.gpg', '.asc']) {
    const found = await transport.read(new URL(`${list.href}${ending}`), largestSignature)
    if (!found) continue
    const armored = Buffer.from(found).toString('latin1')
    let parsed: Awaited<ReturnType<typeof openpgp.readSignature>>
    try {
      parsed = armored.startsWith('-----BEGIN')
        ? await openpgp.readSignature({ armoredSignature: armored })
        : await openpgp.readSignature({ binarySignature: Uint8Array.from(found) })
    } catch (error) {
      throw refuse(`malformed signature: ${(error as Error).message}`, error)
    }
    const message = await openpgp.createMessage({ binary: Uint8Array.from(bytes) })
    const { signatures } = await openpgp.verify({ message, signature: parsed, verificationKeys: keys })
    const reasons: string[] = []
    for (const { verified } of signatures) {
      try {
        await verified
        return
      } catch (error) {
        reasons.push((error as Error).message)
      }
    }
    throw refuse(`not signed by any key in the keyring (${reasons.join('; ') || 'no signature'})`)
  }
  throw refuse('not signed: there is no .gpg or .asc beside it')
}

async function readKeyring(path: string | undefined) {
  const openpgp = await import('openpgp')
  for (const one of path === undefined ? keyringPaths : [path]) {
    const bytes = await readIfThere(one)
    if (bytes === undefined) continue
    try {
      const armored = bytes.toString('latin1')
      return armored.startsWith('-----BEGIN')
        ? await openpgp.readKeys({ armoredKeys: armored })
        : await openpgp.readKeys({ binaryKeys: Uint8Array.from(bytes) })
    } catch (error) {
      throw new DdiError('ERR_DDI_PULL_KEYRING', `${one} is not a keyring: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  throw new DdiError(
    'ERR_DDI_PULL_KEYRING',
    `no keyring to verify signatures with: looked for ${(path === undefined ? keyringPaths : [path]).join(', ')}`,
  )
}

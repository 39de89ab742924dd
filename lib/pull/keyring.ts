import type { PublicKey } from 'openpgp'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'

/** The keyrings of systemd’s tools; the first that exists is used. */
export const keyringPaths = ['/etc/systemd/import-pubring', '/usr/lib/systemd/import-pubring'].flatMap((path) => [
  `${path}.pgp`,
  `${path}.gpg`,
])

/**
 * Reads OpenPGP keys: binary, in a keybox as GnuPG keeps them, or in any number of armored blocks with text around them.
 * @param path Default: the first of {@link keyringPaths} that exists
 * @throws ERR_DDI_PULL_KEYRING
 */
export async function readKeyring(path: string | undefined): Promise<PublicKey[]> {
  const paths = path === undefined ? keyringPaths : [path]
  for (const one of paths) {
    const bytes = await readIfThere(one)
    if (bytes === undefined) continue
    try {
      return await parseKeyring(bytes)
    } catch (error) {
      throw new DdiError('ERR_DDI_PULL_KEYRING', `${one} is not a keyring: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  throw new DdiError('ERR_DDI_PULL_KEYRING', `no keyring to verify signatures with: looked for ${paths.join(', ')}`)
}

const armoredKeys = /^-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?^-----END PGP PUBLIC KEY BLOCK-----/gm

async function parseKeyring(bytes: Buffer): Promise<PublicKey[]> {
  const openpgp = await import('openpgp')
  const blocks = bytes.toString('latin1').match(armoredKeys)
  if (!blocks) return await openpgp.readKeys({ binaryKeys: Uint8Array.from(keysInKeybox(bytes) ?? bytes) })
  return (await Promise.all(blocks.map((block) => openpgp.readKeys({ armoredKeys: block })))).flat()
}

/** Of a keybox blob: its length, type and version, flags, and where in it the keys are. */
const blobHeader = 16
const firstBlob = 1
const keyBlob = 2

/**
 * The OpenPGP keys of a keybox, one after the other: GnuPG’s kbx/keybox-blob.c describes the format.
 * @returns undefined if it is none
 */
export function keysInKeybox(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 32 || bytes[4] !== firstBlob || bytes.toString('latin1', 8, 12) !== 'KBXf') return undefined
  const keys: Buffer[] = []
  for (let at = 0; at + blobHeader <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (length < blobHeader || length > bytes.length - at) throw new Error('a blob of the keybox has an invalid length')
    const blob = bytes.subarray(at, at + length)
    const [start, size] = [blob.readUInt32BE(8), blob.readUInt32BE(12)]
    if (blob[4] === keyBlob) {
      if (start + size > length) throw new Error('keys of the keybox lie outside their blob')
      keys.push(blob.subarray(start, start + size))
    }
    at += length
  }
  return Buffer.concat(keys)
}

import { joinOctets } from '../bytes/octets.js'
import type { HashAlgorithm } from './superblock.js'

const names: Readonly<Record<HashAlgorithm, string>> = { sha256: 'SHA-256', sha512: 'SHA-512' }

/** The salted digest of one block, by Web Crypto. */
export async function digest(algorithm: HashAlgorithm, salt: Uint8Array, block: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest(names[algorithm], joinOctets([salt, block])))
}

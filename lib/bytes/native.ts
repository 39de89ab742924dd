// What Node.js has in native code. In bundles for browsers, native.browser.ts takes its place: the field `browser` of package.json says so.
import { nodeCrypto } from './crypto.js'

export { availableParallelism } from 'node:os'
export { crc32 } from 'node:zlib'

/** The SHA-256 of byte arrays, one after the other. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = nodeCrypto().createHash('sha256')
  for (const part of parts) hash.update(part)
  return Uint8Array.from(hash.digest())
}

export function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

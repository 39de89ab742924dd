// What native.ts has of Node.js, in plain JavaScript: slower, and enough for tables and metadata.
import { joinOctets } from './octets.js'

/** How many tasks the machine can run at once. */
export function availableParallelism(): number {
  return (
    (globalThis as { readonly navigator?: { readonly hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ??
    1
  )
}

export function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

/** The CRC of each byte, reflected polynomial 0xedb88320 (ISO 3309). */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** @param value the CRC of what lies before */
export function crc32(bytes: Uint8Array, value = 0): number {
  let crc = ~value
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!
  return ~crc >>> 0
}

/** The first `count` primes. */
function primes(count: number): number[] {
  const found: number[] = []
  for (let number = 2; found.length < count; number++)
    if (found.every((prime) => number % prime !== 0)) found.push(number)
  return found
}

/** The first 32 bits of the fraction of a number. */
function fraction(value: number): number {
  return ((value - Math.floor(value)) * 2 ** 32) >>> 0
}

// FIPS 180-4, sections 4.2.2 and 5.3.3: fractions of cube and square roots of primes.
const roundConstants = Uint32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)))
const initialState = Uint32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)))

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by))
}

/** The 64 words that a block of 64 bytes is scheduled as. */
function schedule(view: DataView, at: number): Uint32Array {
  const words = new Uint32Array(64)
  for (let n = 0; n < 16; n++) words[n] = view.getUint32(at + 4 * n)
  for (let n = 16; n < 64; n++) {
    const [before, last] = [words[n - 15]!, words[n - 2]!]
    const low = rotate(before, 7) ^ rotate(before, 18) ^ (before >>> 3)
    const high = rotate(last, 17) ^ rotate(last, 19) ^ (last >>> 10)
    words[n] = words[n - 16]! + low + words[n - 7]! + high
  }
  return words
}

function compress(state: Uint32Array, words: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
  for (const [n, word] of words.entries()) {
    const choice = (e & f) ^ (~e & g)
    const majority = (a & b) ^ (a & c) ^ (b & c)
    const first = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + roundConstants[n]! + word) | 0
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0
    ;[a, b, c, d, e, f, g, h] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g]
  }
  for (const [n, word] of [a, b, c, d, e, f, g, h].entries()) state[n] = state[n]! + word
}

/** The SHA-256 of byte arrays, one after the other. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const padded = joinOctets(parts, Math.ceil((length + 9) / 64) * 64)
  padded[length] = 0x80
  const view = new DataView(padded.buffer)
  view.setBigUint64(padded.length - 8, BigInt(length) * 8n)
  const state = Uint32Array.from(initialState)
  for (let at = 0; at < padded.length; at += 64) compress(state, schedule(view, at))
  const digest = new Uint8Array(32)
  const digestView = new DataView(digest.buffer)
  for (const [n, word] of state.entries()) digestView.setUint32(4 * n, word)
  return digest
}

import type { Random } from './random.js'

export interface Material {
  readonly words: readonly string[] | undefined
  /** To take pieces from. */
  readonly starts: readonly Buffer[]
}

/** Inputs are no longer than this. */
const longest = 1024 * 1024
/** What a field may have that a length, a count or an offset should not. */
const edges = [
  ...[0, 1, 2, 3, 4, 7, 8, 12, 16, 31, 32, 33, 34, 63, 64, 92, 127, 128, 255, 256, 512, 4096, 8192, 32767, 32768],
  ...[65535, 65536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 512, 2 ** 32 - 1],
].map(BigInt)
const wideEdges = [
  ...edges,
  2n ** 32n,
  2n ** 52n,
  2n ** 53n,
  2n ** 54n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 512n,
  2n ** 64n - 1n,
]

/** Changes bytes in one to eight ways. */
export function mutate(bytes: Buffer, random: Random, material: Material): Buffer {
  let changed = bytes
  for (let left = 1 + random.below(random.of([1, 3, 8])); left > 0; left--) {
    const way = random.of(material.words ? textual : binary)
    changed = way(changed, random, material).subarray(0, longest)
  }
  return changed
}

type Way = (bytes: Buffer, random: Random, material: Material) => Buffer

const setByte: Way = (bytes, random) => {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}

const flipBit: Way = (bytes, random) => {
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
  return bytes
}

/** Writes a number where one may be: most formats begin with their header, and align its fields. */
const setNumber: Way = (bytes, random) => {
  const width = random.of([1, 2, 4, 4, 8, 8])
  if (bytes.length < width) return bytes
  const reach = random.oneIn(2) ? Math.min(bytes.length, 1024) : bytes.length
  const unaligned = random.below(Math.max(1, reach - width + 1))
  const at = random.oneIn(4) ? unaligned : unaligned - (unaligned % width)
  const value = random.of(width === 8 ? wideEdges : edges) & (2n ** BigInt(8 * width) - 1n)
  const field = Buffer.alloc(8)
  field.writeBigUInt64LE(value)
  bytes.set(field.subarray(0, width), at)
  return bytes
}

const cut: Way = (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1))

const insert = (bytes: Buffer, at: number, piece: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])

const remove: Way = (bytes, random) => {
  const at = random.below(bytes.length + 1)
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(32))])
}

const pieceOf = (bytes: Buffer, random: Random) => {
  const from = random.below(bytes.length + 1)
  return bytes.subarray(from, from + 1 + random.below(random.of([16, 128, 4096])))
}

/** Puts a piece of some input over what is there, or before it. */
const splice: Way = (bytes, random, { starts }) => {
  const piece = pieceOf(random.of([bytes, ...starts]), random)
  const at = random.below(bytes.length + 1)
  if (random.oneIn(2)) return insert(bytes, at, piece)
  bytes.set(Buffer.from(piece.subarray(0, bytes.length - at)), at)
  return bytes
}

const append: Way = (bytes, random) => Buffer.concat([bytes, Buffer.alloc(random.of([1, 512, 4096, 65536]))])

const insertWord: Way = (bytes, random, { words = [] }) =>
  insert(bytes, random.below(bytes.length + 1), Buffer.from(random.of([...words, ...oddWords])))

/** What texts break on: long runs of what a pattern repeats. */
const repeat: Way = (bytes, random, { words = [] }) => {
  const word = random.of([...words, ...oddWords])
  const length = random.oneIn(40) ? 200_000 : random.of([10, 100, 1000])
  return insert(bytes, random.below(bytes.length + 1), Buffer.from(word.repeat(Math.ceil(length / word.length))))
}

const oddWords = [
  ...[' ', '\t', '\n', '\r\n', '\0', '\\', '"', "'", '%', '#', '/', '../', '=', ':', '+', '-', '0', '9', 'a', 'A'],
  ...[
    '\u{9b}',
    '\u{202e}',
    '\u{feff}',
    '\u{10ffff}',
    '__proto__',
    'constructor',
    'toString',
    '$(x)',
    '99999999999999999999',
  ],
]

const binary: readonly Way[] = [
  setByte,
  setByte,
  flipBit,
  setNumber,
  setNumber,
  setNumber,
  setNumber,
  splice,
  remove,
  cut,
  append,
]
const textual: readonly Way[] = [
  setByte,
  flipBit,
  insertWord,
  insertWord,
  insertWord,
  repeat,
  splice,
  splice,
  remove,
  cut,
]

import type { PartitionAttributes } from '../android/metadata.js'
import { DdiError } from '../errors.js'
import { architectures, type Designator, designators } from '../gpt/dps-types.js'
import type { VerifyMode } from '../pull/checksums.js'
import { type SideFile, sideFileEndings } from '../pull/names.js'
import { parseNewSize, parseSize } from '../size.js'
import { parseUuid } from '../uuid.js'
import { parseRootHash } from '../verity/root-hash.js'
import { type Parser, suggesting } from './parser.js'

// All that turns text of the command line into values: nothing reaches the library unparsed.

function invalid(what: string): DdiError {
  return new DdiError('ERR_DDI_USAGE', what)
}

/** Text as it is. */
export const text: Parser<string> = (given) => given

/** The path of a file that is written anywhere in it, and gets its name when it is whole. */
export const newFile: Parser<string> = (given) => {
  if (given === '-') throw invalid('standard output cannot be written here: name a file, or ./- for one of that name')
  return given
}

/** A partition type, by its name or UUID. */
export const typeName: Parser<string> = suggesting(designators)

/** A processor, as partition types name them. */
export const architectureName: Parser<string> = suggesting(architectures)

/** `4096`, `512K`, `1.5G`, with or without a `+`: in bytes, above 0. */
export const size: Parser<number> = (given) => parseSize(given)

/** A size that may be 0. */
export const sizeOrZero: Parser<number> = (given) => (/^0+$/.test(given) ? 0 : size(given))

/** A size, or `auto`. */
export const sizeOrAuto: Parser<number | 'auto'> = (given) => (given === 'auto' ? given : size(given))

/** A power of two from `from` to `to` bytes. */
export function powerOfTwo(from: number, to: number): Parser<number> {
  return (given) => {
    const bytes = size(given)
    if (bytes < from || bytes > to || !Number.isInteger(Math.log2(bytes)))
      throw invalid(`invalid size ${JSON.stringify(given)}: a power of two from ${from} to ${to}`)
    return bytes
  }
}

/** A whole number from `from` to `to`, both included. */
export function wholeNumber(from: number, to: number): Parser<number> {
  return (given) => {
    const number = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN
    if (!(number >= from && number <= to))
      throw invalid(`invalid number ${JSON.stringify(given)}: a whole number from ${from} to ${to}`)
    return number
  }
}

/** A UUID to derive others from, with or without dashes; `random` is none. */
export const seed: Parser<string | undefined> = (given) =>
  given === 'random' ? undefined : uuid(given.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))

/** A UUID, in lower case. */
export const uuid: Parser<string> = (given) => {
  if (!parseUuid(given)) throw invalid(`${JSON.stringify(given)} is not a UUID`)
  return given.toLowerCase()
}

/** Names with commas between them. */
export const names: Parser<readonly string[]> = (given) => given.split(',').filter((name) => name !== '')

/** A metadata slot of Android: `a`, `_b` or `1`; as its number. */
export const slot: Parser<number> = (given) => {
  const letter = /^_?([a-z])$/i.exec(given)?.[1]
  if (letter) return letter.toLowerCase().charCodeAt(0) - 'a'.charCodeAt(0)
  if (/^\d{1,3}$/.test(given)) return Number(given)
  throw invalid(`invalid slot ${JSON.stringify(given)}: a, b, … or 0, 1, …`)
}

/** A root hash in hexadecimal, checked. */
export const rootHash: Parser<string> = (given) => {
  parseRootHash(given)
  return given
}

/** Bytes in hexadecimal; `-` is none of them, as veritysetup has it. */
export const hexadecimal: Parser<Uint8Array> = (given) => {
  if (given !== '-' && !/^([0-9a-f]{2})*$/i.test(given))
    throw invalid(`${JSON.stringify(given)}: whole bytes in hexadecimal, or -`)
  return given === '-' ? new Uint8Array() : Uint8Array.from(Buffer.from(given, 'hex'))
}

/** The label of a GPT partition. */
export const label: Parser<string> = (given) => {
  if (given.length > 36) throw invalid(`the label has ${given.length} UTF-16 units; a GPT stores up to 36`)
  return given
}

/** `left=right`, neither empty. @param form for the message, such as `NAME=PATH` */
export function pair(form: string): Parser<readonly [string, string]> {
  return (given) => {
    const [, left, right] = /^([^=]+)=(.+)$/s.exec(given) ?? []
    if (left === undefined || right === undefined) throw invalid(`${JSON.stringify(given)}: write it as ${form}`)
    return [left, right]
  }
}

/** A root hash and a path, `HASH:FILE`. */
export const hashAndFile: Parser<readonly [string, string]> = (given) => {
  const [, hash, path] = /^([0-9a-f]+):(.+)$/is.exec(given) ?? []
  if (hash === undefined || path === undefined) throw invalid(`${JSON.stringify(given)}: write it as HASH:FILE`)
  return [hash, path]
}

/** `a:b:c` as its parts. @param form for the message, such as `NAME:SIZE[:ALIGNMENT]` @param fewest parts */
function fields(form: string, fewest: number): Parser<readonly string[]> {
  return (given) => {
    const parts = given.split(':')
    if (parts.length < fewest || parts.length > form.split(':').length || parts[0] === '')
      throw invalid(`${JSON.stringify(given)}: write it as ${form}`)
    return parts
  }
}

/** A request header, `NAME: VALUE`. */
export const header: Parser<readonly [string, string]> = (given) => {
  const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):([^\r\n]*)$/.exec(given) ?? []
  if (name === undefined || value === undefined) throw invalid(`${JSON.stringify(given)}: write it as NAME: VALUE`)
  return [name, value.trimStart()]
}

/** Mount options of a volume, `DESIGNATOR:OPTIONS`; those of the root volume need no designator. */
export const mountOptionsOf: Parser<readonly [Designator, string]> = (given) => {
  const [, name = 'root', words = ''] = /^(?:([a-z-]+):)?(.*)$/s.exec(given) ?? []
  const designator = designators.find((one) => one === name)
  if (!designator) throw invalid(`${JSON.stringify(given)}: write it as DESIGNATOR:OPTIONS`)
  return [designator, words]
}

/** A range of owners, `INSIDE:OUTSIDE:COUNT`. */
export const ownerRange: Parser<{ readonly inside: number; readonly outside: number; readonly count: number }> = (
  given,
) => {
  const [, inside, outside, count] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(given) ?? []
  if (count === undefined) throw invalid(`${JSON.stringify(given)}: write it as INSIDE:OUTSIDE:COUNT`)
  return { inside: Number(inside), outside: Number(outside), count: Number(count) }
}

/** How a download is verified: `no`, `checksum`, `signature`, or a SHA-256 that it has to have. */
export const verifyMode: Parser<VerifyMode> = (given) => {
  if (given === 'no' || given === 'checksum' || given === 'signature') return given
  if (/^[0-9a-f]{64}$/i.test(given)) return { sha256: given.toLowerCase() }
  throw invalid(`${JSON.stringify(given)}: no, checksum, signature, or a SHA-256 of 64 hexadecimal digits`)
}

/** Kinds of files beside an image: words with commas between them. */
export const sideFileList: Parser<readonly SideFile[]> = (given) =>
  given.split(',').map((word) => {
    if (Object.hasOwn(sideFileEndings, word)) return word as SideFile
    throw invalid(`${JSON.stringify(word)}: ${Object.keys(sideFileEndings).join(', ')}`)
  })

/** Attributes of an Android logical partition: words with commas between them. */
export const attributes: Parser<Partial<PartitionAttributes>> = (given) => {
  const known: Readonly<Record<string, keyof PartitionAttributes | undefined>> = {
    readonly: 'readOnly',
    disabled: 'disabled',
    updated: 'updated',
  }
  const words = given.split(',').filter((word) => word !== 'none' && word !== '')
  return Object.fromEntries(
    words.map((word) => {
      const attribute = Object.hasOwn(known, word) ? known[word] : undefined
      if (!attribute) throw invalid(`invalid attribute ${JSON.stringify(word)}: none, readonly, updated or disabled`)
      return [attribute, true]
    }),
  )
}

/** A device of an Android super partition, `NAME:SIZE[:ALIGNMENT[:OFFSET]]`. */
export const superDevice = (given: string) => {
  const [name, bytes, alignment, offset] = fields('NAME:SIZE[:ALIGNMENT[:OFFSET]]', 2)(given)
  return {
    name: name!,
    size: size(bytes!),
    alignment: alignment === undefined ? undefined : sizeOrZero(alignment),
    alignmentOffset: offset === undefined ? undefined : sizeOrZero(offset),
  }
}

/** A group of an Android super partition, `NAME:MAXIMUM`. */
export const superGroup = (given: string) => {
  const [name, maximum] = fields('NAME:MAXIMUM', 2)(given)
  return { name: name!, maximumSize: sizeOrZero(maximum!) }
}

/** A logical partition of an Android super partition, `NAME:ATTRIBUTES:SIZE[:GROUP]`. */
export const superPartition = (given: string) => {
  const [name, words, bytes, group] = fields('NAME:ATTRIBUTES:SIZE[:GROUP]', 3)(given)
  return { name: name!, attributes: attributes(words!), size: sizeOrZero(bytes!), group }
}

/** A size that may count from another: `2G`, `+1G` or `-1G`; see `parseNewSize`. */
export const newSize: Parser<string> = (given) => {
  // What it counts from is not known yet.
  parseNewSize(given, Number.MAX_SAFE_INTEGER)
  return given
}

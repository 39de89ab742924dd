// LUKS headers: cryptsetup's docs/on-disk-format.pdf (1) and docs/on-disk-format-luks2.pdf (2).
import type { Source } from '../bytes/source.js'

/** How libblkid names a LUKS volume. */
export const luks = 'crypto_LUKS'

const primary = Buffer.from('LUKS\xba\xbe', 'latin1')
const secondary = Buffer.from('SKUL\xba\xbe', 'latin1')
const binaryHeader = 4096
/** Where the second header of LUKS2 may lie, depending on how long the first is: 16 KiB to 4 MiB. */
const secondaries = Array.from({ length: 9 }, (_, n) => 16384 * 2 ** n)
/** Metadata that cryptsetup makes takes a few KiB. */
const longestMetadata = 256 * 1024

/**
 * Whether a LUKS volume encrypts all that it holds, and its keys: the null cipher encrypts nothing. Of several headers, which
 * libcryptsetup goes by depends on their checksums and age: each has to say so.
 * @throws what `volume.read` throws
 */
export async function isEncrypted(volume: Source): Promise<boolean> {
  if (!(await isHeader(volume, 0, primary))) return false
  for (const at of await headersOf(volume)) if (!(await hasCiphers(volume, at))) return false
  return true
}

/** Whether an encrypted LUKS2 volume notices what others change in it: by all of its headers. @throws what `volume.read` throws */
export async function hasIntegrity(volume: Source): Promise<boolean> {
  for (const at of await headersOf(volume)) {
    const header = Buffer.from(await volume.read(at, binaryHeader))
    const segments =
      header.readUInt16BE(6) === 2 ? membersOf(await readMetadata(volume, at + binaryHeader), 'segments') : []
    if (segments.length === 0 || !segments.every((one) => isNamed(fieldOf(fieldOf(one, 'integrity'), 'type'))))
      return false
  }
  return true
}

/** `none` is a way to have none. */
function isNamed(type: unknown): boolean {
  return typeof type === 'string' && type !== '' && type !== 'none'
}

async function headersOf(volume: Source): Promise<readonly number[]> {
  const headers = [0]
  for (const at of secondaries) if (await isHeader(volume, at, secondary)) headers.push(at)
  return headers
}

async function isHeader(volume: Source, at: number, magic: Buffer): Promise<boolean> {
  return volume.size >= at + binaryHeader && magic.equals(await volume.read(at, magic.length))
}

/**
 * The most that trying a passphrase on all key slots of a LUKS2 volume may cost: many times what cryptsetup chooses for one
 * slot, and about a minute.
 */
export const mostUnlocking = {
  /** Iterations of PBKDF2, of key slots and of the digests that each is checked by. */
  iterations: 100_000_000,
  /** Passes of Argon2, times the memory of each in KiB. */
  passes: 128 * 1024 * 1024,
  /** Of Argon2, in KiB; cryptsetup takes no more for a new volume. */
  memory: 1024 * 1024,
  /** Threads of Argon2: cryptsetup takes no more. */
  cpus: 4,
} as const
type UnlockingCost = Readonly<Record<keyof typeof mostUnlocking, number>>

/**
 * What of opening a LUKS2 volume costs more than it may, by any of its headers.
 * @param memory that may be used, in KiB
 * @returns undefined if nothing does
 * @throws what `volume.read` throws
 */
export async function excessiveCost(volume: Source, memory: number): Promise<string | undefined> {
  const most = { ...mostUnlocking, memory: Math.min(memory, mostUnlocking.memory) }
  for (const at of await headersOf(volume)) {
    const cost = unlockingCost(await readMetadata(volume, at + binaryHeader))
    for (const name of ['iterations', 'passes', 'memory', 'cpus'] as const)
      if (!(cost[name] <= most[name])) return `${name} ${cost[name]}, and ${most[name]} are the most`
  }
  return undefined
}

/** What is not as it should be is NaN, which is no cost that may be. */
function unlockingCost(metadata: unknown): UnlockingCost {
  const number = (value: unknown) => (typeof value === 'number' && value >= 0 ? value : Number.NaN)
  const derivations = membersOf(metadata, 'keyslots').map((slot) => fieldOf(slot, 'kdf'))
  const of = (name: string) => derivations.map((one) => number(fieldOf(one, name)))
  const digests = membersOf(metadata, 'digests').map((one) => number(fieldOf(one, 'iterations')))
  const cost = { iterations: sum(digests) * derivations.length, passes: 0, memory: 0, cpus: 0 }
  for (const [index, one] of derivations.entries()) {
    // Of a volume that is being encrypted anew.
    if (one === undefined) continue
    if (fieldOf(one, 'type') === 'pbkdf2') {
      cost.iterations += of('iterations')[index]!
      continue
    }
    cost.passes += of('time')[index]! * of('memory')[index]!
    cost.memory = Math.max(cost.memory, of('memory')[index]!)
    cost.cpus = Math.max(cost.cpus, of('cpus')[index]!)
  }
  return cost
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}

async function hasCiphers(volume: Source, at: number): Promise<boolean> {
  const header = Buffer.from(await volume.read(at, binaryHeader))
  const version = header.readUInt16BE(6)
  if (version === 1) return isCipher(header.toString('latin1', 8, 40).replace(/\0.*$/s, ''))
  return version === 2 && encryptsAll(await readMetadata(volume, at + binaryHeader))
}

/** @returns undefined if there is no JSON object of a sensible length */
async function readMetadata(volume: Source, at: number): Promise<unknown> {
  const bytes = Buffer.from(await volume.read(at, Math.min(longestMetadata, volume.size - at)))
  const end = bytes.indexOf(0)
  try {
    return end < 0 ? undefined : (JSON.parse(bytes.toString('utf8', 0, end)) as unknown)
  } catch {
    return undefined
  }
}

/** Segments of the type `linear` are not encrypted, or not yet. */
function encryptsAll(metadata: unknown): boolean {
  const segments = membersOf(metadata, 'segments')
  const areas = membersOf(metadata, 'keyslots').map((slot) => fieldOf(slot, 'area'))
  return (
    segments.length > 0 &&
    segments.every((one) => fieldOf(one, 'type') === 'crypt' && isCipher(fieldOf(one, 'encryption'))) &&
    areas.every((area) => fieldOf(area, 'type') !== 'raw' || isCipher(fieldOf(area, 'encryption')))
  )
}

/** `null`, `cipher_null-ecb` and `capi:ecb(cipher_null)-plain` are ways to have none. */
function isCipher(name: unknown): boolean {
  return typeof name === 'string' && name !== '' && !/null/i.test(name)
}

function membersOf(value: unknown, name: string): readonly unknown[] {
  const members = fieldOf(value, name)
  return typeof members === 'object' && members !== null ? Object.values(members) : []
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}

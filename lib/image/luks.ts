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
  const isHeader = async (at: number, magic: Buffer) =>
    volume.size >= at + binaryHeader && magic.equals(await volume.read(at, magic.length))
  if (!(await isHeader(0, primary))) return false
  const headers = [0]
  for (const at of secondaries) if (await isHeader(at, secondary)) headers.push(at)
  for (const at of headers) if (!(await hasCiphers(volume, at))) return false
  return true
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

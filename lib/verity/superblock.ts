import { equalOctets } from '../bytes/native.js'
import { octets } from '../bytes/octets.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { formatUuid, parseUuid } from '../uuid.js'

/** A hash algorithm of dm-verity that is supported. */
export type HashAlgorithm = 'sha256' | 'sha512'

/** Digest lengths in bytes. */
export const digestLengths: Readonly<Record<HashAlgorithm, number>> = { sha256: 32, sha512: 64 }

/** The verity superblock, version 1 (cryptsetup's lib/verity/verity.c): 512 bytes at the start of a hash volume. */
export interface Superblock {
  /** Of the hash tree, not of a partition. */
  readonly uuid: string
  readonly algorithm: HashAlgorithm
  /** At most 256 bytes. */
  readonly salt: Uint8Array
  /** In bytes, a power of two from 512. */
  readonly dataBlockSize: number
  readonly hashBlockSize: number
  /** How many data blocks the tree covers. */
  readonly dataBlocks: number
}

export const superblockLength = 512
const magic = octets('verity\0\0')
const largestSalt = 256
// cryptsetup's own bound; kernels take no more than a page.
const largestBlock = 512 * 1024

/**
 * Parses a verity superblock.
 * @param bytes at least 512
 * @throws ERR_DDI_VERITY_SUPERBLOCK, ERR_DDI_VERITY_ALGORITHM
 */
export function parseSuperblock(bytes: Uint8Array): Superblock {
  const refuse = (what: string): never => {
    throw new DdiError('ERR_DDI_VERITY_SUPERBLOCK', `verity superblock: ${what}`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!bytes.subarray(0, magic.length).every((byte, index) => byte === magic[index])) refuse('the signature is missing')
  const version = view.getUint32(8, true)
  if (version !== 1) refuse(`version ${version}, of which only 1 is known`)
  const hashType = view.getUint32(12, true)
  if (hashType !== 1) refuse(`hash type ${hashType}, of which only 1 is supported`)
  const dataBlockSize = view.getUint32(64, true)
  const hashBlockSize = view.getUint32(68, true)
  for (const [name, size] of Object.entries({ data: dataBlockSize, hash: hashBlockSize }))
    if (size < 512 || size > largestBlock || (size & (size - 1)) !== 0) refuse(`a ${name} block size of ${size} bytes`)
  const dataBlocks = view.getBigUint64(72, true)
  if (dataBlocks === 0n) refuse('no data blocks')
  if (dataBlocks * BigInt(dataBlockSize) > BigInt(Number.MAX_SAFE_INTEGER)) refuse(`${dataBlocks} data blocks`)
  const saltLength = view.getUint16(80, true)
  if (saltLength > largestSalt) refuse(`a salt of ${saltLength} bytes`)
  const name = String.fromCharCode(...bytes.subarray(32, 64)).replace(/\0.*$/s, '')
  if (!Object.hasOwn(digestLengths, name))
    throw new DdiError(
      'ERR_DDI_VERITY_ALGORITHM',
      `verity superblock: hash algorithm ${JSON.stringify(name)}, of which only sha256 and sha512 are supported`,
    )
  return {
    uuid: formatUuid(bytes.subarray(16, 32)),
    algorithm: name as HashAlgorithm,
    salt: Uint8Array.from(bytes.subarray(88, 88 + saltLength)),
    dataBlockSize,
    hashBlockSize,
    dataBlocks: Number(dataBlocks),
  }
}

/**
 * Encodes a verity superblock.
 * @returns 512 bytes
 * @throws ERR_DDI_USAGE for what it cannot say: the rules of {@link parseSuperblock}
 */
export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const { uuid, algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const uuidBytes = parseUuid(uuid)
  if (!uuidBytes) throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(uuid)} is not a UUID`)
  // What a field would cut off may be valid again.
  const largest = { dataBlockSize: 0xffff_ffff, hashBlockSize: 0xffff_ffff, dataBlocks: Number.MAX_SAFE_INTEGER }
  for (const [name, value] of Object.entries({ dataBlockSize, hashBlockSize, dataBlocks }))
    if (!Number.isSafeInteger(value) || value < 0 || value > largest[name as keyof typeof largest])
      throw new DdiError('ERR_DDI_USAGE', `verity superblock: invalid ${name} ${value}`)
  if (!(salt instanceof Uint8Array)) throw new DdiError('ERR_DDI_USAGE', 'verity superblock: a salt is a Uint8Array')
  if (salt.length > largestSalt)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `verity superblock: a salt of ${salt.length} bytes; it has room for ${largestSalt}`,
    )
  const bytes = new Uint8Array(superblockLength)
  const view = new DataView(bytes.buffer)
  bytes.set(magic)
  view.setUint32(8, 1, true)
  view.setUint32(12, 1, true)
  bytes.set(uuidBytes, 16)
  bytes.set(octets(algorithm), 32)
  view.setUint32(64, dataBlockSize, true)
  view.setUint32(68, hashBlockSize, true)
  view.setBigUint64(72, BigInt(dataBlocks), true)
  view.setUint16(80, salt.length, true)
  bytes.set(salt, 88)
  try {
    parseSuperblock(bytes)
  } catch (error) {
    throw new DdiError('ERR_DDI_USAGE', (error as DdiError).message, { cause: error })
  }
  return bytes
}

/** Whether a superblock begins a source, sound or not. @throws what `source.read` throws */
export async function hasSuperblock(source: Source): Promise<boolean> {
  return source.size >= superblockLength && equalOctets(magic, await source.read(0, magic.length))
}

/**
 * Reads the superblock at the start of a hash volume.
 * @throws ERR_DDI_VERITY_SUPERBLOCK, ERR_DDI_VERITY_ALGORITHM, and what `source.read` throws
 */
export async function readSuperblock(source: Source): Promise<Superblock> {
  if (source.size < superblockLength)
    throw new DdiError('ERR_DDI_VERITY_SUPERBLOCK', `verity superblock: the hash volume has only ${source.size} bytes`)
  return parseSuperblock(await source.read(0, superblockLength))
}

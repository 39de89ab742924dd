import { equalOctets } from '../bytes/native.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { bytes, checksum, record, u32, viewOf } from './record.js'

// AOSP's fs_mgr/liblp/include/liblp/metadata_format.h.

/** Where the metadata of logical partitions lies on its device (LpMetadataGeometry). */
export interface Geometry {
  /** Bytes that one copy of the metadata may take, a multiple of 512. */
  readonly metadataSize: number
  /** How many slots of metadata there are, each with a primary and a backup copy. */
  readonly slotCount: number
  /** What partitions and extents are multiples of, in bytes; itself a multiple of 512. */
  readonly blockSize: number
}

/** Left free at the start of the device, so that it is not taken for a boot sector. */
const reservedLength = 4096
/** What each of the two copies of the geometry takes. */
const geometryLength = 4096
export const sectorSize = 512
const magic = 0x616c4467
const largestNumber = 0xffff_ffff
const format = record({
  magic: u32,
  length: u32,
  checksum: bytes(32),
  metadataSize: u32,
  slotCount: u32,
  blockSize: u32,
})
/** The length of the structure itself. */
export const structLength = format.length

/** One of the two copies of the metadata of a slot. */
export type SuperCopy = 'primary' | 'backup'

export const geometryOffset = { primary: reservedLength, backup: reservedLength + geometryLength } as const

/** Byte offset of one copy of a slot's metadata: all primary copies come first. */
export function metadataOffset({ metadataSize, slotCount }: Geometry, slot: number, copy: SuperCopy): number {
  const index = copy === 'primary' ? slot : slotCount + slot
  return reservedLength + 2 * geometryLength + index * metadataSize
}

/** Bytes from the start of the device to the end of the last copy. */
export function metadataEnd(geometry: Geometry): number {
  return metadataOffset(geometry, geometry.slotCount, 'backup')
}

/** Whether bytes claim to be a geometry; whether they are one, `parseGeometry` tells. */
export function hasGeometryMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === magic
}

/** Whether bytes claim to be a super partition, in either copy of the geometry. */
export async function isSuper(source: Source): Promise<boolean> {
  for (const offset of Object.values(geometryOffset))
    if (source.size >= offset + structLength && hasGeometryMagic(await source.read(offset, 4))) return true
  return false
}

/**
 * Parses a copy of the geometry.
 * @param bytes at least 52
 * @throws ERR_DDI_SUPER_GEOMETRY
 */
export function parseGeometry(bytes: Uint8Array): Geometry {
  const refuse = (what: string) => new DdiError('ERR_DDI_SUPER_GEOMETRY', `geometry of the super partition: ${what}`)
  if (!hasGeometryMagic(bytes)) throw refuse('the signature is missing')
  const { length, checksum: stored, metadataSize, slotCount, blockSize } = format.read(viewOf(bytes), 0)
  if (length !== structLength) throw refuse(`it claims to have ${length} bytes instead of ${structLength}`)
  if (!equalOctets(checksum(bytes.subarray(0, structLength), format.offsets.checksum), stored))
    throw refuse('its checksum is wrong')
  const geometry = { metadataSize, slotCount, blockSize }
  checkGeometry(geometry, refuse)
  return geometry
}

/**
 * Checks numbers that come from outside before anything is laid out by them.
 * @throws ERR_DDI_USAGE for a geometry that no super partition can have
 */
export function checkedGeometry(geometry: Geometry): Geometry {
  checkGeometry(geometry, (what) => new DdiError('ERR_DDI_USAGE', what))
  return geometry
}

function checkGeometry({ metadataSize, slotCount, blockSize }: Geometry, refuse: (what: string) => DdiError): void {
  const isNumber = (value: number) => Number.isInteger(value) && value > 0 && value <= largestNumber
  const isSize = (value: number) => isNumber(value) && value % sectorSize === 0
  if (!isSize(metadataSize)) throw refuse(`invalid metadata size ${metadataSize}: must be a multiple of ${sectorSize}`)
  if (!isNumber(slotCount)) throw refuse(`invalid number of metadata slots ${slotCount}: must be 1 or more`)
  if (!isSize(blockSize)) throw refuse(`invalid logical block size ${blockSize}: must be a multiple of ${sectorSize}`)
}

/**
 * Encodes a geometry as each of its two copies has it.
 * @returns 4096 bytes
 * @throws ERR_DDI_USAGE as {@link checkedGeometry}
 */
export function encodeGeometry(geometry: Geometry): Uint8Array {
  const encoded = new Uint8Array(geometryLength)
  const unsealed = { ...checkedGeometry(geometry), magic, length: structLength, checksum: new Uint8Array(32) }
  format.write(viewOf(encoded), 0, unsealed)
  const { checksum: at } = format.offsets
  encoded.set(checksum(encoded.subarray(0, structLength), at), at)
  return encoded
}

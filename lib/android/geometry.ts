import { createHash } from 'node:crypto'
import { DdiError } from '../errors.js'

// AOSP's fs_mgr/liblp/include/liblp/metadata_format.h; all numbers are little-endian.

/** Where the metadata of logical partitions lies on its device (LpMetadataGeometry). */
export interface Geometry {
  /** Bytes that one copy of the metadata may take, a multiple of 512. */
  readonly metadataSize: number
  /** How many slots of metadata there are, each with a primary and a backup copy. */
  readonly slotCount: number
  /** What partitions and extents are multiples of, in bytes; itself a multiple of 512. */
  readonly blockSize: number
}

/** Left free at the start of the device, so that nobody takes it for a boot sector. */
export const reservedLength = 4096
/** What each of the two copies of the geometry takes. */
export const geometryLength = 4096
export const sectorSize = 512
const magic = 0x616c4467
/** What of that is the structure itself. */
export const structLength = 52
const checksumAt = 8

export type SuperCopy = 'primary' | 'backup'

export const geometryOffset = { primary: reservedLength, backup: reservedLength + geometryLength } as const

/** Byte offset of one copy of a slot's metadata: all primary ones come first. */
export function metadataOffset({ metadataSize, slotCount }: Geometry, slot: number, copy: SuperCopy): number {
  const index = copy === 'primary' ? slot : slotCount + slot
  return reservedLength + 2 * geometryLength + index * metadataSize
}

/** Bytes from the start of the device to the end of the last copy. */
export function metadataEnd(geometry: Geometry): number {
  return metadataOffset(geometry, geometry.slotCount, 'backup')
}

/** These bytes claim to be a geometry; whether they are one, `parseGeometry` tells. */
export function hasGeometryMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === magic
}

/** SHA-256 of a structure whose own checksum counts as zeroes. */
export function checksum(bytes: Uint8Array, at: number): Buffer {
  return createHash('sha256')
    .update(bytes.subarray(0, at))
    .update(new Uint8Array(32))
    .update(bytes.subarray(at + 32))
    .digest()
}

/**
 * Parses a copy of the geometry.
 * @param bytes at least 52
 * @throws ERR_DDI_SUPER_GEOMETRY
 */
export function parseGeometry(bytes: Uint8Array): Geometry {
  const refuse = (what: string) => new DdiError('ERR_DDI_SUPER_GEOMETRY', `geometry of the super partition: ${what}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!hasGeometryMagic(bytes)) throw refuse('the signature is missing')
  const length = view.getUint32(4, true)
  if (length !== structLength) throw refuse(`it claims ${length} bytes, and has ${structLength}`)
  const struct = bytes.subarray(0, structLength)
  if (!checksum(struct, checksumAt).equals(struct.subarray(checksumAt, checksumAt + 32)))
    throw refuse('its checksum is wrong')
  const geometry = {
    metadataSize: view.getUint32(40, true),
    slotCount: view.getUint32(44, true),
    blockSize: view.getUint32(48, true),
  }
  checkGeometry(geometry, refuse)
  return geometry
}

function checkGeometry({ metadataSize, slotCount, blockSize }: Geometry, refuse: (what: string) => DdiError): void {
  if (metadataSize === 0 || metadataSize % sectorSize !== 0)
    throw refuse(`${metadataSize} bytes of metadata, where a multiple of ${sectorSize} is asked for`)
  if (slotCount === 0) throw refuse('no metadata slots')
  if (blockSize === 0 || blockSize % sectorSize !== 0)
    throw refuse(`logical blocks of ${blockSize} bytes, where a multiple of ${sectorSize} is asked for`)
}

/**
 * Encodes a geometry as each of its two copies has it.
 * @returns 4096 bytes
 * @throws ERR_DDI_USAGE for numbers that it cannot have
 */
export function encodeGeometry(geometry: Geometry): Uint8Array {
  checkGeometry(geometry, (what) => new DdiError('ERR_DDI_USAGE', what))
  const bytes = new Uint8Array(geometryLength)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic, true)
  view.setUint32(4, structLength, true)
  view.setUint32(40, geometry.metadataSize, true)
  view.setUint32(44, geometry.slotCount, true)
  view.setUint32(48, geometry.blockSize, true)
  bytes.set(checksum(bytes.subarray(0, structLength), checksumAt), checksumAt)
  return bytes
}

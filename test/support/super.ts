// Super partitions assembled by hand, field by field, from the description of the format in AOSP's metadata_format.h.
import { createHash } from 'node:crypto'
import { encodeSuper, type Geometry, type Metadata, newMetadata } from '../../lib/android/index.js'
import { MiB } from './images.js'

export interface SuperLayout {
  readonly metadataSize: number
  readonly slots: number
  readonly blockSize: number
  readonly header: { readonly minor: number; readonly length: number; readonly flags?: number }
  readonly partitions: readonly { name: string; attributes: number; first: number; count: number; group: number }[]
  readonly extents: readonly { sectors: bigint; type: number; data: bigint; source: number }[]
  readonly groups: readonly { name: string; flags: number; maximum: bigint }[]
  readonly devices: readonly {
    first: bigint
    alignment: number
    offset: number
    size: bigint
    name: string
    flags: number
  }[]
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

const text = (name: string) => Buffer.concat([Buffer.from(name), Buffer.alloc(36 - name.length)])

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** A whole super partition of the first device's size, the same metadata in every slot and copy. */
export function assembleSuper(layout: SuperLayout): Buffer {
  const { metadataSize, slots, blockSize, header, partitions, extents, groups, devices } = layout
  const tables = [
    partitions.map((one) =>
      Buffer.concat([text(one.name), ...[one.attributes, one.first, one.count, one.group].map(u32)]),
    ),
    extents.map((one) => Buffer.concat([u64(one.sectors), u32(one.type), u64(one.data), u32(one.source)])),
    groups.map((one) => Buffer.concat([text(one.name), u32(one.flags), u64(one.maximum)])),
    devices.map((one) =>
      Buffer.concat([
        u64(one.first),
        u32(one.alignment),
        u32(one.offset),
        u64(one.size),
        text(one.name),
        u32(one.flags),
      ]),
    ),
  ]
  const lengths = [52, 24, 48, 64]
  let offset = 0
  const descriptors = tables.map((rows, index) => {
    const descriptor = Buffer.concat([offset, rows.length, lengths[index]!].map(u32))
    offset += rows.length * lengths[index]!
    return descriptor
  })
  const body = Buffer.concat(tables.flat())
  const head = Buffer.alloc(header.length)
  Buffer.concat([u32(0x414c5030), Buffer.from([10, 0, header.minor, 0]), u32(header.length)]).copy(head)
  u32(body.length).copy(head, 44)
  sha256(body).copy(head, 48)
  Buffer.concat(descriptors).copy(head, 80)
  if (header.length > 128) u32(header.flags ?? 0).copy(head, 128)
  sha256(head).copy(head, 12)
  const geometry = Buffer.alloc(52)
  Buffer.concat([u32(0x616c4467), u32(52)]).copy(geometry)
  Buffer.concat([metadataSize, slots, blockSize].map(u32)).copy(geometry, 40)
  sha256(geometry).copy(geometry, 8)
  const disk = Buffer.alloc(Number(devices[0]?.size ?? 4194304n))
  for (const at of [4096, 8192]) geometry.copy(disk, at)
  for (let copy = 0; copy < 2 * slots; copy++) Buffer.concat([head, body]).copy(disk, 12288 + copy * metadataSize)
  return disk
}

/** Makes the checksums of both geometries and of slot 0 right again, as far as what they cover lies there. */
export function reseal(disk: Buffer, { metadataSize, slots }: SuperLayout): void {
  for (const at of [4096, 8192]) {
    disk.fill(0, at + 8, at + 40)
    sha256(disk.subarray(at, at + 52)).copy(disk, at + 8)
  }
  for (const at of [12288, 12288 + slots * metadataSize]) {
    const length = Math.min(disk.readUInt32LE(at + 8), 256)
    const tables = Math.min(disk.readUInt32LE(at + 44), metadataSize)
    sha256(disk.subarray(at + length, at + length + tables)).copy(disk, at + 48)
    disk.fill(0, at + 12, at + 44)
    sha256(disk.subarray(at, at + length)).copy(disk, at + 12)
  }
}

export const geometry: Geometry = { metadataSize: 4096, slotCount: 2, blockSize: 4096 }

/** A super partition of two slots in memory, as the library makes it. */
export function superDisk(size: number, change: (metadata: Metadata) => Metadata = (one) => one): Buffer {
  const metadata = change(
    newMetadata(
      geometry,
      [{ name: 'super', size, alignment: 65536 }],
      [{ name: 'main', slotSuffixed: false, maximumSize: 4 * MiB }],
    ),
  )
  const disk = Buffer.alloc(size)
  for (const { offset, bytes } of encodeSuper(geometry, metadata)) disk.set(bytes, offset)
  return disk
}

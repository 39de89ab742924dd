// Builds and re-seals GPTs in memory, so that tests can reach what lies behind the checksums.
import { randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { VolumeHead } from '../../lib/index.js'
import { parseUuid, swapUuidEndianness } from '../../lib/uuid.js'
import { typeUuids } from './images.js'

export interface RawEntry {
  readonly type: Uint8Array
  readonly uuid: Uint8Array
  readonly first: bigint
  readonly last: bigint
  readonly attributes?: bigint
  readonly label?: string
}

/** A partition of the second MiB, by default. */
export function rawEntry(typeUuid: string, uuid = 2): RawEntry {
  const type = swapUuidEndianness(parseUuid(typeUuid)!)
  return { type, uuid: Buffer.alloc(16, uuid), first: 2048n, last: 4095n }
}

export interface DiskOptions {
  readonly sectorSize: number
  readonly sectors: number
  readonly entrySize?: number
  readonly entryCount?: number
  readonly entries: readonly RawEntry[]
}

/** A whole small disk with protective MBR and both copies of a table. */
export function makeDisk({ sectorSize, sectors, entrySize = 128, entryCount = 8, entries }: DiskOptions): Buffer {
  const disk = Buffer.alloc(sectorSize * sectors)
  const arraySectors = Math.ceil((entrySize * entryCount) / sectorSize)
  disk[450] = 0xee
  disk.writeUInt16LE(0xaa55, 510)
  const array = Buffer.alloc(entrySize * entryCount)
  entries.forEach((entry, index) => {
    const at = index * entrySize
    array.set(entry.type, at)
    array.set(entry.uuid, at + 16)
    array.writeBigUInt64LE(entry.first, at + 32)
    array.writeBigUInt64LE(entry.last, at + 40)
    array.writeBigUInt64LE(entry.attributes ?? 0n, at + 48)
    array.write((entry.label ?? '').slice(0, 36), at + 56, 'utf16le')
  })
  const write = (lba: number, alternate: number, arrayLba: number) => {
    array.copy(disk, arrayLba * sectorSize)
    const at = lba * sectorSize
    disk.write('EFI PART', at, 'latin1')
    disk.writeUInt32LE(0x00010000, at + 8)
    disk.writeUInt32LE(92, at + 12)
    disk.writeBigUInt64LE(BigInt(lba), at + 24)
    disk.writeBigUInt64LE(BigInt(alternate), at + 32)
    disk.writeBigUInt64LE(BigInt(2 + arraySectors), at + 40)
    disk.writeBigUInt64LE(BigInt(sectors - 2 - arraySectors), at + 48)
    disk.fill(0xd1, at + 56, at + 72)
    disk.writeBigUInt64LE(BigInt(arrayLba), at + 72)
    disk.writeUInt32LE(entryCount, at + 80)
    disk.writeUInt32LE(entrySize, at + 84)
    seal(disk, sectorSize, lba)
  }
  write(1, sectors - 1, 2)
  write(sectors - 1, 1, sectors - 1 - arraySectors)
  return disk
}

/** Makes both checksums of the header at `lba` right again, as far as what it says lies on the disk. */
export function seal(disk: Buffer, sectorSize: number, lba: number): void {
  const at = lba * sectorSize
  if (at < 0 || at + sectorSize > disk.length) return
  const arrayAt = Number(disk.readBigUInt64LE(at + 72)) * sectorSize
  const arrayLength = disk.readUInt32LE(at + 80) * disk.readUInt32LE(at + 84)
  if (arrayAt + arrayLength <= disk.length)
    disk.writeUInt32LE(crc32(disk.subarray(arrayAt, arrayAt + arrayLength)), at + 88)
  const size = disk.readUInt32LE(at + 12)
  if (size < 20 || size > sectorSize) return
  disk.writeUInt32LE(0, at + 16)
  disk.writeUInt32LE(crc32(disk.subarray(at, at + size)), at + 16)
}

/** A disk without partitions. */
export function emptyDisk(mebibytes: number, entryCount = 128): Buffer {
  return makeDisk({ sectorSize: 512, sectors: mebibytes * 2048, entryCount, entries: [] })
}

/** The head of a volume for /home. */
export function volumeHead(label: string, more: Partial<VolumeHead> = {}): VolumeHead {
  return { typeUuid: typeUuids.home, uuid: randomUUID(), label, attributes: 0n, ...more }
}

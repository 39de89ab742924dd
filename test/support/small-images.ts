// Images of a few MiB that a test makes by itself, for disks in memory.
import { Readable } from 'node:stream'
import { makeDisk, rawEntry } from './gpt.js'
import { MiB, typeUuids } from './images.js'

/** A DDI with a root partition from 1 MiB on, full of one byte, and free space behind it. */
export function smallImage(fill: number, size = MiB, free = MiB): Buffer {
  const sectors = (MiB + size + free) / 512
  const last = BigInt((MiB + size) / 512 - 1)
  const root = { ...rawEntry(typeUuids.root), last, label: 'root' }
  const disk = makeDisk({ sectorSize: 512, sectors, entryCount: 128, entries: [root] })
  return disk.fill(fill, MiB, MiB + size)
}

/** What of such an image is the same wherever it is stored: its root partition. */
export function rootOf(image: Buffer): Buffer {
  return image.subarray(MiB, Number(image.readBigUInt64LE(1024 + 40) + 1n) * 512)
}

export function streamOf(bytes: Buffer): Readable {
  return Readable.from([bytes])
}

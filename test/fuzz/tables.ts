// Disks with tables that are right in their checksums and odd in everything else.
import assert from 'node:assert/strict'
import { extensionTypeUuid, extensionUuid, nestedTypeUuid } from '../../lib/disk/chain.js'
import type { Volume } from '../../lib/disk/volume.js'
import { formatUuid, parseUuid } from '../../lib/uuid.js'
import { makeDisk, type RawEntry, seal } from '../support/gpt.js'
import { typeUuids } from '../support/images.js'
import type { Random } from './random.js'

const types = [...Object.values(typeUuids), nestedTypeUuid, extensionTypeUuid]
const continued = 1n << 58n

/** As a GPT stores it: the first three fields little-endian. */
export function stored(uuid: string): Buffer {
  const bytes = Buffer.from(parseUuid(uuid)!)
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}

/** A disk with partitions that mostly follow each other, some of them chains. */
export function randomDisk(random: Random): Buffer {
  const sectorSize = random.of([512, 512, 1024, 2048, 4096])
  const sectors = 192 + random.below(64)
  const entries: RawEntry[] = []
  let at = 8 * random.below(3) + 8
  let head = { uuid: '', segments: 0 }
  for (let left = random.below(8); left > 0; left--) {
    const length = random.oneIn(10) ? random.below(3) : 8 * (1 + random.below(3))
    const extends_ = head.segments > 0 && !random.oneIn(4)
    const uuid = random.oneIn(20) && head.uuid !== '' ? head.uuid : formatUuid(random.bytes(16))
    const next = extends_ ? extensionUuid(head.uuid, head.segments) : uuid
    head = extends_ ? { ...head, segments: head.segments + 1 } : { uuid, segments: 1 }
    const more = random.oneIn(2) ? continued : 0n
    entries.push({
      type: stored(extends_ ? extensionTypeUuid : random.of(types)),
      uuid: stored(next),
      first: BigInt(at),
      last: BigInt(at + length - 1),
      attributes: random.oneIn(3) ? more | BigInt(1 + random.below(7)) | (15n << 59n) : more,
      label: random.of(['', 'os_1', 'os_2', 'super', '\u{202e}x', 'a'.repeat(36)]),
    })
    if (more === 0n) head = { uuid: '', segments: 0 }
    at += random.oneIn(12) ? random.below(16) : Math.ceil(length / 8) * 8
  }
  return makeDisk({ sectorSize, sectors, entrySize: random.of([128, 128, 256, 4096]), entryCount: 8, entries })
}

const twin = '11111111-2222-4333-8444-555555555555'
const most = 32_768
const uuidOf = (index: number) => `11111111-2222-4333-8444-${index.toString(16).padStart(12, '0')}`

/** Two volumes of one UUID that go on in the same extension. */
export function aliasedDisk(): Buffer {
  const of = (type: string, uuid: string, first: bigint, attributes: bigint) => ({
    ...{ type: stored(type), uuid: stored(uuid), first, last: first + 7n, attributes },
  })
  return makeDisk({
    ...{ sectorSize: 512, sectors: 64, entryCount: 4 },
    entries: [
      of(typeUuids.root, twin, 8n, continued),
      of(typeUuids.home, twin, 16n, continued),
      of(extensionTypeUuid, extensionUuid(twin, 1), 24n, 0n),
    ],
  })
}

/**
 * Tables that are right, and as large as they may be: partitions of UUIDs of their own, of one UUID, of tables in them, one chain
 * of all, and heads of one UUID that all go on in the same extensions.
 */
export const bombs: readonly (() => Buffer)[] = [
  () => fullDisk((index) => ({ type: typeUuids.home, uuid: uuidOf(index), more: false })),
  () => fullDisk(() => ({ type: typeUuids.home, uuid: twin, more: false })),
  () => fullDisk((index) => ({ type: nestedTypeUuid, uuid: uuidOf(index), more: true })),
  () => fullDisk((index) => chained(index, index)),
  () => fullDisk((index) => chained(index, index - most / 2 + 1)),
]

function chained(index: number, segment: number) {
  const isHead = segment < 1
  const uuid = isHead ? twin : extensionUuid(twin, segment)
  return { type: isHead ? typeUuids.root : extensionTypeUuid, uuid, more: index < most - 1 }
}

function fullDisk(partition: (index: number) => { type: string; uuid: string; more: boolean }): Buffer {
  const first = 8 * 1024 + 8
  const entries = Array.from({ length: most }, (_, index): RawEntry => {
    const { type, uuid, more } = partition(index)
    const at = BigInt(first + index)
    return { type: stored(type), uuid: stored(uuid), first: at, last: at, attributes: more ? continued : 0n }
  })
  // Sectors of 4096 bytes would align the segments; that they are not is found at the end of a chain only.
  return makeDisk({ sectorSize: 512, sectors: 2 * first + most, entryCount: most, entries })
}

/** Makes the checksums of both copies right, whatever the sectors of the disk are. */
export function sealBoth(disk: Buffer): void {
  for (const sectorSize of [512, 1024, 2048, 4096]) {
    const last = Math.floor(disk.length / sectorSize) - 1
    for (const lba of [1, last])
      if (
        lba > 0 &&
        (lba + 1) * sectorSize <= disk.length &&
        disk.toString('latin1', lba * sectorSize, lba * sectorSize + 8) === 'EFI PART'
      )
        sealIfThere(disk, sectorSize, lba)
  }
}

function sealIfThere(disk: Buffer, sectorSize: number, lba: number): void {
  const at = lba * sectorSize
  const array = disk.readBigUInt64LE(at + 72) * BigInt(sectorSize)
  const length = BigInt(disk.readUInt32LE(at + 80)) * BigInt(disk.readUInt32LE(at + 84))
  if (array + length <= disk.length) seal(disk, sectorSize, lba)
}

/** What is true of volumes that a disk of `size` bytes is said to have. */
export function checkVolumes(volumes: readonly Volume[], size: number): void {
  for (const volume of volumes) {
    if (volume.state !== 'whole') continue
    let length = 0
    for (const extent of volume.extents) {
      assert.ok(Number.isSafeInteger(extent.length) && extent.length > 0, 'an extent has a length')
      if (extent.kind === 'linear')
        assert.ok(extent.start >= 0 && extent.start + extent.length <= size, 'an extent lies on the disk')
      length += extent.length
    }
    assert.equal(volume.size, length)
  }
}

/** No block is of two volumes of one table. */
export function checkDisjoint(volumes: readonly Volume[]): void {
  const runs = volumes
    .flatMap((volume) => (volume.state === 'whole' && volume.origin.kind !== 'nested' ? volume.extents : []))
    .flatMap((extent) => (extent.kind === 'linear' ? [extent] : []))
    .sort((a, b) => a.start - b.start)
  for (const [index, { start }] of runs.entries()) {
    const before = runs[index - 1]
    assert.ok(before === undefined || before.start + before.length <= start, `byte ${start} is of two volumes`)
  }
}

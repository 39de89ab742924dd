import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { composeExtents, linear } from '../../lib/bytes/extents.js'
import { memorySource } from '../../lib/bytes/memory.js'
import { nestedVolumes } from '../../lib/disk/nested.js'
import { tableVolumes } from '../../lib/disk/partition.js'
import { superOn } from '../../lib/disk/super.js'
import { encodeNewDisk } from '../../lib/gpt/create.js'
import { extensionTypeUuid, extensionUuid, nestedTypeUuid, openImage, requireWhole } from '../../lib/index.js'
import { seal } from '../support/gpt.js'
import { MiB, makeGptImage, type PartitionSpec, typeUuids, writeAt } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { temporaryFolder } from '../support/run.js'
import { superDisk } from '../support/super.js'

const inner: PartitionSpec[] = [
  { type: typeUuids.home, size: 2 * MiB, label: 'inner-home' },
  { type: typeUuids.root, size: MiB, label: 'inner-root' },
]

/** A disk whose second partition holds a disk of its own. */
function nestedDisk(folder: string, type: string, change: (disk: string) => void = () => {}) {
  const within = join(folder, 'inner.raw')
  const innerStarts = makeGptImage(within, 6 * MiB, inner)
  change(within)
  const path = join(folder, 'outer.raw')
  const starts = makeGptImage(path, 16 * MiB, [
    { type: typeUuids.linuxGeneric, size: MiB, label: 'plain' },
    { type, size: 6 * MiB, label: 'box', from: within },
  ])
  return { path, starts, innerStarts }
}

const labels = async (path: string, nested = false) => {
  await using image = await openImage(path, { nested })
  return image.volumes.map(({ label }) => label)
}

test('partitions of a nested table are volumes of the disk, in its extents', async () => {
  using folder = temporaryFolder()
  const { path, starts, innerStarts } = nestedDisk(folder.path, nestedTypeUuid)
  await using image = await openImage(path)
  assert.deepEqual(
    image.volumes
      .slice(2)
      .map(requireWhole)
      .map(({ label, extents }) => ({ label, extents })),
    inner.map(({ label, size }, n) => ({
      label,
      extents: [{ kind: 'linear', start: starts[1]! + innerStarts[n]!, length: size }],
    })),
  )
})

test('of another type it is looked into only when asked', async () => {
  using folder = temporaryFolder()
  const { path } = nestedDisk(folder.path, typeUuids.linuxGeneric)
  assert.deepEqual(await labels(path), ['plain', 'box'])
  assert.deepEqual(await labels(path, true), ['plain', 'box', 'inner-home', 'inner-root'])
})

test('a nested table in a chain has the extents of its segments', async () => {
  using folder = temporaryFolder()
  const within = join(folder.path, 'inner.raw')
  makeGptImage(within, 6 * MiB, inner)
  const bytes = readFileSync(within)
  const head = '0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4051'
  const path = join(folder.path, 'outer.raw')
  const [first, , second] = makeGptImage(path, 16 * MiB, [
    { type: nestedTypeUuid, size: 2 * MiB, uuid: head, attributes: [58] },
    { type: typeUuids.linuxGeneric, size: MiB },
    { type: extensionTypeUuid, size: 4 * MiB, uuid: extensionUuid(head, 1), attributes: [63] },
  ])
  writeAt(path, first!, bytes.subarray(0, 2 * MiB))
  writeAt(path, second!, bytes.subarray(2 * MiB))
  await using image = await openImage(path)
  assert.deepEqual(requireWhole(image.volumes.find(({ label }) => label === 'inner-home')!).extents, [
    { kind: 'linear', start: first! + MiB, length: MiB },
    { kind: 'linear', start: second!, length: MiB },
  ])
})

test('a nested table that points out of its partition, or is none, is a problem of its own', async () => {
  using folder = temporaryFolder()
  const outside = (path: string) => {
    const disk = readFileSync(path)
    const last = disk.length / 512 - 1
    for (const lba of [1, last]) {
      // It claims the sectors behind its partition, with right checksums.
      disk.writeBigUInt64LE(BigInt(last + 2048), lba * 512 + 48)
      seal(disk, 512, lba)
    }
    return disk
  }
  const { path } = nestedDisk(folder.path, nestedTypeUuid, (within) => writeFileSync(within, outside(within)))
  await using image = await openImage(path)
  assert.deepEqual(
    image.table.problems.map(({ code }) => code),
    ['ERR_DDI_GPT_TRUNCATED'],
  )
  assert.deepEqual(await labels(path), ['plain', 'box'])
  const none = join(folder.path, 'none.raw')
  makeGptImage(none, 16 * MiB, [{ type: nestedTypeUuid, size: MiB }])
  await using empty = await openImage(none)
  assert.equal(empty.table.problems[0]?.code, 'ERR_DDI_NO_TABLE')
})

test('once there are as many volumes as a table can have, no further one is read', async () => {
  const count = 16384
  const size = (count + 4096) * 4096
  const [usableStart, usableEnd] = [2048 * 4096, (count + 2048) * 4096]
  const partitions = Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    typeUuid: typeUuids.home,
    uuid: randomUUID(),
    start: usableStart + index * 4096,
    length: 4096,
    attributes: 0n,
    label: '',
  }))
  const table = { sectorSize: 4096, uuid: randomUUID(), entrySize: 128, entryCount: count, usableStart, usableEnd }
  const disk = Buffer.alloc(size)
  for (const { offset, bytes } of encodeNewDisk({ ...table, partitions }, size)) disk.set(bytes, offset)
  const { volumes } = tableVolumes({
    ...table,
    partitions: [1, 2, 3, 4].map((number) => ({
      ...partitions[0]!,
      ...{ number, uuid: randomUUID(), typeUuid: nestedTypeUuid, start: 0, length: size },
    })),
  })
  const found = await nestedVolumes(memorySource(disk), volumes)
  assert.equal(found.volumes.length, 2 * count)
})

test('a super partition in a volume that is too small for it is refused, never cut', async () => {
  using folder = temporaryFolder()
  const box = join(folder.path, 'super')
  const large = superDisk(8 * MiB)
  const metadata = await superOn(recordingTarget(large), 'memory')
  await metadata.create({ label: 'data' }, 5 * MiB)
  writeFileSync(box, large.subarray(0, 4 * MiB))
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.linuxGeneric, size: 4 * MiB, label: 'super', from: box }])
  await using image = await openImage(path)
  assert.deepEqual(
    [image.volumes.map(({ label }) => label), image.table.problems.map(({ code }) => code)],
    [['super'], ['ERR_DDI_SUPER_DEVICE']],
  )
  assert.throws(() => composeExtents(linear([{ start: 0, length: 4096 }]), linear([{ start: 0, length: 8192 }])), {
    code: 'ERR_DDI_SHORT_READ',
  })
})

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { addPartition } from '../../lib/android/index.js'
import { memorySource } from '../../lib/bytes/memory.js'
import { findByName, foundExtents } from '../../lib/disk/volume.js'
import {
  extensionTypeUuid,
  extensionUuid,
  imageOn,
  nestedTypeUuid,
  openImage,
  ownOrigin,
  requireWhole,
  type Volume,
} from '../../lib/index.js'
import { emptyFile, MiB, makeGptImage, type PartitionSpec, typeUuids } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'
import { geometry, superDisk } from '../support/super.js'

const continued = 1n << 58n
const noAuto = 1n << 63n
const [first, second] = ['4f68bce3-e8cd-4db1-96e7-fbcaf984b709', '0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4051']

/** A volume of two segments, as partitions. */
function chained(head: string, label: string): readonly [PartitionSpec, PartitionSpec] {
  return [
    { type: typeUuids.home, size: MiB, uuid: head, label, attributes: [58] },
    { type: extensionTypeUuid, size: MiB, uuid: extensionUuid(head, 1), label, attributes: [63] },
  ]
}

function labelled(volumes: readonly Volume[], label: string): Volume {
  return volumes.find((volume) => volume.label === label)!
}

test('a partition and a chain: their numbers, attributes and segments', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const starts = makeGptImage(path, 16 * MiB, [
    { type: typeUuids.root, size: MiB, label: 'plain', attributes: [60] },
    ...chained(first, 'wide'),
  ])
  await using image = await openImage(path)
  const [plain, wide] = image.volumes.map(requireWhole)
  assert.deepEqual(plain!.origin, { kind: 'partition', number: 1, attributes: 1n << 60n })
  assert.deepEqual(wide!.origin, {
    kind: 'chain',
    segments: [
      { number: 2, uuid: first, attributes: continued, start: starts[1], length: MiB },
      { number: 3, uuid: extensionUuid(first, 1), attributes: noAuto, start: starts[2], length: MiB },
    ],
  })
  assert.equal(ownOrigin(wide!), wide!.origin)
  assert.equal(foundExtents(wide!), wide!.extents)
})

test('a broken volume has no extents, but what is left of it can be shown', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const [head] = chained(first, 'broken')
  const [start] = makeGptImage(path, 16 * MiB, [head])
  await using image = await openImage(path)
  const [volume] = image.volumes
  assert.ok(volume?.state === 'broken')
  assert.ok(!('extents' in volume))
  assert.equal(volume.defect.code, 'ERR_DDI_CHAIN_BROKEN')
  assert.throws(() => requireWhole(volume), volume.defect)
  assert.deepEqual(
    ownOrigin(volume).segments.map(({ number }) => number),
    [1],
  )
  assert.deepEqual([volume.size, foundExtents(volume)], [MiB, [{ kind: 'linear', start, length: MiB }]])
})

test('nested volumes: what each table says of them, and the volume that holds it, down to chains and logical partitions', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(
    at('super'),
    superDisk(2 * MiB, (metadata) => addPartition(metadata, geometry, { name: 'system', size: 8192, group: 'main' })),
  )
  const [lost] = chained(second, 'lost')
  const inner = makeGptImage(at('inner'), 8 * MiB, [
    ...chained(first, 'wide'),
    { type: typeUuids.linuxGeneric, size: 2 * MiB, label: 'super', from: at('super') },
    lost,
  ])
  const [start] = makeGptImage(at('disk.raw'), 16 * MiB, [
    { type: nestedTypeUuid, size: 8 * MiB, label: 'box', from: at('inner') },
  ])
  await using image = await openImage(at('disk.raw'))
  const box = labelled(image.volumes, 'box')

  const wide = requireWhole(labelled(image.volumes, 'wide'))
  assert.ok(wide.origin.kind === 'nested')
  assert.equal(wide.origin.within, box)
  assert.equal(ownOrigin(wide).kind, 'chain')
  assert.deepEqual(
    wide.extents.map((extent) => extent.kind === 'linear' && extent.start),
    [start! + inner[0]!, start! + inner[1]!],
  )

  const system = requireWhole(labelled(image.volumes, 'system'))
  assert.ok(system.origin.kind === 'nested')
  assert.equal(system.origin.within, labelled(image.volumes, 'super'))
  assert.ok(system.origin.within.origin.kind === 'nested')
  assert.equal(system.origin.within.origin.within, box)
  assert.deepEqual(ownOrigin(system), { kind: 'logical', group: 'main' })

  const left = labelled(image.volumes, 'lost')
  assert.ok(left.state === 'broken' && left.origin.kind === 'nested')
  assert.deepEqual(foundExtents(left), [{ kind: 'linear', start: start! + inner[3]!, length: MiB }])
})

test('a logical partition and a whole image', async () => {
  using folder = temporaryFolder()
  const disk = superDisk(2 * MiB, (metadata) => addPartition(metadata, geometry, { name: 'system', size: 8192 }))
  await using opened = await imageOn(memorySource(disk), { name: 'memory' })
  assert.deepEqual(
    opened.volumes.map(({ label, uuid, origin }) => ({ label, uuid, origin })),
    [{ label: 'system', uuid: null, origin: { kind: 'logical', group: 'default' } }],
  )
  await using plain = await openImage(emptyFile(join(folder.path, 'plain'), MiB))
  assert.deepEqual(
    plain.volumes.map(({ origin, size }) => [origin, size]),
    [[{ kind: 'whole-image' }, MiB]],
  )
})

test('a volume is found by its UUID, or by a label that only one has', () => {
  const volumes = [
    { uuid: first, label: 'one' },
    { uuid: second, label: 'twin' },
    { uuid: null, label: 'twin' },
  ]
  assert.equal(findByName(volumes, first.toUpperCase(), 'the disk'), volumes[0])
  assert.equal(findByName(volumes, 'one', 'the disk'), volumes[0])
  assert.throws(() => findByName(volumes, 'twin', 'the disk'), { code: 'ERR_DDI_NO_VOLUME', message: /several/ })
  // As a variable of a script that is not set.
  const unnamed = [{ uuid: null, label: '' }]
  assert.throws(() => findByName(unnamed, '', 'the disk'), { code: 'ERR_DDI_USAGE', message: /empty/ })
  assert.throws(() => findByName([], 'one', 'the disk'), { code: 'ERR_DDI_NO_VOLUME', message: /it has none/ })
})

// What liblp's builder_test.cpp and io_test.cpp expect of its builder, reader and writer, expected of ours; their names are in the tests' titles.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeMetadata } from '../../lib/android/encode.js'
import {
  addPartition,
  commitSuper,
  encodeSuper,
  findPartition,
  freeSuperRuns,
  type Geometry,
  type Metadata,
  memorySource,
  type NewSuperDevice,
  newMetadata,
  readSuper,
  removePartition,
  renamePartition,
  resizeGroup,
  resizePartition,
  withSlotSuffixes,
} from '../../lib/android/index.js'
import { totalLength } from '../../lib/bytes/extents.js'
import { makeSuper } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { cli, run, temporaryFolder } from '../support/run.js'

const KiB = 1024
const GiB = 1024 * MiB

const geometry: Geometry = { metadataSize: 1024, slotCount: 2, blockSize: 4096 }
/** A device without an alignment of its own, as most of liblp's tests have it. */
const plain = (size: number, more: Partial<NewSuperDevice> = {}): NewSuperDevice => ({
  name: 'super',
  size,
  alignment: 0,
  ...more,
})
const metadataOf = (size: number, more: Partial<NewSuperDevice> = {}, of = geometry) =>
  newMetadata(of, [plain(size, more)])
const resized = (metadata: Metadata, name: string, size: number, of = geometry) =>
  resizePartition(metadata, of, findPartition(metadata, name), size)
const added = (metadata: Metadata, name: string, size: number, of = geometry) =>
  addPartition(metadata, of, { name, size })
/** First sector and count of sectors of each extent, and the device if there are several. */
const sectors = (metadata: Metadata, name: string) =>
  findPartition(metadata, name).extents.map((extent) => {
    assert.equal(extent.kind, 'linear')
    return [extent.start / 512, extent.length / 512, ...(metadata.devices.length > 1 ? [extent.base] : [])]
  })
const sizeOf = (metadata: Metadata, name: string) => totalLength(findPartition(metadata, name).extents)

test('BuildBasic, ResizePartition, PartitionAlignment, AlignedExtentSize, BuildComplex, BuilderExport, BuilderImport', () => {
  let metadata = added(metadataOf(MiB), 'system', 65536)
  for (const [size, count] of [
    [65536, 1],
    [0, 0],
    [131072, 1],
    [256 * KiB, 1],
    [32768, 1],
  ] as const) {
    metadata = resized(metadata, 'system', size)
    assert.deepEqual(sectors(metadata, 'system'), count === 0 ? [] : [[32, size / 512]])
  }
  for (const [asked, got] of [
    [10_000, 12_288],
    [7000, 8192],
    [512, 4096],
  ] as const)
    assert.equal(sizeOf(resized(metadata, 'system', asked), 'system'), got)
  const complex = resized(added(resized(metadata, 'system', 65536), 'vendor', 32768), 'system', 98304)
  assert.deepEqual(sectors(complex, 'system'), [
    [32, 128],
    [224, 64],
  ])
  assert.deepEqual(sectors(complex, 'vendor'), [[160, 64]])
  assert.equal(encodeMetadata(complex, geometry).length, 128 + 2 * 52 + 3 * 24 + 48 + 64)
  assert.deepEqual(removePartition(complex, findPartition(complex, 'system')).partitions.length, 1)
})

test('InternalAlignment, DiskAlignment, MetadataTooLarge, InvalidBlockSize, AlignedFreeSpace', () => {
  const first = (more: Partial<NewSuperDevice>, metadataSize = 1024) =>
    metadataOf(MiB, more, { ...geometry, metadataSize }).devices[0].usableStart / 512
  assert.equal(first({ alignment: 768 * KiB }), 1536)
  // An offset is kept, and moves nothing.
  assert.equal(first({ alignment: 768 * KiB, alignmentOffset: 753_664 }), 1536)
  assert.equal(first({ alignment: 0, alignmentOffset: 753_664 }), 32)
  assert.equal(first({ alignment: 12 * KiB, alignmentOffset: 3 * KiB }, 16 * KiB), 168)
  assert.equal(first({ alignment: 11 * KiB }, 16 * KiB), 154)
  assert.throws(() => metadataOf(1_000_000), { code: 'ERR_DDI_USAGE' })
  assert.throws(() => metadataOf(MiB, { alignment: 513 }), { code: 'ERR_DDI_USAGE' })
  assert.throws(() => encodeSuper({ ...geometry, blockSize: 513 }, metadataOf(MiB)), { code: 'ERR_DDI_USAGE' })
  const large = { metadataSize: 64 * KiB, slotCount: 1, blockSize: 4096 }
  const none = 128 * KiB
  for (const size of [none, none + 3 * 4096])
    assert.throws(() => metadataOf(size, {}, large), { code: 'ERR_DDI_NO_SPACE' })
  assert.ok(metadataOf(none + 4 * 4096, {}, large))
  assert.throws(() => metadataOf(none + 4 * 4096, { alignment: 131_072 }, large), { code: 'ERR_DDI_NO_SPACE' })
  assert.throws(() => metadataOf(12_288, {}, { ...large, metadataSize: 512 }), { code: 'ERR_DDI_NO_SPACE' })
})

test('InternalPartitionAlignment, PartialExtents, CollidedExtents, AlignFreeRegion: extents are aligned, grow in place and never collide', () => {
  const of = { ...geometry, metadataSize: 32 * KiB }
  let metadata = metadataOf(512 * MiB, { alignment: 768 * KiB, alignmentOffset: 753_664 }, of)
  metadata = added(added(metadata, 'a', 0, of), 'b', 0, of)
  for (let n = 1; n <= 10; n++) for (const name of ['a', 'b']) metadata = resized(metadata, name, n * 4096, of)
  assert.deepEqual([sectors(metadata, 'a'), sectors(metadata, 'b')], [[[1536, 80]], [[3072, 80]]])

  const unit = 768 * KiB
  const partial = added(added(metadataOf(GiB, { alignment: unit }), 'system', unit + 4096), 'vendor', unit)
  const whole = resized(partial, 'system', 2 * unit)
  assert.deepEqual([sectors(whole, 'system'), sectors(whole, 'vendor')], [[[1536, 3072]], [[4608, 1536]]])

  const at = (name: string, length: number, start: number) => ({
    ...findPartition(added(metadataOf(MiB), name, 0), name),
    extents: [{ kind: 'linear' as const, base: 0, start: start * 512, length: length * 512 }],
  })
  const crowded: Metadata = {
    ...metadataOf(8 * GiB, { alignment: unit, alignmentOffset: 229_376 }, { ...geometry, metadataSize: 65_536 }),
    partitions: [
      at('system', 10_229_008, 2048),
      at('test_a', 648, 12_709_888),
      at('test_b', 625_184, 12_711_936),
      at('test_c', 130_912, 13_338_624),
      at('test_d', 888, 13_469_696),
      at('test_e', 888, 13_471_744),
      at('test_f', 888, 13_475_840),
      at('test_g', 888, 13_477_888),
      at('vendor', 2_477_920, 10_231_808),
    ],
  }
  const roomy = { ...geometry, metadataSize: 65_536 }
  encodeMetadata(resized(crowded, 'vendor', 1_282_031_616, roomy), roomy)
  const misaligned: Metadata = {
    ...metadataOf(8 * GiB, { alignment: unit }),
    partitions: [at('system', 64, (unit + 4096) / 512)],
  }
  const filled = added(misaligned, 'vendor', totalLength(freeSuperRuns(misaligned, geometry)))
  assert.deepEqual(sectors(filled, 'vendor').at(-1), [1536, 8])
  assert.ok(sectors(filled, 'vendor').every(([start]) => start! % 1536 === 0))
  encodeMetadata(filled, geometry)
})

test('UseAllDiskSpace, MultipleBlockDevices, ResizeOverflow, RemoveAndAddFirstPartition', () => {
  const room = MiB - 2 * (2 * 1024 + 4096) - 4096
  const empty = metadataOf(MiB)
  assert.equal(totalLength(freeSuperRuns(empty, geometry)), room)
  const full = added(empty, 'system', room)
  assert.deepEqual([sizeOf(full, 'system'), freeSuperRuns(full, geometry)], [room, []])
  for (const size of [room + 1, Number.MAX_SAFE_INTEGER])
    assert.throws(() => resized(full, 'system', size), { code: 'ERR_DDI_NO_SPACE' })
  assert.throws(() => resized(full, 'system', 2 ** 64), { code: 'ERR_DDI_USAGE' })

  const of = { ...geometry, metadataSize: 65_536 }
  const device = (name: string, size: number, alignmentOffset: number) => ({
    name,
    size,
    alignment: 786_432,
    alignmentOffset,
  })
  const several = newMetadata(of, [
    device('system_a', 256 * MiB, 229_376),
    device('vendor_a', 128 * MiB, 753_664),
    device('product_a', 64 * MiB, 753_664),
  ])
  assert.equal(totalLength(freeSuperRuns(several, of)), 467_402_752)
  assert.deepEqual(
    sectors(added(several, 'system_a', 466_976_768, of), 'system_a').map(([start, , base]) => [start, base]),
    [
      [1536, 0],
      [1536, 1],
      [1536, 2],
    ],
  )
  assert.deepEqual(
    several.devices.map(({ alignmentOffset }) => alignmentOffset),
    [229_376, 753_664, 753_664],
  )

  const group = (name: string) => ({ name, slotSuffixed: false, maximumSize: 5 * GiB })
  let metadata = newMetadata(of, [plain(10 * GiB)], [group('foo_a'), group('foo_b')])
  const add = (name: string, size: number) => {
    metadata = addPartition(metadata, of, { name, size, group: `foo${name.slice(-2)}` })
  }
  for (const slot of ['a', 'b']) {
    add(`system_${slot}`, 2 * GiB)
    add(`vendor_${slot}`, GiB)
  }
  for (const name of ['system_a', 'vendor_a']) metadata = removePartition(metadata, findPartition(metadata, name))
  add('system_a', 3 * GiB)
  add('vendor_a', GiB)
  encodeMetadata(metadata, of)
})

test('AddInvalidPartition, ExportNameTooLong, HasDefaultGroup, GroupSizeLimits, ChangeGroups, TooManyPartitions', () => {
  const group = (name: string, maximumSize: number) => ({ name, slotSuffixed: false, maximumSize })
  const of = { ...geometry, slotCount: 1 }
  let metadata = newMetadata(of, [plain(MiB)], [group('groupA', 16_384), group('groupB', 32_768)])
  const written = () => encodeMetadata(metadata, of)
  const overfull = { code: 'ERR_DDI_SUPER_GROUP' }
  metadata = addPartition(metadata, of, { name: 'system', size: 16_384, group: 'groupA' })
  written()
  assert.throws(() => added(metadata, 'system', 0), { code: 'ERR_DDI_VOLUME_EXISTS' })
  for (const name of ['', `${'x'.repeat(36)}x`])
    assert.throws(() => encodeMetadata(added(metadata, name, 0), of), { code: 'ERR_DDI_USAGE' })
  assert.throws(() => encodeMetadata(resized(metadata, 'system', 32_768), of), overfull)
  const toGroup = (group: string) => renamePartition(metadata, findPartition(metadata, 'system'), { group })
  assert.throws(() => toGroup('groupXYZ'), { code: 'ERR_DDI_NO_VOLUME' })
  metadata = toGroup('groupB')
  written()
  metadata = resized(metadata, 'system', 16_384 + 4096)
  metadata = toGroup('groupA')
  assert.throws(written, overfull)
  assert.throws(() => resizeGroup(metadata, 'default', 2), { code: 'ERR_DDI_USAGE' })
  assert.throws(() => resizeGroup(metadata, 'unknown', 2), { code: 'ERR_DDI_NO_VOLUME' })
  metadata = resizeGroup(metadata, 'groupA', 32_768)
  written()
  assert.throws(() => encodeMetadata(newMetadata(of, [plain(MiB)], [group('default', 0)]), of), {
    code: 'ERR_DDI_USAGE',
  })

  const small = { ...geometry, metadataSize: 512 }
  let many = metadataOf(128 * KiB, {}, small)
  const most = Math.floor((512 - 128 - 48 - 64) / 52)
  for (let n = 0; n < most; n++) many = added(many, `p${n}`, 0, small)
  assert.ok(encodeMetadata(many, small).length <= 512)
  assert.throws(() => encodeMetadata(added(many, 'final', 0, small), small), { code: 'ERR_DDI_TABLE_FULL' })
})

/** A disk of io_test.cpp: 128 KiB of 0xcc with two slots of 512 bytes and one partition. */
const flashed = (change: (metadata: Metadata) => Metadata = (one) => one) => {
  const of = { ...geometry, metadataSize: 512 }
  const metadata = change(added(metadataOf(128 * KiB, {}, of), 'system', 24 * KiB, of))
  const disk = Buffer.alloc(128 * KiB, 0xcc)
  for (const { offset, bytes } of encodeSuper(of, metadata)) disk.set(bytes, offset)
  return { disk, of, metadata }
}
const isSuperError = { name: 'DdiError', code: /^ERR_DDI_SUPER_/ }

test('CreateFakeDisk, FlashAndReadback, ReadExpandedHeader, ExpandedHeader, InvalidMetadataSlot, UpdateAnyMetadataSlot', async () => {
  await assert.rejects(readSuper(memorySource(Buffer.alloc(128 * KiB, 0xcc))), isSuperError)
  for (const change of [{}, { flags: 0x5e5e5e5e, minorVersion: 2 as const }]) {
    const { disk, metadata } = flashed((one) => ({ ...one, ...change }))
    for (const slot of [0, 1]) assert.deepEqual((await readSuper(memorySource(disk), slot)).metadata, metadata)
    await assert.rejects(readSuper(memorySource(disk), 2), { code: 'ERR_DDI_SUPER_SLOT' })
    const target = recordingTarget(Buffer.from(disk))
    const renamed = renamePartition(metadata, findPartition(metadata, 'system'), { name: 'vendor' })
    await commitSuper(target, await readSuper(target, 1), renamed)
    assert.deepEqual((await readSuper(target, 0)).metadata, metadata)
    assert.deepEqual((await readSuper(target, 1)).metadata, { ...renamed, ...change })
    assert.ok(target.bytes.subarray(metadata.devices[0].usableStart).every((byte) => byte === 0xcc))
  }
})

test('BitFlipGeometry, ReadBackupGeometry, ReadBackupMetadata: the other copy counts, until that is gone too', async () => {
  const flipped = flashed().disk
  flipped[4096 + 44]! += 1
  assert.equal((await readSuper(memorySource(flipped))).geometry.slotCount, 2)
  for (const [primary, backup, length] of [
    [4096, 8192, 4096],
    [12_288, 12_288 + 2 * 512, 512],
  ] as const) {
    const { disk, metadata } = flashed()
    disk.fill(0xff, primary, primary + length)
    assert.deepEqual((await readSuper(memorySource(disk))).metadata, metadata)
    disk.fill(0xff, backup, backup + length)
    await assert.rejects(readSuper(memorySource(disk)), isSuperError)
  }
})

test('UpdatePrimaryMetadataFailure, UpdateBackupMetadataFailure, UpdateMetadataCleanFailure', async () => {
  const { disk, metadata } = flashed()
  const renamed = renamePartition(metadata, findPartition(metadata, 'system'), { name: 'tystem' })
  const countOf = async () => {
    const target = recordingTarget(Buffer.from(disk))
    await commitSuper(target, await readSuper(target), renamed)
    return target.writes.length
  }
  const count = await countOf()
  assert.equal(count, 2)
  for (const how of ['garbage', 'written'] as const)
    for (let failing = 1; failing <= count; failing++) {
      const target = recordingTarget(Buffer.from(disk))
      let written = 0
      const bad = {
        ...target,
        size: target.size,
        read: target.read.bind(target),
        flush: target.flush.bind(target),
        write: async (offset: number, bytes: Uint8Array) => {
          written++
          await target.write(
            offset,
            written === failing && how === 'garbage' ? Buffer.alloc(bytes.length, 0xe5) : bytes,
          )
          if (written === failing) throw new Error('it failed')
        },
      }
      await assert.rejects(commitSuper(bad, await readSuper(target), renamed), /it failed/)
      const isOld = failing === 1 && how === 'garbage'
      const read = await readSuper(target)
      assert.equal(read.metadata.partitions[0]!.name, isOld ? 'system' : 'tystem')
      // Again, and all is well: the copy that is left is the one that the other is repaired from.
      await commitSuper(target, read, renamed)
      assert.deepEqual((await readSuper(target)).problems, [])
      assert.deepEqual((await readSuper(target)).metadata, renamed)
    }
})

test('ExportDiskTooSmall, FlashSparseImage, AutoSlotSuffixing', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { disk } = flashed()
  writeFileSync(at('short'), disk.subarray(0, 124 * KiB))
  assert.match(cli('android', 'add', at('short'), 'x', '--size=0').stderr, /ERR_DDI_SUPER_DEVICE/)
  const of = { ...geometry, metadataSize: 512, blockSize: 512 }
  const partitions = [{ name: 'system', size: 24 * KiB }]
  const made = await makeSuper(
    at('sparse'),
    { geometry: of, devices: [plain(128 * KiB)], partitions },
    { sparse: true },
  )
  run('simg2img', at('sparse'), at('raw'))
  for (const slot of [0, 1]) {
    const { metadata, problems } = await readSuper(memorySource(readFileSync(at('raw'))), slot)
    assert.deepEqual([metadata, problems], [made, []])
  }
  const suffixing = [
    '--auto-slot-suffixing',
    '--group=example:0',
    '--partition=system:none:24K',
    '--device-size=1M',
    '--alignment=0',
  ]
  assert.equal(cli('android', 'make', at('super.img'), ...suffixing).status, 0)
  for (const [slot, suffix] of ['_a', '_b'].entries()) {
    const { metadata } = await readSuper(memorySource(readFileSync(at('super.img'))), slot)
    const { partitions, devices, groups } = withSlotSuffixes(metadata, slot)
    assert.deepEqual(
      [partitions, devices, groups].map((named) => named.map(({ name }) => name)),
      [[`system${suffix}`], [`super${suffix}`], ['default', `example${suffix}`]],
    )
  }
  assert.deepEqual(readdirSync(folder.path).sort(), ['raw', 'short', 'sparse', 'super.img'])
})

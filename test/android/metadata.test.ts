import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeMetadata } from '../../lib/android/encode.js'
import { checkedGeometry, encodeGeometry, parseGeometry } from '../../lib/android/geometry.js'
import {
  addPartition,
  encodeSuper,
  type Geometry,
  type Metadata,
  memorySource,
  newMetadata,
  type PartitionGroup,
  readSuper,
  type SuperDevice,
} from '../../lib/android/index.js'
import type { LogicalPartition } from '../../lib/android/metadata.js'
import { parseHeader, parseTables } from '../../lib/android/parse.js'
import { longHeader, rows, shortHeader } from '../../lib/android/tables.js'
import { makeSuper } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'
import { assembleSuper } from '../support/super.js'

const geometry: Geometry = { metadataSize: 65536, slotCount: 2, blockSize: 4096 }
const deviceSize = 64 * MiB
const usableStart = MiB

function reread(bytes: Uint8Array): Metadata {
  const padded = Buffer.concat([bytes], Math.max(bytes.length, 256))
  const header = parseHeader(padded, geometry)
  return parseTables(bytes.subarray(header.length, header.length + header.tablesLength), header, geometry)
}

const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,35}$/)
const names = (minLength: number, maxLength: number) => fc.uniqueArray(name, { minLength, maxLength })

/** Extents as blocks one after the other on each device, so that none overlap. */
const pieces = fc.array(fc.record({ zero: fc.boolean(), device: fc.nat(2), blocks: fc.integer({ min: 1, max: 20 }) }), {
  maxLength: 5,
})

const anyMetadata = fc
  .record({
    devices: names(1, 3),
    groups: names(1, 4),
    partitions: names(0, 12),
    pieces: fc.array(pieces, { minLength: 12, maxLength: 12 }),
    bits: fc.array(fc.nat(15), { minLength: 12, maxLength: 12 }),
    pick: fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }),
    minorVersion: fc.constantFrom(0 as const, 1 as const, 2 as const),
    flags: fc.integer({ min: 0, max: 0xffff_ffff }),
    maximum: fc.constantFrom(0, 2 ** 52, 3 * 2 ** 40),
    suffixed: fc.boolean(),
  })
  .map(({ minorVersion: least, flags: some, ...made }): Metadata => {
    const next = made.devices.map(() => usableStart)
    const groups = made.groups.map(
      (name): PartitionGroup => ({ name, slotSuffixed: made.suffixed, maximumSize: made.maximum }),
    )
    const [first, ...others] = made.devices.map(
      (name): SuperDevice => ({
        name,
        slotSuffixed: !made.suffixed,
        size: deviceSize,
        usableStart,
        alignment: 65536,
        alignmentOffset: 512,
      }),
    )
    const partitions = made.partitions.map((name, index): LogicalPartition => {
      const bits = made.bits[index]!
      return {
        name,
        attributes: {
          readOnly: (bits & 1) !== 0,
          slotSuffixed: (bits & 2) !== 0,
          updated: (bits & 4) !== 0,
          disabled: (bits & 8) !== 0,
        },
        group: groups[made.pick[index]! % groups.length]!.name,
        extents: made.pieces[index]!.map(({ zero, device, blocks }) => {
          const length = blocks * geometry.blockSize
          if (zero) return { kind: 'zero', length }
          const base = device % next.length
          const start = next[base]!
          next[base] = start + length
          return { kind: 'linear', base, start, length }
        }),
      }
    })
    const flags = least === 2 ? some : 0
    const newer = partitions.some(({ attributes }) => attributes.updated || attributes.disabled)
    const minorVersion = least === 0 && newer ? 1 : least
    return { minorVersion, flags, partitions, groups, devices: [first!, ...others] }
  })

test('the records have the lengths of metadata_format.h', () => {
  assert.deepEqual(
    Object.values(rows).map(({ length }) => length),
    [52, 24, 48, 64],
  )
  assert.deepEqual([shortHeader.length, longHeader.length, encodeGeometry(geometry).length], [128, 256, 4096])
  assert.deepEqual(
    [longHeader.offsets.checksum, longHeader.offsets.partitions, longHeader.offsets.flags],
    [12, 80, 128],
  )
})

test('metadata reads back as it was encoded, and is the bytes that a second description of the format gives', async () => {
  await fc.assert(
    fc.asyncProperty(anyMetadata, async (metadata) => {
      const encoded = encodeMetadata(metadata, geometry)
      assert.deepEqual(reread(encoded), metadata)
      const allExtents = metadata.partitions.flatMap(({ extents }) => extents)
      let first = 0
      const assembled = assembleSuper({
        metadataSize: geometry.metadataSize,
        slots: geometry.slotCount,
        blockSize: geometry.blockSize,
        header: {
          minor: metadata.minorVersion,
          length: metadata.minorVersion < 2 ? 128 : 256,
          flags: metadata.flags,
        },
        partitions: metadata.partitions.map(({ name, attributes, group, extents }) => {
          const { readOnly, slotSuffixed, updated, disabled } = attributes
          const row = {
            name,
            attributes: Number(readOnly) + 2 * Number(slotSuffixed) + 4 * Number(updated) + 8 * Number(disabled),
            first,
            count: extents.length,
            group: metadata.groups.findIndex((one) => one.name === group),
          }
          first += extents.length
          return row
        }),
        extents: allExtents.map((extent) => ({
          sectors: BigInt(extent.length / 512),
          type: extent.kind === 'zero' ? 1 : 0,
          data: extent.kind === 'zero' ? 0n : BigInt(extent.start / 512),
          source: extent.kind === 'zero' ? 0 : extent.base,
        })),
        groups: metadata.groups.map(({ name, slotSuffixed, maximumSize }) => ({
          name,
          flags: Number(slotSuffixed),
          maximum: BigInt(maximumSize),
        })),
        devices: metadata.devices.map((device) => ({
          first: BigInt(device.usableStart / 512),
          alignment: device.alignment,
          offset: device.alignmentOffset,
          size: BigInt(device.size),
          name: device.name,
          flags: Number(device.slotSuffixed),
        })),
      })
      assert.ok(assembled.subarray(12288, 12288 + encoded.length).equals(encoded))
      assert.ok(assembled.subarray(4096, 8192).equals(encodeGeometry(geometry)))
      assert.deepEqual((await readSuper(memorySource(assembled), 1)).metadata, metadata)
    }),
    { numRuns: 60 },
  )
})

test('a geometry reads back as it was encoded; no other number is encoded', () => {
  const sectors = fc.integer({ min: 1, max: 0x7f_ffff }).map((count) => count * 512)
  const any = fc.record({
    metadataSize: sectors,
    slotCount: fc.integer({ min: 1, max: 0xffff_ffff }),
    blockSize: sectors,
  })
  fc.assert(fc.property(any, (one) => assert.deepEqual(parseGeometry(encodeGeometry(one)), { ...one })))
  const wrong = [Number.NaN, Number.POSITIVE_INFINITY, -512, 0, 0.5, 2 ** 32, 2 ** 53]
  for (const field of ['metadataSize', 'slotCount', 'blockSize'] as const)
    for (const value of [...wrong, ...(field === 'slotCount' ? [1.5] : [511, 513])]) {
      const bad = { ...geometry, [field]: value }
      assert.throws(() => encodeGeometry(bad), { code: 'ERR_DDI_USAGE' }, `${field} ${value}`)
      assert.throws(() => checkedGeometry(bad), { code: 'ERR_DDI_USAGE' }, `${field} ${value}`)
    }
})

test('no super partition is made by a geometry or numbers that it cannot have', async () => {
  using folder = temporaryFolder()
  const devices = [{ name: 'super', size: 8 * MiB }] as const
  for (const change of [{ slotCount: Number.NaN }, { metadataSize: 1000 }, { blockSize: 0 }])
    await assert.rejects(makeSuper(`${folder.path}/super`, { geometry: { ...geometry, ...change }, devices }), {
      code: 'ERR_DDI_USAGE',
    })
  const metadata = newMetadata(geometry, devices)
  const wrong: Metadata[] = [
    { ...metadata, flags: 2 ** 32 },
    { ...metadata, groups: [{ name: 'default', slotSuffixed: false, maximumSize: Number.NaN }] },
    { ...metadata, groups: [{ name: 'default', slotSuffixed: false, maximumSize: -1 }] },
    { ...metadata, devices: [{ ...metadata.devices[0], alignment: 2 ** 40 }] },
    { ...metadata, devices: [{ ...metadata.devices[0], alignment: 100 }] },
    { ...metadata, devices: [{ ...metadata.devices[0], usableStart: 0 }] },
    { ...metadata, devices: [{ ...metadata.devices[0], size: 8 * MiB + 0.5 }] },
    { ...metadata, devices: [metadata.devices[0], metadata.devices[0]] },
    { ...metadata, groups: [...metadata.groups, { name: 'a b', slotSuffixed: false, maximumSize: 0 }] },
    { ...addPartition(metadata, geometry, { name: 'one', size: 4096 }), groups: [] },
  ]
  for (const [index, one] of wrong.entries())
    assert.throws(() => encodeSuper(geometry, one), { code: 'ERR_DDI_USAGE' }, String(index))
})

test('partitions that share extents are refused before they are multiplied', async () => {
  const count = 2000
  const image = assembleSuper({
    metadataSize: MiB,
    slots: 1,
    blockSize: 4096,
    header: { minor: 0, length: 128 },
    partitions: Array.from({ length: count }, (_, n) => ({
      name: `p${n}`,
      attributes: 0,
      first: 0,
      count: 30_000,
      group: 0,
    })),
    extents: Array.from({ length: 30_000 }, () => ({ sectors: 8n, type: 1, data: 0n, source: 0 })),
    groups: [{ name: 'default', flags: 0, maximum: 0n }],
    devices: [{ first: 8192n, alignment: 4096, offset: 0, size: BigInt(8 * MiB), name: 'super', flags: 0 }],
  })
  await assert.rejects(readSuper(memorySource(image)), { code: 'ERR_DDI_SUPER_EXTENT', message: /some are shared/ })
})

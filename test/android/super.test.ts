import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addPartition,
  findPartition,
  memorySource,
  newMetadata,
  readSuper,
  removePartition,
  resizePartition,
} from '../../lib/android/index.js'
import { totalLength } from '../../lib/bytes/extents.js'
import { DdiError, makeSuper, openImage } from '../../lib/index.js'
import { MiB, makeFileSystem } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { assembleSuper, geometry, reseal, type SuperLayout } from '../support/super.js'

/** What the format's description says, byte by byte: two slots, a linear partition of two extents, one with zeroes. */
const layout: SuperLayout = {
  metadataSize: 8192,
  slots: 2,
  blockSize: 4096,
  header: { minor: 0, length: 128 },
  partitions: [
    { name: 'system', attributes: 3, first: 0, count: 2, group: 1 },
    { name: 'vendor_b', attributes: 1, first: 2, count: 2, group: 0 },
    { name: 'off', attributes: 0, first: 0, count: 0, group: 0 },
  ],
  extents: [
    { sectors: 16n, type: 0, data: 2048n, source: 0 },
    { sectors: 8n, type: 0, data: 4096n, source: 0 },
    { sectors: 8n, type: 1, data: 0n, source: 0 },
    { sectors: 8n, type: 0, data: 3000n, source: 0 },
  ],
  groups: [
    { name: 'default', flags: 0, maximum: 0n },
    { name: 'main', flags: 1, maximum: 1048576n },
  ],
  devices: [{ first: 2048n, alignment: 1048576, offset: 0, size: 4194304n, name: 'super', flags: 0 }],
}

test('hand-assembled bytes: slot b, suffixes, zero extents, every version of the header', async () => {
  for (const header of [
    { minor: 0, length: 128 },
    { minor: 1, length: 128 },
    { minor: 2, length: 256, flags: 1 },
  ]) {
    const disk = assembleSuper({ ...layout, header })
    const { metadata, problems, copy } = await readSuper(memorySource(disk), 1)
    assert.deepEqual([problems, copy], [[], 'primary'])
    assert.equal(metadata.flags, header.flags ?? 0)
    assert.deepEqual(metadata.partitions[1], {
      name: 'vendor_b',
      group: 'default',
      attributes: { readOnly: true, slotSuffixed: false, updated: false, disabled: false },
      extents: [
        { kind: 'zero', length: 4096 },
        { kind: 'linear', base: 0, start: 3000 * 512, length: 4096 },
      ],
    })
    using folder = temporaryFolder()
    const path = join(folder.path, 'super.img')
    writeFileSync(path, disk)
    await using image = await openImage(path, { slot: 1 })
    assert.equal(image.table.type, 'super')
    assert.deepEqual(
      image.volumes.map(({ label, size, flags }) => [label, size, flags.readOnly]),
      [
        ['system_b', 24 * 512, true],
        ['vendor_b', 8192, true],
        ['off', 0, false],
      ],
    )
    assert.match(cli('android', 'dump', path, '--slot=b').stdout, /^system_b +main_b +12K +2 +ro$/m)
  }
})

test('7-Zip lists and extracts what we make as we do, also through img2simg and simg2img', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const system = makeFileSystem(folder.path, 'erofs')
  writeFileSync(at('vendor'), randomBytes(MiB + 5000))
  const partitions = ['system_a:readonly:0:main', 'vendor_a:readonly:2M:main', 'data:none:3M']
  const make = (output: string, ...more: string[]) =>
    cli(
      ...['android', 'make', output, '--device-size=32M', '--group=main:20M'],
      ...partitions.map((one) => `--partition=${one}`),
      ...[`--image=system_a=${system}`, `--image=vendor_a=${at('vendor')}`, ...more],
    )
  const made = make(at('super.img'))
  assert.equal(made.status, 0, made.stderr)
  assert.match(make(at('super.img')).stderr, /ERR_DDI_EXISTS/)
  assert.equal(make(at('super.simg'), '--sparse').status, 0)
  // What was changed since lies in several extents.
  assert.equal(cli('android', 'resize', at('super.img'), 'system_a', '--size=+2M').status, 0)
  assert.match(cli('android', 'resize', at('super.img'), 'system_a', '--size=4096').stderr, /ERR_DDI_SHRINK_REFUSED/)
  run('simg2img', at('super.simg'), at('expanded.img'))
  run('img2simg', at('super.img'), at('theirs.simg'))
  run('simg2img', at('theirs.simg'), at('back.img'))
  assert.ok(readFileSync(at('back.img')).equals(readFileSync(at('super.img'))))
  for (const name of ['super.img', 'expanded.img', 'theirs.simg', 'super.simg']) {
    const raw = name === 'theirs.simg' ? 'back.img' : name === 'super.simg' ? 'expanded.img' : name
    const listed = run('7zz', 'l', '-slt', '-tLP', at(raw))
    await using image = await openImage(at(name))
    run('7zz', 'x', '-y', '-tLP', `-o${at(`${name}.7z`)}`, at(raw))
    assert.equal(cli('android', 'extract', at(name), `--output=${at(`${name}.ours`)}`).status, 0)
    for (const { label, size } of image.volumes) {
      const theirs = readdirSync(at(`${name}.7z`)).find((file) => file.split('.')[0] === label)!
      assert.match(listed, new RegExp(`Path = ${theirs}\nSize = ${size}\n`))
      const ours = readFileSync(join(at(`${name}.ours`), `${label}.img`))
      assert.ok(ours.equals(readFileSync(join(at(`${name}.7z`), theirs))), `${label} of ${name}`)
    }
    assert.ok(
      readFileSync(join(at(`${name}.ours`), 'system_a.img'))
        .subarray(0, statSync(system).size)
        .equals(readFileSync(system)),
    )
  }
  assert.match(cli('attach', at('super.simg')).stderr, /ERR_DDI_SPARSE_ENCODED/)
})

test('every field at 0, its greatest and the one below: an error of its own, or sense', async () => {
  const clean = assembleSuper(layout)
  const start = 4096 + 2 * 4096
  const tables = start + 128
  const offsets = { partitions: 0, extents: 3 * 52, groups: 3 * 52 + 4 * 24, devices: 3 * 52 + 4 * 24 + 2 * 48 }
  const fields: [at: number, bytes: 2 | 4 | 8][] = [
    ...[4, 40, 44, 48].map((at): [number, 4] => [4096 + at, 4]),
    ...[4, 6].map((at): [number, 2] => [start + at, 2]),
    ...[0, 8, 44, ...Array.from({ length: 12 }, (_, n) => 80 + 4 * n)].map((at): [number, 4] => [start + at, 4]),
    ...[36, 40, 44, 48].map((at): [number, 4] => [tables + offsets.partitions + at, 4]),
    ...[0, 12].map((at): [number, 8] => [tables + offsets.extents + at, 8]),
    ...[8, 20].map((at): [number, 4] => [tables + offsets.extents + at, 4]),
    [tables + offsets.groups + 40, 8],
    [tables + offsets.devices, 8],
    ...[8, 12, 60].map((at): [number, 4] => [tables + offsets.devices + at, 4]),
    [tables + offsets.devices + 16, 8],
  ]
  const outcomes = new Map<string, number>()
  for (const [at, bytes] of fields) {
    for (const value of [0n, 2n ** BigInt(8 * bytes) - 1n, 2n ** BigInt(8 * bytes) - 2n]) {
      const disk = Buffer.from(clean)
      // The same change in both copies, with right checksums: nothing to fall back to.
      for (const shift of at < start ? [0, 4096] : [0, 2 * 8192]) {
        if (bytes === 8) disk.writeBigUInt64LE(value, at + shift)
        else disk.writeUIntLE(Number(value), at + shift, bytes)
      }
      reseal(disk, layout)
      const outcome = await readSuper(memorySource(disk)).then(
        () => 'sense',
        (error: unknown) => {
          assert.ok(error instanceof DdiError, String(error))
          return error.code
        },
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  assert.deepEqual([...outcomes.keys()].sort(), [
    'ERR_DDI_SUPER_EXTENT',
    'ERR_DDI_SUPER_GEOMETRY',
    'ERR_DDI_SUPER_HEADER',
    'ERR_DDI_SUPER_TABLES',
    'sense',
  ])
})

test('random damage is refused or does no harm, whatever its checksums say', async () => {
  const clean = assembleSuper(layout)
  const spot = fc.record({
    at: fc.integer({ min: 4096, max: 12288 + 4 * 8192 }),
    value: fc.integer({ min: 0, max: 255 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(spot, { minLength: 1, maxLength: 8 }), fc.boolean(), async (spots, sealed) => {
      const disk = Buffer.from(clean)
      for (const { at, value } of spots) disk[at] = value
      if (sealed) reseal(disk, layout)
      try {
        const { metadata } = await readSuper(memorySource(disk))
        for (const { extents } of metadata.partitions)
          for (const extent of extents)
            if (extent.kind === 'linear') assert.ok(extent.start + extent.length <= metadata.devices[extent.base]!.size)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code.startsWith('ERR_DDI_SUPER_'), String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

test('overlapping, misplaced and shared extents, a checksum wrong in one copy and in both', async () => {
  const read = (change: Partial<SuperLayout>) => readSuper(memorySource(assembleSuper({ ...layout, ...change })))
  const [one, two, zero, last] = layout.extents
  const refused: Partial<SuperLayout>[] = [
    { extents: [one!, { ...two!, data: 2056n }, zero!, last!] },
    { extents: [one!, { ...two!, data: 8192n }, zero!, last!] },
    { extents: [{ ...one!, data: 8n }, two!, zero!, last!] },
    { partitions: [layout.partitions[0]!, { ...layout.partitions[1]!, first: 0 }, layout.partitions[2]!] },
  ]
  for (const change of refused) await assert.rejects(read(change), { code: 'ERR_DDI_SUPER_EXTENT' })
  await assert.rejects(read({ partitions: [{ ...layout.partitions[0]!, name: '../../etc/passwd' }] }), {
    code: 'ERR_DDI_SUPER_TABLES',
  })
  await assert.rejects(read({ devices: [] }), { code: 'ERR_DDI_SUPER_TABLES', message: /names no device/ })
  const { problems } = await read({ groups: [layout.groups[0]!, { ...layout.groups[1]!, maximum: 4096n }] })
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['ERR_DDI_SUPER_GROUP'],
  )
  await assert.rejects(readSuper(memorySource(assembleSuper(layout)), 2), { code: 'ERR_DDI_SUPER_SLOT' })

  const disk = assembleSuper(layout)
  for (const at of [4096, 12288, 12288 + 200]) disk[at + 8]! ^= 1
  const healed = await readSuper(memorySource(disk))
  assert.equal(healed.copy, 'backup')
  assert.deepEqual(
    healed.problems.map(({ code }) => code),
    ['ERR_DDI_SUPER_GEOMETRY', 'ERR_DDI_SUPER_HEADER'],
  )
  for (const at of [12288 + 2 * 8192 + 128 + 8]) disk[at]! ^= 1
  await assert.rejects(readSuper(memorySource(disk)), { code: 'ERR_DDI_SUPER_HEADER' })
})

test('several devices: a folder of images, read as one, each extent on its own', async () => {
  using folder = temporaryFolder()
  const output = join(folder.path, 'retrofit')
  writeFileSync(join(folder.path, 'data'), randomBytes(5 * MiB))
  const made = cli(
    ...[
      'android',
      'make',
      output,
      '--device=system:4M',
      '--device=vendor:4M',
      '--auto-slot-suffixing',
      '--metadata-slots=1',
    ],
    ...['--partition=all:none:0', `--image=all=${join(folder.path, 'data')}`],
  )
  assert.equal(made.status, 0, made.stderr)
  assert.deepEqual(readdirSync(output).sort(), ['system.img', 'vendor.img'])
  const path = join(output, 'system.img')
  const [dumped] = JSON.parse(cli('android', 'dump', path, '--json=short').stdout).slots
  assert.deepEqual(
    dumped.partitions.map(({ name, extents }: { name: string; extents: { device: string }[] }) => [
      name,
      extents.map(({ device }) => device),
    ]),
    [['all_a', ['system_a', 'vendor_a']]],
  )
  assert.match(
    cli('android', 'extract', path).stderr,
    /vendor_a too, which is missing: no .*vendor_a.img or .*vendor_a .*ERR_DDI_SUPER_DEVICE/,
  )
  const extracted = cli(
    'android',
    'extract',
    path,
    `--device=vendor_a=${join(output, 'vendor.img')}`,
    `--output=${folder.path}`,
  )
  assert.equal(extracted.status, 0, extracted.stderr)
  assert.ok(readFileSync(join(folder.path, 'all_a.img')).equals(readFileSync(join(folder.path, 'data'))))
  assert.match(cli('android', 'add', path, 'more', '--size=4096').stderr, /ERR_DDI_SUPER_DEVICE/)
})

test('growing goes on in place, and what is cut is free again', () => {
  const metadata = newMetadata(geometry, [{ name: 'super', size: 4 * MiB, alignment: 65536 }])
  const one = addPartition(metadata, geometry, { name: 'one', size: 5000 })
  const grown = resizePartition(one, geometry, findPartition(one, 'one'), MiB)
  assert.equal(grown.partitions[0]!.extents.length, 1)
  const added = addPartition(grown, geometry, { name: 'two', size: MiB })
  const two = resizePartition(added, geometry, findPartition(added, 'one'), 2 * MiB)
  assert.equal(two.partitions[0]!.extents.length, 2)
  const cut = resizePartition(two, geometry, findPartition(two, 'one'), 8192)
  assert.deepEqual([cut.partitions[0]!.extents.length, totalLength(cut.partitions[0]!.extents)], [1, 8192])
  assert.equal(removePartition(cut, findPartition(cut, 'one')).partitions.length, 1)
})

test('a make that is stopped leaves nothing', async () => {
  using folder = temporaryFolder()
  const stopped = { signal: AbortSignal.abort(new Error('no')) }
  const definition = { geometry, devices: [{ name: 'super', size: 8 * MiB }] as const }
  await assert.rejects(makeSuper(join(folder.path, 'super.img'), definition, stopped), { code: 'ERR_DDI_ABORTED' })
  assert.deepEqual(readdirSync(folder.path), [])
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { addPartition, memorySource, readSuper } from '../../lib/android/index.js'
import { type Super, superOn } from '../../lib/disk/super.js'
import { DdiError, makeSuper, openImage, openSuper, requireWhole } from '../../lib/index.js'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../support/images.js'
import { cutEverywhere, recordingTarget } from '../support/power-cut.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { geometry, superDisk } from '../support/super.js'

test('random sequences of changes: metadata that reads back, data as a model predicts, nothing of another slot touched', async () => {
  const size = fc.integer({ min: 0, max: 100 }).map((blocks) => blocks * 4096)
  const verb = fc.oneof(
    fc.record({ verb: fc.constant('add' as const), pick: fc.nat(9), size }),
    fc.record({ verb: fc.constant('resize' as const), pick: fc.nat(9), size }),
    fc.record({ verb: fc.constant('remove' as const), pick: fc.nat(9) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(verb, { minLength: 5, maxLength: 40 }), async (verbs) => {
      const foreign = 'other'
      const target = recordingTarget(
        superDisk(2 * MiB, (metadata) => addPartition(metadata, geometry, { name: foreign, size: 128 * 1024 })),
      )
      const one = await superOn(target, 'memory')
      await one.remove(one.find(foreign))
      const theirs = (await readSuper(target, 1)).metadata.partitions[0]!.extents
      const model = new Map<string, Buffer>()
      const contents = async (name: string) => {
        const { extents } = (await readSuper(target)).metadata.partitions.find((each) => each.name === name)!
        const parts = extents.map((extent) =>
          extent.kind === 'zero'
            ? Buffer.alloc(extent.length)
            : target.bytes.subarray(extent.start, extent.start + extent.length),
        )
        return Buffer.concat(parts)
      }
      for (const step of verbs) {
        const name = `p${step.pick}`
        try {
          if (step.verb === 'add') {
            const from = randomBytes(step.size)
            await one.create({ label: name }, step.size, { from: memorySource(from) })
            model.set(name, from)
          } else if (step.verb === 'resize') {
            await one.resize(one.find(name), step.size)
            const kept = Math.min(step.size, model.get(name)!.length)
            assert.ok((await contents(name)).subarray(0, kept).equals(model.get(name)!.subarray(0, kept)))
            model.set(name, Buffer.from(await contents(name)))
          } else {
            await one.remove(one.find(name))
            model.delete(name)
          }
        } catch (error) {
          assert.ok(error instanceof DdiError, String(error))
          assert.ok(
            ['ERR_DDI_NO_SPACE', 'ERR_DDI_NO_VOLUME', 'ERR_DDI_VOLUME_EXISTS', 'ERR_DDI_TABLE_FULL'].includes(
              error.code,
            ),
            error.code,
          )
        }
        for (const [each, data] of model) assert.ok((await contents(each)).equals(data))
        for (const { extents } of one.metadata.partitions)
          for (const extent of extents)
            for (const other of theirs)
              if (extent.kind === 'linear' && other.kind === 'linear')
                assert.ok(extent.start >= other.start + other.length || other.start >= extent.start + extent.length)
      }
      assert.deepEqual((await readSuper(target)).problems, [])
    }),
    { numRuns: 50 },
  )
})

test('power cut: at every sector of every write, torn or not, a slot is the old one or the new one', async () => {
  const setUp = () =>
    superDisk(MiB, (metadata) => {
      const one = addPartition(metadata, geometry, { name: 'one', size: 65536, group: 'main' })
      return addPartition(one, geometry, { name: 'two', size: 4096 })
    })
  const verbs: Record<string, (one: Super) => Promise<unknown>> = {
    add: (one) => one.create({ label: 'three' }, 8192, { from: memorySource(randomBytes(8192)) }),
    grow: (one) => one.resize(one.find('one'), 3 * 65536),
    shrink: (one) => one.resize(one.find('one'), 4096),
    remove: (one) => one.remove(one.find('one')),
  }
  const damages: Record<string, (bytes: Buffer) => void> = {
    none: () => {},
    'primary lost': (bytes) => bytes.fill(0, 12288, 12289),
    'backup lost': (bytes) => bytes.fill(0, 12288 + 2 * 4096, 12289 + 2 * 4096),
    'a geometry lost': (bytes) => bytes.fill(0, 4096, 4100),
  }
  const stateOf = async (bytes: Buffer) => JSON.stringify((await readSuper(memorySource(bytes))).metadata)
  let cuts = 0
  for (const [verb, change] of Object.entries(verbs)) {
    for (const [name, damage] of Object.entries(damages)) {
      const before = setUp()
      damage(before)
      const target = recordingTarget(Buffer.from(before))
      await change(await superOn(target, 'memory'))
      const [old, changed] = [await stateOf(before), await stateOf(target.bytes)]
      assert.notEqual(old, changed)
      assert.deepEqual((await readSuper(target)).problems, [])
      cuts += await cutEverywhere(
        before,
        target.writes,
        (offset) => offset < 65536,
        async (disk, where) => {
          const state = await stateOf(disk)
          assert.ok(state === old || state === changed, `${verb}, ${name}, ${where}`)
        },
      )
    }
  }
  assert.ok(cuts > 300)
})

test('what cannot be done says why, and writes nothing', async () => {
  using folder = temporaryFolder()
  const target = recordingTarget(
    superDisk(8 * MiB, (metadata) => addPartition(metadata, geometry, { name: 'one', size: MiB })),
  )
  const one = await superOn(target, 'memory')
  await assert.rejects(one.create({ label: 'one' }, 4096), { code: 'ERR_DDI_VOLUME_EXISTS' })
  await assert.rejects(one.create({ label: 'a/b' }, 4096), { code: 'ERR_DDI_USAGE' })
  await assert.rejects(one.create({ label: 'large' }, 64 * MiB), {
    code: 'ERR_DDI_NO_SPACE',
    message: /free in 1 run,/,
  })
  await assert.rejects(one.create({ label: 'x', group: 'none' }, 1), { code: 'ERR_DDI_NO_VOLUME' })
  await assert.rejects(one.create({ label: 'x', group: 'main' }, 5 * MiB), { code: 'ERR_DDI_SUPER_GROUP' })
  await assert.rejects(one.create({ label: 'x' }, 1, { from: memorySource(Buffer.alloc(2)) }), {
    code: 'ERR_DDI_USAGE',
  })
  assert.throws(() => one.find('none'), { code: 'ERR_DDI_NO_VOLUME', message: /it has one/ })
  await assert.rejects(
    (async () => {
      for (let n = 0; n < 200; n++) await one.create({ label: `p${n}` }, 0)
    })(),
    { code: 'ERR_DDI_TABLE_FULL' },
  )
  const names = one.metadata.partitions.length
  assert.ok(names > 50 && target.writes.every(({ offset }) => offset < 65536))
  assert.equal((await readSuper(target)).metadata.partitions.length, names)
  await assert.rejects(makeSuper(join(folder.path, 'small'), { geometry, devices: [{ name: 'super', size: 65536 }] }), {
    code: 'ERR_DDI_NO_SPACE',
  })
  await assert.rejects(openSuper(emptyFile(join(folder.path, 'none'), MiB)), { code: 'ERR_DDI_NO_TABLE' })
  assert.deepEqual(readdirSync(folder.path), ['none'])
})

test('a super partition of a GPT: found by its name, changed in place, its neighbours untouched', async () => {
  using folder = temporaryFolder()
  const inner = join(folder.path, 'super.img')
  assert.equal(cli('android', 'make', inner, '--device-size=8M', '--partition=system_a:none:1M').status, 0)
  const path = join(folder.path, 'disk.raw')
  const content = join(folder.path, 'content')
  writeFileSync(content, randomBytes(MiB))
  const [, start] = makeGptImage(path, 32 * MiB, [
    { type: typeUuids.home, size: MiB, label: 'home', from: content },
    { type: typeUuids.linuxGeneric, size: 8 * MiB, label: 'super', from: inner },
  ])
  assert.equal(cli('android', 'add', path, 'vendor_a', `--from=${content}`).status, 0)
  await using image = await openImage(path)
  assert.deepEqual(
    image.volumes.map(requireWhole).map(({ label, extents }) => [label, extents]),
    [
      ['home', [{ kind: 'linear', start: MiB, length: MiB }]],
      ['super', [{ kind: 'linear', start: start!, length: 8 * MiB }]],
      ['system_a', [{ kind: 'linear', start: start! + MiB, length: MiB }]],
      ['vendor_a', [{ kind: 'linear', start: start! + 2 * MiB, length: MiB }]],
    ],
  )
  const disk = readFileSync(path)
  assert.ok(disk.subarray(start! + 2 * MiB, start! + 3 * MiB).equals(readFileSync(content)))
  assert.ok(disk.subarray(MiB, 2 * MiB).equals(readFileSync(content)))
  assert.match(run('sgdisk', '--verify', path), /No problems found/)
  assert.equal(cli('android', 'remove', path, 'system_a', '--volume=super').status, 0)
  assert.match(cli('android', 'dump', path).stdout, /^vendor_a/m)
})

test('all slots change at once if they are the same, and groups get other limits', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'super.img')
  const android = (...args: string[]) => cli('android', ...args)
  const slots = () => JSON.parse(android('dump', path, '--all', '--json=short').stdout).slots
  const make = ['--device-size=8M', '--metadata-slots=3', '--group=main:1M', '--partition=one:none:1M:main']
  assert.equal(android('make', path, ...make).status, 0)
  writeFileSync(join(folder.path, 'data'), randomBytes(MiB))
  assert.match(android('add', path, 'two', '--size=1M', '--group=main', '--all-slots').stderr, /ERR_DDI_SUPER_GROUP/)
  assert.equal(android('resize-group', path, 'main', '--size=4M', '--all-slots').stdout, 'main: at most 4M\n')
  const added = android('add', path, 'two', `--from=${join(folder.path, 'data')}`, '--group=main', '--all-slots')
  assert.equal(added.status, 0, added.stderr)
  assert.equal(android('resize', path, 'one', '--size=2M', '--all-slots').status, 0)
  assert.match(android('resize-group', path, 'main', '--size=2M', '--all-slots').stderr, /ERR_DDI_SUPER_GROUP/)
  const [a, b, c] = slots()
  for (const other of [b, c]) assert.deepEqual({ ...other, slot: 0 }, a)
  assert.deepEqual(
    a.partitions.map(({ name, size }: { name: string; size: number }) => [name, size]),
    [
      ['one', 2 * MiB],
      ['two', MiB],
    ],
  )
  assert.deepEqual(a.groups.at(-1), { name: 'main', maximumSize: 4 * MiB })
  const extracted = android('extract', path, 'two', '--slot=c', `--output=${folder.path}`)
  assert.equal(extracted.status, 0, extracted.stderr)
  assert.ok(readFileSync(join(folder.path, 'two.img')).equals(readFileSync(join(folder.path, 'data'))))
  assert.equal(android('remove', path, 'one', '--slot=b').status, 0)
  const refused = android('remove', path, 'one', '--all-slots')
  assert.match(refused.stderr, /slots a and b differ[\s\S]*ERR_DDI_SUPER_SLOT/)
  assert.deepEqual(slots()[0], a)
})

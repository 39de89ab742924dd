// What holds for the tables of both formats.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { memorySource } from '../../lib/bytes/memory.js'
import type { Extent, Run } from '../../lib/bytes/source.js'
import { diskOn } from '../../lib/disk/disk.js'
import { superOn } from '../../lib/disk/super.js'
import { noUsers, type TableUsers } from '../../lib/disk/table.js'
import {
  type BrokenVolume,
  type CreateOptions,
  DdiError,
  type Disk,
  extensionTypeUuid,
  imageOn,
  type Progress,
  requireWhole,
  type Volume,
  type VolumeTable,
  type WholeVolume,
} from '../../lib/index.js'
import { emptyDisk, makeDisk, rawEntry, seal, volumeHead } from '../support/gpt.js'
import { MiB, typeUuids } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { superDisk } from '../support/super.js'

type Target = ReturnType<typeof recordingTarget>

/** A table of either format, with what differs. */
interface Opened {
  readonly table: Omit<VolumeTable<{ readonly label: string }>, 'create'>
  create(label: string, size: number, options?: CreateOptions): Promise<WholeVolume>
}

interface Subject {
  readonly target: Target
  readonly open: (users?: TableUsers) => Promise<Opened>
}

function subjects(mebibytes: number): Readonly<Record<'gpt' | 'super', Subject>> {
  const gpt = recordingTarget(emptyDisk(mebibytes))
  const liblp = recordingTarget(superDisk(mebibytes * MiB))
  return {
    gpt: {
      target: gpt,
      async open(users = noUsers) {
        const table = await diskOn(gpt, 'memory', { users })
        return { table, create: (label, size, options) => table.create(volumeHead(label), size, options) }
      },
    },
    super: {
      target: liblp,
      async open(users = noUsers) {
        const table = await superOn(liblp, 'memory', { users })
        return { table, create: (label, size, options) => table.create({ label }, size, options) }
      },
    },
  }
}

function contents({ target }: Subject, extents: readonly Extent[]): Buffer {
  return Buffer.concat(
    extents.map((extent) => {
      assert.equal(extent.kind, 'linear')
      const { start, length } = extent as Run
      return target.bytes.subarray(start, start + length)
    }),
  )
}

/** Gives bytes to what a volume gained. */
function fill({ target }: Subject, { extents }: WholeVolume, data: Buffer): void {
  let at = 0
  for (const extent of extents) {
    data.copy(target.bytes, (extent as Run).start, at, at + extent.length)
    at += extent.length
  }
}

function assertApart(runs: readonly Run[]): void {
  const sorted = runs.filter(({ length }) => length > 0).sort((a, b) => a.start - b.start)
  for (const [n, { start }] of sorted.slice(1).entries()) {
    const before = sorted[n]!
    assert.ok(start >= before.start + before.length, `${start} lies in what begins at ${before.start}`)
  }
}

const size = fc.integer({ min: 1, max: 256 }).map((units) => units * 4096)
const step = fc.oneof(
  fc.record({ verb: fc.constant('create' as const), size }),
  fc.record({ verb: fc.constant('create' as const), size }),
  fc.record({ verb: fc.constant('grow' as const), pick: fc.nat(), size }),
  fc.record({ verb: fc.constant('shrink' as const), pick: fc.nat(), size }),
  fc.record({ verb: fc.constant('resize' as const), pick: fc.nat(), size }),
  fc.record({ verb: fc.constant('rename' as const), pick: fc.nat() }),
  fc.record({ verb: fc.constant('remove' as const), pick: fc.nat() }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** What all tables have to hold: each volume's bytes, by label. */
type Model = Map<string, Buffer>

/** Does one step to a table, and to the model. */
async function take(subject: Subject, step: Step, fresh: string, model: Model, gone: WholeVolume[]): Promise<void> {
  const { table, create } = await subject.open()
  if (step.verb === 'create') {
    const from = randomBytes(step.size)
    const made = await create(fresh, step.size, { from: memorySource(from) })
    assert.deepEqual([made.state, made.label, made.size], ['whole', fresh, step.size])
    model.set(fresh, from)
    return
  }
  const labels = [...model.keys()]
  const label = labels[step.pick % Math.max(1, labels.length)]
  if (label === undefined) return
  const data = model.get(label)!
  const volume = table.find(label)
  const wanted =
    step.verb === 'grow'
      ? data.length + step.size
      : step.verb === 'shrink'
        ? Math.max(4096, data.length - step.size)
        : step.verb === 'resize'
          ? step.size
          : data.length
  if (step.verb === 'remove' || step.verb === 'rename') {
    model.delete(label)
    if (step.verb === 'remove') {
      await table.remove(volume)
      gone.push(volume)
    } else {
      assert.equal((await table.rename(volume, { label: fresh })).label, fresh)
      model.set(fresh, data)
    }
    return
  }
  const by = Math.abs(wanted - data.length)
  const changed =
    step.verb === 'grow'
      ? await table.grow(volume, by)
      : step.verb === 'shrink' && by > 0
        ? await table.shrink(volume, by, { force: true })
        : await table.resize(volume, wanted, { force: true })
  assert.equal(changed.size, wanted)
  const kept = Math.min(wanted, data.length)
  assert.ok(contents(subject, changed.extents).subarray(0, kept).equals(data.subarray(0, kept)))
  const now = Buffer.concat([data.subarray(0, kept), randomBytes(wanted - kept)])
  fill(subject, changed, now)
  model.set(label, now)
}

test('random sequences of changes do the same to both formats: sizes and bytes as a model predicts, nothing on another, and what is gone stays gone', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 16 }), async (steps) => {
      const summaries = new Set<string>()
      for (const subject of Object.values(subjects(40))) {
        const model: Model = new Map()
        const gone: WholeVolume[] = []
        const summary: unknown[] = []
        for (const [n, one] of steps.entries()) {
          await take(subject, one, `v${n}`, model, gone)
          // A table that is opened anew says what the one that was changed said.
          const { table } = await subject.open()
          const volumes = table.volumes.map(requireWhole)
          assert.deepEqual(volumes.map(({ label }) => label).sort(), [...model.keys()].sort())
          for (const { label, extents } of volumes)
            assert.ok(contents(subject, extents).equals(model.get(label!)!), `${label}`)
          assertApart([...volumes.flatMap(({ extents }) => extents as readonly Run[]), ...table.free])
          for (const volume of gone) await assert.rejects(table.grow(volume, 4096), { code: 'ERR_DDI_NO_VOLUME' })
          assert.deepEqual(await table.check(), { mended: [], left: [] })
          summary.push([...model].map(([label, data]) => [label, data.length]).sort())
        }
        summaries.add(JSON.stringify(summary))
      }
      assert.equal(summaries.size, 1)
    }),
    { numRuns: 40 },
  )
})

test('the users of a disk are asked before a change and told of it after; what they hold is not written', async () => {
  for (const [format, subject] of Object.entries(subjects(8))) {
    const told: string[] = []
    const users: TableUsers = {
      refuseUsed: async (runs) => void told.push(`used ${runs.map(({ length }) => length)}`),
      grown: async ({ extents }) => void told.push(`grown ${extents.length}`),
      changed: async () => void told.push('changed'),
    }
    const { table, create } = await subject.open(users)
    const one = await create('one', MiB)
    const grown = await table.grow(one, MiB)
    const shrunk = await table.shrink(grown, 4096)
    await table.remove(await table.rename(shrunk, { label: 'two' }))
    const length = 2 * MiB
    assert.deepEqual(
      told,
      format === 'gpt'
        ? ['changed', 'changed', 'grown 1', `used ${length}`, 'changed', 'changed', `used ${length - 4096}`, 'changed']
        : [`used ${MiB}`, `used ${length}`, `used ${length - 4096}`],
    )
    const busy = new DdiError('ERR_DDI_BUSY', 'in use')
    const held = await subject.open({ ...users, refuseUsed: () => Promise.reject(busy) })
    const volume = await held.create('held', MiB)
    const writes = subject.target.writes.length
    await assert.rejects(held.table.shrink(volume, 4096), busy)
    await assert.rejects(held.table.remove(volume), busy)
    if (format === 'super') await assert.rejects(held.table.grow(volume, 4096), busy)
    assert.equal(subject.target.writes.length, writes)
  }
})

test('what goes into a new volume is there before the table names it; stopped, it never does', async () => {
  for (const subject of Object.values(subjects(16))) {
    const { create } = await subject.open()
    const from = memorySource(randomBytes(9 * MiB))
    const seen: Progress[] = []
    const stop = new AbortController()
    const stopped = create('one', from.size, {
      from,
      signal: stop.signal,
      onProgress: (progress) => {
        seen.push(progress)
        stop.abort()
      },
    })
    await assert.rejects(stopped, { code: 'ERR_DDI_ABORTED' })
    assert.deepEqual(seen, [{ done: 4 * MiB, total: from.size }])
    assert.deepEqual((await subject.open()).table.volumes, [])
    const before = subject.target.writes.length
    const { extents } = await create('one', from.size, { from })
    const [first] = subject.target.writes.slice(before)
    assert.equal(first!.offset, (extents[0] as Run).start)
  }
})

test('both refuse invalid sizes, and volumes of other tables', async () => {
  for (const subject of Object.values(subjects(8))) {
    const { table, create } = await subject.open()
    const one = await create('one', MiB)
    const usage = { code: 'ERR_DDI_USAGE' }
    for (const bytes of [-4096, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(create('two', bytes), usage)
      await assert.rejects(table.resize(one, bytes), usage)
      await assert.rejects(table.grow(one, bytes), usage)
      await assert.rejects(table.shrink(one, bytes), usage)
    }
    await assert.rejects(table.grow(one, 0), usage)
    await assert.rejects(table.shrink(one, 2 * MiB), usage)
    const nested: WholeVolume = { ...one, origin: { kind: 'nested', within: one, origin: { kind: 'whole-image' } } }
    await assert.rejects(table.remove(nested), { code: 'ERR_DDI_NO_VOLUME' })
    await table.remove(one)
    await create('other', MiB)
    // In the same entry or place, but another one.
    await assert.rejects(table.remove(one), { code: 'ERR_DDI_NO_VOLUME', message: /"one" any more/ })
  }
})

test('names in place of volumes, and misspelt options and fields, are refused', async () => {
  for (const subject of Object.values(subjects(8))) {
    const { table, create } = await subject.open()
    const one = await create('one', MiB)
    const writes = subject.target.writes.length
    const refused = (result: Promise<unknown>, message: RegExp) =>
      assert.rejects(result, { code: 'ERR_DDI_USAGE', message })
    await refused(table.grow('one' as unknown as WholeVolume, MiB), /"one" is not a volume/)
    await refused(table.shrink(one, 4096, { forse: true } as object), /did you mean force\?/)
    await refused(table.check({ repare: true } as object), /did you mean repair\?/)
    await refused(table.rename(one, { lable: 'two' } as object), /unknown option "lable"/)
    await refused(create('two', MiB, { form: memorySource(Buffer.alloc(1)) } as object), /unknown option "form"/)
    assert.equal(subject.target.writes.length, writes)
  }
})

/** What the compiler has to refuse: a volume that may be broken. */
async function refusedByTypes(disk: Disk, volume: Volume, broken: BrokenVolume): Promise<void> {
  // @ts-expect-error
  await disk.grow(volume, MiB)
  // @ts-expect-error
  await disk.remove(broken)
  // @ts-expect-error
  assert.ok(broken.extents)
}

test('a broken volume cannot be changed, by types and without them', async () => {
  const entry = { ...rawEntry(typeUuids.home), last: 4095n, attributes: 1n << 58n }
  const target = recordingTarget(makeDisk({ sectorSize: 512, sectors: 8 * 2048, entries: [entry] }))
  const disk = await diskOn(target, 'memory')
  const [volume] = disk.volumes
  assert.ok(volume?.state === 'broken')
  await assert.rejects(refusedByTypes(disk, volume, volume), volume.defect)
  await assert.rejects(disk.remove(volume as unknown as WholeVolume), volume.defect)
  assert.throws(() => disk.find(`${volume.uuid}`), volume.defect)
  assert.equal(target.writes.length, 0)
})

test('a lost copy is found, and repaired', async () => {
  const { gpt, super: liblp } = subjects(8)
  for (const [subject, lose] of [
    [gpt, (bytes: Buffer) => bytes.fill(0, bytes.length - 512)],
    [liblp, (bytes: Buffer) => bytes.fill(0, 12288 + 2 * 4096, 12288 + 2 * 4096 + 16)],
  ] as const) {
    await (await subject.open()).create('one', MiB)
    lose(subject.target.bytes)
    const { table } = await subject.open()
    assert.equal((await table.check()).left.length, 1)
    assert.equal((await table.check({ repair: true })).mended.length, 1)
    assert.deepEqual(await table.check(), { mended: [], left: [] })
    assert.equal((await subject.open()).table.find('one').size, MiB)
  }
})

test('a volume that is not of whole units grows in place, and is refused with the reason where it cannot', async () => {
  // As other tools make partitions: not a multiple of 4096 bytes, or not from one.
  const grown = async (first: bigint, last: bigint, behind: bigint, by: number) => {
    const entries = [
      { ...rawEntry(typeUuids.home), first, last },
      { ...rawEntry(typeUuids.home, 3), first: behind, last: behind + 2047n },
    ]
    const target = recordingTarget(makeDisk({ sectorSize: 512, sectors: 8 * 2048, entries }))
    const disk = await diskOn(target, 'memory')
    const attempt = disk.grow(requireWhole(disk.volumes[0]!), by)
    return { attempt, target }
  }
  const extents = async ({ attempt }: Awaited<ReturnType<typeof grown>>) =>
    (await attempt).extents.map(({ start, length }) => [start / 512, length / 512])
  assert.deepEqual(await extents(await grown(2048n, 4094n, 8192n, MiB)), [[2048, 2047 + 2048]])
  assert.deepEqual(await extents(await grown(63n, 4094n, 8192n, MiB)), [[63, 4032 + 2048]])
  // To the end of the unit, and then elsewhere.
  assert.deepEqual(await extents(await grown(2048n, 4094n, 4096n, MiB)), [
    [2048, 2048],
    [6144, 2048],
  ])
  for (const [first, last, behind] of [
    [2048n, 4094n, 4095n],
    [63n, 4094n, 6144n],
  ] as const) {
    const { attempt, target } = await grown(first, last, behind, 2 * MiB)
    await assert.rejects(attempt, { code: 'ERR_DDI_NO_SPACE', message: /not multiples of 4096/ })
    assert.equal(target.writes.length, 0)
  }
})

test('volumes of types that do not continue stay in one run, and keep attribute bit 58', async () => {
  const freebsd = '516e7cb5-6ecf-11d6-8ff8-00022d09712b'
  const entries = [
    { ...rawEntry(freebsd), last: 4095n, attributes: 1n << 58n },
    { ...rawEntry(typeUuids.home, 3), first: 6144n, last: 8191n },
  ]
  const target = recordingTarget(makeDisk({ sectorSize: 512, sectors: 8 * 2048, entries }))
  const disk = await diskOn(target, 'memory')
  const volume = requireWhole(disk.volumes[0]!)
  await assert.rejects(disk.grow(volume, 2 * MiB), { code: 'ERR_DDI_NO_SPACE', message: /do not continue/ })
  assert.equal(target.writes.length, 0)
  const { origin, extents } = await disk.grow(volume, MiB)
  assert.equal(extents.length, 1)
  assert.equal(origin.kind === 'partition' && origin.attributes, 1n << 58n)
})

test('types that no volume can have, and labels that another has, are refused before anything is written', async () => {
  const target = recordingTarget(emptyDisk(8))
  const disk = await diskOn(target, 'memory')
  const one = await disk.create(volumeHead('one'), MiB)
  await disk.create(volumeHead(''), MiB)
  const { length } = target.writes
  for (const typeUuid of [extensionTypeUuid, extensionTypeUuid.toUpperCase(), '00000000-0000-0000-0000-000000000000']) {
    await assert.rejects(disk.create(volumeHead('two', { typeUuid }), MiB), {
      code: 'ERR_DDI_USAGE',
      message: /no volume can/,
    })
    await assert.rejects(disk.rename(one, { typeUuid }), { code: 'ERR_DDI_USAGE', message: /no volume can have/ })
  }
  await assert.rejects(disk.create(volumeHead('one'), MiB), {
    code: 'ERR_DDI_VOLUME_EXISTS',
    message: /has the label "one"/,
  })
  await assert.rejects(disk.create(volumeHead('a'.repeat(37)), MiB), { code: 'ERR_DDI_USAGE', message: /label/ })
  await assert.rejects(disk.create(volumeHead('a\0b'), MiB), { code: 'ERR_DDI_USAGE', message: /NUL/ })
  assert.throws(() => disk.unnamed().preview(volumeHead('one'), MiB), { code: 'ERR_DDI_VOLUME_EXISTS' })
  assert.equal(target.writes.length, length)
  const two = await disk.create(volumeHead('one'), MiB, { force: true })
  await disk.rename(two, { label: 'one' })
  await disk.rename(two, { label: '' })
  await assert.rejects(disk.rename(two, { label: 'one' }), { code: 'ERR_DDI_VOLUME_EXISTS' })
  assert.equal((await disk.rename(two, { label: 'one' }, { force: true })).label, 'one')
  await disk.create(volumeHead(''), MiB)
  const upper = randomUUID().toUpperCase()
  assert.equal((await disk.create(volumeHead('upper', { uuid: upper }), MiB)).uuid, upper.toLowerCase())
})

test('space that was free becomes no volume once the table is another: no change of it is undone', async () => {
  const disk = await diskOn(recordingTarget(emptyDisk(8)), 'memory')
  const one = await disk.create(volumeHead('one'), MiB)
  const space = disk.unnamed(MiB)
  await disk.rename(one, { label: 'other' })
  await assert.rejects(space.name(volumeHead('two'), MiB), { code: 'ERR_DDI_BUSY' })
  assert.deepEqual(
    disk.volumes.map(({ label }) => label),
    ['other'],
  )
  await disk.unnamed(MiB).name(volumeHead('two'), MiB)
  assert.equal(disk.volumes.length, 2)
})

test('what is free on a disk that has grown is so for all who look', async () => {
  const grown = Buffer.concat([emptyDisk(8), Buffer.alloc(8 * MiB)])
  const disk = await diskOn(recordingTarget(grown), 'memory')
  await using image = await imageOn(memorySource(grown), { name: 'memory' })
  assert.ok(disk.free[0]!.length > 14 * MiB)
  assert.deepEqual(image.free, disk.free)
})

test('partitions of one UUID are found by their numbers, and get UUIDs of their own', async () => {
  const entries = [rawEntry(typeUuids.home), { ...rawEntry(typeUuids.home), first: 4096n, last: 6143n, label: '1' }]
  const target = recordingTarget(makeDisk({ sectorSize: 512, sectors: 8 * 2048, entries }))
  const disk = await diskOn(target, 'memory')
  const { uuid } = disk.volumes[0]!
  assert.throws(() => disk.find(uuid!), { code: 'ERR_DDI_NO_VOLUME', message: /give the number/ })
  assert.equal((await disk.check()).left.length, 1)
  const second = disk.find('2')
  // A label comes before a number.
  assert.equal(disk.find('1').label, '1')
  await disk.rename(second, { label: 'two' })
  assert.deepEqual(disk.find('1').label, '')
  assert.deepEqual((await disk.check({ repair: true })).left.length, 1)
  await assert.rejects(disk.create(volumeHead('new', { uuid: uuid! }), MiB), { code: 'ERR_DDI_VOLUME_EXISTS' })
  const other = randomUUID()
  await disk.rename(disk.find('two'), { uuid: other })
  assert.deepEqual(await disk.check(), { mended: [], left: [] })
  assert.equal(disk.find(other).extents[0]!.start, 2 * MiB)
})

test('of two heads that would share extensions, one gives way: the other is whole by that, and nothing is freed', async () => {
  for (const way of ['separate', 'discard', 'wrong'] as const) {
    const target = recordingTarget(emptyDisk(8))
    const first = await diskOn(target, 'memory')
    const one = await first.create(volumeHead('one'), MiB)
    const other = await first.create(volumeHead('other'), MiB)
    await first.grow(one, MiB)
    // A second head with the UUID of the first, which continues too.
    for (const lba of [1, 8 * 2048 - 1]) {
      const array = Number(target.bytes.readBigUInt64LE(lba * 512 + 72)) * 512
      target.bytes.copy(target.bytes, array + 128 + 16, array + 16, array + 32)
      target.bytes.copy(target.bytes, array + 128 + 48, array + 48, array + 56)
      seal(target.bytes, 512, lba)
    }
    const disk = await diskOn(target, 'memory')
    const [left, right] = disk.volumes
    assert.ok(left?.state === 'broken' && right?.state === 'broken')
    assert.equal((await disk.check({ repair: true })).mended.length, 0)
    if (way === 'discard') await disk.discard(right)
    if (way === 'separate') {
      await assert.rejects(disk.separate(right, one.uuid!), { code: 'ERR_DDI_VOLUME_EXISTS' })
      const own = await disk.separate(right, other.uuid!.toUpperCase())
      assert.equal(own.uuid, other.uuid)
      // Broken still: where it went on is not known.
      await assert.rejects(disk.separate(own, randomUUID()), { code: 'ERR_DDI_CHAIN_BROKEN' })
      assert.equal((await disk.check({ repair: true })).left.length, 1)
      await disk.discard(own)
    }
    if (way === 'wrong') {
      await disk.discard(left)
      await assert.rejects(disk.discard(left), { code: 'ERR_DDI_NO_VOLUME' })
      assert.equal(disk.find('other').size, 2 * MiB)
    } else assert.deepEqual(disk.find('one').extents.length, 2)
    assert.deepEqual(await disk.check(), { mended: [], left: [] })
  }
})

test('changes that are begun at once are made one after the other', async () => {
  for (const subject of Object.values(subjects(64))) {
    const opened = await subject.open()
    const labels = ['a', 'b', 'c', 'd']
    const contentsOf = new Map(labels.map((label) => [label, randomBytes(MiB)]))
    await Promise.all(labels.map((label) => opened.create(label, MiB, { from: memorySource(contentsOf.get(label)!) })))
    const [a, b] = [opened.table.find('a'), opened.table.find('b')]
    const results = await Promise.allSettled([
      opened.table.grow(a, MiB),
      opened.table.grow(a, MiB),
      opened.table.remove(b),
      opened.table.remove(b),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'fulfilled', 'rejected'],
    )
    assert.equal((results[3] as PromiseRejectedResult).reason.code, 'ERR_DDI_NO_VOLUME')
    // What is on the disk, to somebody who opens it anew.
    const { table } = await subject.open()
    const volumes = table.volumes.map(requireWhole)
    assert.deepEqual(volumes.map(({ label, size }) => [label, size]).sort(), [
      ['a', 3 * MiB],
      ['c', MiB],
      ['d', MiB],
    ])
    assertApart(volumes.flatMap(({ extents }) => extents as readonly Run[]))
    for (const { label, extents } of volumes)
      assert.deepEqual(contents(subject, extents).subarray(0, MiB), contentsOf.get(label!), label!)
  }
})

test('what another program makes while free space is written, or a change is decided, stays as it is', async () => {
  for (const format of ['gpt', 'super'] as const) {
    const subject = subjects(96)[format]
    const { target } = subject
    const { table, create } = await subject.open()
    const one = await create('one', MiB)
    /** As another program that heeds no lock: `foreign` takes all that is free, and has data of its own. */
    const foreign = async (): Promise<Buffer> => {
      const other = await subject.open()
      const taken = await other.create('foreign', Math.max(...other.table.free.map(({ length }) => length)))
      fill(subject, taken, Buffer.alloc(taken.size, 0xf0))
      return Buffer.from(target.bytes)
    }
    const busy = { code: 'ERR_DDI_BUSY' }
    let after = await foreign()
    const from = memorySource(Buffer.alloc(MiB, 1))
    for (const change of [
      () => create('two', MiB, { from }),
      () => create('two', MiB),
      () => table.grow(one, MiB),
      () => table.shrink(one, 4096),
      () => table.rename(one, { label: 'other' }),
      () => table.remove(one),
    ])
      await assert.rejects(change, busy)
    assert.ok(target.bytes.equals(after), format)

    const next = await subject.open()
    await next.table.remove(next.table.find('foreign'))
    const large = memorySource(Buffer.alloc(80 * MiB, 2))
    const onProgress = ({ done }: Progress) => {
      if (done === 8 * MiB) coming = foreign()
    }
    let coming: Promise<Buffer> | undefined
    await assert.rejects(next.create('three', 80 * MiB, { from: large, onProgress }), busy)
    after = await coming!
    // It was written on until the table was asked again, and no further.
    const end = after.length
    const last = (await subject.open()).table.find('foreign').extents.at(-1)!
    assert.equal(last.kind, 'linear')
    const tail = Math.min(end, (last as Run).start + last.length) - MiB
    assert.ok(target.bytes.subarray(tail, tail + MiB).every((byte) => byte === 0xf0))
  }
})

test('a volume that takes the space of an unnamed one is not written over', async () => {
  const target = recordingTarget(emptyDisk(8))
  const disk = await diskOn(target, 'memory')
  const space = disk.unnamed(MiB)
  const one = await disk.create(volumeHead('one'), MiB, { from: memorySource(Buffer.alloc(MiB, 1)) })
  await assert.rejects(space.write(0, Buffer.alloc(4096, 2)), { code: 'ERR_DDI_BUSY' })
  await assert.rejects(space.punch!(0, 4096), { code: 'ERR_DDI_BUSY' })
  assert.ok(
    target.bytes
      .subarray(one.extents[0]!.start)
      .subarray(0, MiB)
      .every((byte) => byte === 1),
  )
})

test('what is attached of a slot of a super partition is not taken by another slot that was read before', async () => {
  const target = recordingTarget(superDisk(16 * MiB))
  const a = await superOn(target, 'memory', { slot: 0 })
  const b = await superOn(target, 'memory', { slot: 1 })
  await b.create({ label: 'of-b' }, 4 * MiB)
  await assert.rejects(a.create({ label: 'of-a' }, 4 * MiB), { code: 'ERR_DDI_BUSY' })
})

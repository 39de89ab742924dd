import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { linear } from '../../lib/bytes/extents.js'
import { memorySource } from '../../lib/bytes/memory.js'
import { diskOn } from '../../lib/disk/disk.js'
import { readGpt, scanGpt } from '../../lib/gpt/index.js'
import { DdiError, type Disk, extensionTypeUuid, openDisk, type Progress, requireWhole } from '../../lib/index.js'
import { emptyDisk, volumeHead as head } from '../support/gpt.js'
import { readEntries } from '../support/gpt-reader.js'
import { MiB, makeFileSystem, makeGptImage, typeUuids } from '../support/images.js'
import { cutEverywhere, recordingTarget } from '../support/power-cut.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

/** What a disk says that a volume holds, segment after segment. */
function contents(disk: Disk, bytes: Buffer, uuid: string): Buffer {
  const { extents } = requireWhole(disk.volumes.find((volume) => volume.uuid === uuid)!)
  return Buffer.concat(extents.map(({ start, length }) => bytes.subarray(start, start + length)))
}

test('50 random sequences of changes: tables that sgdisk and sfdisk accept, data as a model predicts', async () => {
  using folder = temporaryFolder()
  const size = fc.integer({ min: 1, max: 6 * 256 }).map((units) => units * 4096)
  const verb = fc.oneof(
    fc.record({ verb: fc.constant('create' as const), size }),
    fc.record({ verb: fc.constant('create' as const), size }),
    fc.record({ verb: fc.constant('grow' as const), pick: fc.nat(), size }),
    fc.record({ verb: fc.constant('shrink' as const), pick: fc.nat(), size }),
    fc.record({ verb: fc.constant('remove' as const), pick: fc.nat() }),
    fc.record({ verb: fc.constant('retag' as const), pick: fc.nat() }),
    fc.record({ verb: fc.constant('defragment' as const) }),
  )
  let chained = 0
  let sequences = 0
  await fc.assert(
    fc.asyncProperty(fc.array(verb, { minLength: 10, maxLength: 30 }), async (verbs) => {
      const bytes = emptyDisk(24)
      const disk = await diskOn(recordingTarget(bytes), 'memory')
      const model = new Map<string, Buffer>()
      /** Fills what a volume gained with bytes of its own, through its segments. */
      const fill = (uuid: string, before: Buffer) => {
        const { extents, size } = requireWhole(disk.volumes.find((volume) => volume.uuid === uuid)!)
        const data = Buffer.concat([before, randomBytes(Math.max(0, size - before.length))]).subarray(0, size)
        let at = 0
        for (const { start, length } of extents) {
          data.copy(bytes, start, at, at + length)
          at += length
        }
        model.set(uuid, data)
      }
      for (const step of verbs) {
        const names = [...model.keys()]
        const name = 'pick' in step ? names[step.pick % Math.max(1, names.length)] : undefined
        try {
          if (step.verb === 'create') {
            const from = randomBytes(step.size)
            const volume = await disk.create(head(''), step.size, { from: memorySource(from) })
            model.set(volume.uuid!, from)
          } else if (step.verb === 'defragment') {
            const before = disk.volumes.map(requireWhole).map(({ extents }) => extents.length)
            await disk.defragment()
            for (const [index, { extents }] of disk.volumes.map(requireWhole).entries())
              assert.ok(extents.length <= before[index]!)
          } else if (name !== undefined) {
            const data = model.get(name)!
            if (step.verb === 'grow') {
              await disk.grow(disk.find(name), step.size)
              assert.ok(contents(disk, bytes, name).subarray(0, data.length).equals(data))
              fill(name, data)
            } else if (step.verb === 'shrink') {
              await disk.shrink(disk.find(name), step.size)
              model.set(name, data.subarray(0, data.length - step.size))
            } else if (step.verb === 'remove') {
              await disk.remove(disk.find(name))
              model.delete(name)
            } else {
              const uuid = randomUUID()
              await disk.rename(disk.find(name), { uuid })
              model.delete(name)
              model.set(uuid, data)
            }
          }
        } catch (error) {
          // A full disk and a shrink to nothing are fine, and change nothing.
          assert.ok(
            error instanceof DdiError && ['ERR_DDI_NO_SPACE', 'ERR_DDI_USAGE'].includes(error.code),
            String(error),
          )
        }
        assert.equal(disk.volumes.length, model.size)
        assert.deepEqual(disk.orphans, [])
        for (const [uuid, data] of model) assert.ok(contents(disk, bytes, uuid).equals(data))
      }
      if (disk.volumes.map(requireWhole).some(({ extents }) => extents.length > 1)) chained++
      const path = join(folder.path, `disk${sequences++}`)
      writeFileSync(path, bytes)
      assert.match(run('sgdisk', '--verify', path), /No problems found/)
      assert.equal(attempt('sfdisk', '--verify', path).status, 0)
    }),
    { numRuns: 50 },
  )
  assert.ok(chained > 3, `${chained} sequences ended with chains`)
})

test('power cut: at every sector of every write, torn or not, a disk is the old one or the new one', async () => {
  const first = head('first', { uuid: '11111111-1111-4111-8111-111111111111' })
  const second = head('second', { uuid: '22222222-2222-4222-8222-222222222222' })
  const setUp = async () => {
    const bytes = emptyDisk(12, 16)
    const disk = await diskOn(recordingTarget(bytes), 'memory')
    await disk.create(first, MiB)
    await disk.create(second, MiB)
    await disk.grow(disk.find(first.uuid), 2 * MiB)
    return bytes
  }
  const verbs: Record<string, (disk: Disk) => Promise<unknown>> = {
    create: (disk) => disk.create(head('third'), 2 * MiB, { from: memorySource(randomBytes(8192)) }),
    'grow in place': (disk) => disk.grow(disk.find(first.uuid), MiB),
    'grow by an extension': (disk) => disk.grow(disk.find(second.uuid), MiB),
    shrink: (disk) => disk.shrink(disk.find(first.uuid), 2 * MiB),
    remove: (disk) => disk.remove(disk.find(first.uuid)),
    rename: (disk) => disk.rename(disk.find(first.uuid), { label: 'other', uuid: randomUUID() }),
    defragment: (disk) => disk.defragment(),
    repair: (disk) => disk.check({ repair: true }),
  }
  const damages: Record<string, (bytes: Buffer) => void> = {
    none: () => {},
    'primary lost': (bytes) => bytes.fill(0, 512, 1024),
    'backup lost': (bytes) => bytes.fill(0, bytes.length - 512),
  }
  // On a disk that has grown, by a little or by more than a table takes, the backup moves.
  const grown: Record<string, number> = { none: 0, '1 sector more': 512, '1 MiB more': MiB }
  let cuts = 0
  const tableOf = async (bytes: Buffer) => {
    const scan = await scanGpt(memorySource(bytes))
    assert.ok('table' in scan, 'code' in scan ? scan.code : '')
    return JSON.stringify(scan.table.partitions, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  }
  for (const [verb, change] of Object.entries(verbs)) {
    for (const [name, damage, more] of Object.entries(damages).flatMap(([name, damage]) =>
      Object.entries(grown).map(([growth, more]) => [`${name}, ${growth}`, damage, more] as const),
    )) {
      // A disk whose only copy was the primary, or the backup, has none if it grows over it.
      if (more > 0 && name.startsWith('primary lost')) continue
      const small = await setUp()
      damage(small)
      const before = Buffer.concat([small, Buffer.alloc(more)])
      const target = recordingTarget(Buffer.from(before))
      await change(await diskOn(target, 'memory'))
      const [old, changed] = [await tableOf(before), await tableOf(target.bytes)]
      const entries = [readEntries(before), readEntries(target.bytes)]
      if (verb !== 'repair') assert.notEqual(old, changed, verb)
      const ofTable = (offset: number) => offset < MiB || offset >= before.length - MiB
      cuts += await cutEverywhere(before, target.writes, ofTable, async (disk, where) => {
        const table = await tableOf(disk)
        assert.ok(table === old || table === changed, `${verb}, ${name}, ${where}`)
        // Where a disk has grown, they may read different ones: libblkid looks for a backup at the end only.
        assert.ok(entries.includes(readEntries(disk)), `${verb}, ${name}, ${where}, by libblkid's rules`)
      })
    }
  }
  assert.ok(cuts > 1000)
})

test('a real file: created, filled, grown, renamed, removed; the peers see it', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 32 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'kept' }])
  const data = makeFileSystem(folder.path, 'erofs')
  {
    await using disk = await openDisk(path)
    await assert.rejects(openDisk(path), { code: 'ERR_DDI_BUSY' })
    const volume = await disk.create(head('acme_1'), 4 * MiB, { from: memorySource(readFileSync(data)) })
    assert.deepEqual(volume.extents, linear([{ start: 2 * MiB, length: 4 * MiB }]))
    await disk.create(head('wall'), MiB)
    const grown = await disk.grow(disk.find('acme_1'), 2 * MiB)
    assert.equal(grown.extents.length, 2)
    await disk.rename(disk.find('acme_1'), { label: 'acme_2' })
  }
  const { partitions } = JSON.parse(run('sfdisk', '--json', path)).partitiontable
  assert.deepEqual(
    partitions.map(({ type, name }: { type: string; name: string }) => [type.toLowerCase(), name]),
    [
      [typeUuids.linuxGeneric, 'kept'],
      [typeUuids.home, 'acme_2'],
      [typeUuids.home, 'wall'],
      [extensionTypeUuid, 'acme_2'],
    ],
  )
  const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const written = readFileSync(path).subarray(2 * MiB, 2 * MiB + readFileSync(data).length)
  assert.equal(sum(written), sum(readFileSync(data)))
  await using disk = await openDisk(path)
  await disk.remove(disk.find('wall'))
  const [moved] = await disk.defragment()
  assert.equal(moved?.extents.length, 1)
  assert.deepEqual(await disk.check(), { mended: [], left: [] })
})

test('defragmenting closes gaps, one segment at a time, where no run holds the whole volume', async () => {
  const target = recordingTarget(emptyDisk(20))
  const disk = await diskOn(target, 'memory')
  const data = randomBytes(12 * MiB)
  const { uuid } = await disk.create(head('wide'), 4 * MiB, { from: memorySource(data.subarray(0, 4 * MiB)) })
  await disk.create(head('wall'), 4 * MiB)
  const { extents } = await disk.grow(disk.find('wide'), 4 * MiB)
  data.copy(target.bytes, extents[1]!.start, 4 * MiB, 8 * MiB)
  await disk.create(head('last'), 4 * MiB)
  await disk.remove(disk.find('wall'))
  await assert.rejects(disk.defragment({ signal: AbortSignal.abort() }), { code: 'ERR_DDI_ABORTED' })
  assert.equal(disk.find('wide').extents.length, 2)
  const told: Progress[] = []
  const [moved] = await disk.defragment({ onProgress: (progress) => told.push(progress) })
  assert.deepEqual(moved?.extents, linear([{ start: MiB, length: 8 * MiB }]))
  assert.deepEqual(told.at(-1), { done: 8 * MiB, total: 8 * MiB, part: 'wide' })
  assert.ok(told.every(({ done }, n) => n === 0 || done > told[n - 1]!.done))
  assert.ok(contents(disk, target.bytes, uuid!).equals(data.subarray(0, 8 * MiB)))
})

test('what cannot be done says why, and writes nothing', async () => {
  const target = recordingTarget(emptyDisk(8, 4))
  const disk = await diskOn(target, 'memory')
  const one = await disk.create(head('one'), MiB)
  await disk.create(head('twin'), MiB)
  await disk.create(head('twin'), MiB, { force: true })
  const writes = target.writes.length
  await assert.rejects(disk.create(head('large'), 64 * MiB), {
    code: 'ERR_DDI_NO_SPACE',
    message: /free in 1 run, the largest of/,
  })
  await assert.rejects(disk.create(head('same', { uuid: one.uuid! }), MiB), { code: 'ERR_DDI_VOLUME_EXISTS' })
  await assert.rejects(disk.create(head('zero'), 0), { code: 'ERR_DDI_USAGE' })
  await assert.rejects(disk.create(head('small'), MiB, { from: memorySource(Buffer.alloc(2 * MiB)) }), {
    code: 'ERR_DDI_USAGE',
  })
  assert.throws(() => disk.find('none'), { code: 'ERR_DDI_NO_VOLUME', message: /it has one, twin, twin/ })
  assert.throws(() => disk.find('twin'), {
    code: 'ERR_DDI_NO_VOLUME',
    message: /several volumes of the disk are labelled/,
  })
  await assert.rejects(disk.shrink(disk.find('one'), MiB), { code: 'ERR_DDI_USAGE' })
  assert.equal(target.writes.length, writes)
  await disk.create(head('four'), MiB)
  await assert.rejects(disk.create(head('five'), MiB), { code: 'ERR_DDI_TABLE_FULL' })
})

test('check finds a lost copy and orphans, and repairs both; a broken chain keeps its extensions', async () => {
  const target = recordingTarget(emptyDisk(8))
  const disk = await diskOn(target, 'memory')
  const wide = await disk.create(head('wide'), MiB)
  await disk.create(head('wall'), MiB)
  await disk.grow(disk.find('wide'), MiB)
  target.bytes.fill(0, 512, 1024)
  const damaged = await diskOn(target, 'memory')
  assert.equal((await damaged.check()).left.length, 1)
  assert.deepEqual((await damaged.check({ repair: true })).left, [])
  assert.deepEqual(await damaged.check(), { mended: [], left: [] })
  assert.equal((await readGpt(target)).copy, 'primary')
  assert.equal(requireWhole(damaged.volumes.find(({ uuid }) => uuid === wide.uuid)!).extents.length, 2)
})

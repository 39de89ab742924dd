// What dm-log-writes recorded of real writes, replayed up to every one of them.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { memorySource, readSuper } from '../../lib/android/index.js'
import { readDisk } from '../../lib/disk/contents.js'
import { readGpt } from '../../lib/gpt/index.js'
import { type Disk, makeSuper, openDisk, openSuper } from '../../lib/index.js'
import { readEntries } from '../support/gpt-reader.js'
import { MiB, makeGptImage, typeUuids } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { type Recorded, record } from './recorded.js'
import { assertNothingLeft } from './state.js'

afterEach(assertNothingLeft)

test('every prefix of what the kernel saw written leaves a disk before or after a change, with the data of its volumes', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 24 * MiB, [])
  const [a, b] = [randomUUID(), randomUUID()]
  const content = randomBytes(2 * MiB)
  const head = (uuid: string, label: string) => ({ uuid, label, typeUuid: typeUuids.home, attributes: 0n })
  const changes: ((disk: Disk) => Promise<unknown>)[] = [
    (disk) => disk.create(head(a, 'a'), 2 * MiB, { from: memorySource(content) }),
    (disk) => disk.create(head(b, 'b'), 3 * MiB),
    (disk) => disk.grow(disk.find(a), 4 * MiB),
    (disk) => disk.grow(disk.find(b), MiB),
    (disk) => disk.rename(disk.find(a), { label: 'c' }),
    (disk) => disk.remove(disk.find(b)),
    (disk) => disk.defragment(),
    (disk) => disk.shrink(disk.find(a), 4 * MiB),
  ]
  const tableOf = async (bytes: Buffer) =>
    JSON.stringify((await readGpt(memorySource(bytes))).table.partitions, (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    )
  const before = readFileSync(path)
  const states = [await tableOf(before)]
  const entries = [readEntries(before)]
  const recorded = record(path, folder.path)
  let writes: ReturnType<Recorded['stop']> = []
  try {
    for (const change of changes) {
      await using disk = await openDisk(recorded.device)
      await change(disk)
      run('sync', recorded.device)
      const now = readFileSync(recorded.device)
      states.push(await tableOf(now))
      entries.push(readEntries(now))
    }
  } finally {
    writes = recorded.stop()
  }
  assert.equal(new Set(states).size, states.length)
  let reached = 0
  for (const { offset, bytes } of writes) {
    before.set(bytes, offset)
    const state = states.indexOf(await tableOf(before))
    assert.ok(state === reached || state === reached + 1, `after a write at ${offset}: state ${state} after ${reached}`)
    assert.equal(readEntries(before), entries[state], `after a write at ${offset}, by the rules of libblkid`)
    reached = state
    const volume = (await readDisk(memorySource(before))).volumes.find(({ uuid }) => uuid === a)
    if (volume?.state === 'whole') {
      const [first] = volume.extents
      assert.ok(
        before.subarray(first!.start, first!.start + content.length).equals(content),
        `data after a write at ${offset}`,
      )
    }
  }
  assert.equal(reached, changes.length)
  assert.ok(before.equals(readFileSync(path)))
})

test('the same for a slot of a super partition', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'super.img')
  const geometry = { metadataSize: 16384, slotCount: 2, blockSize: 4096 }
  await makeSuper(path, { geometry, devices: [{ name: 'super', size: 8 * MiB }] })
  const content = randomBytes(MiB)
  const stateOf = async (bytes: Buffer) => JSON.stringify((await readSuper(memorySource(bytes))).metadata)
  const before = readFileSync(path)
  const states = [await stateOf(before)]
  const recorded = record(path, folder.path)
  let writes: ReturnType<Recorded['stop']> = []
  try {
    const changes = ['add', 'grow', 'cut', 'remove'] as const
    for (const change of changes) {
      await using one = await openSuper(recorded.device)
      if (change === 'add') await one.create({ label: 'system_a' }, MiB, { from: memorySource(content) })
      else if (change === 'remove') await one.remove(one.find('system_a'))
      else await one.resize(one.find('system_a'), change === 'grow' ? 2 * MiB : MiB)
      run('sync', recorded.device)
      states.push(await stateOf(readFileSync(recorded.device)))
    }
  } finally {
    writes = recorded.stop()
  }
  let reached = 0
  for (const { offset, bytes } of writes) {
    before.set(bytes, offset)
    const state = states.indexOf(await stateOf(before), reached)
    assert.ok(state === reached || state === reached + 1, `after a write at ${offset}: state ${state} after ${reached}`)
    reached = state
    const [partition] = (await readSuper(memorySource(before))).metadata.partitions
    const [extent] = partition?.extents ?? []
    if (extent?.kind === 'linear') assert.ok(before.subarray(extent.start, extent.start + MiB).equals(content))
  }
  assert.equal(reached, states.length - 1)
})

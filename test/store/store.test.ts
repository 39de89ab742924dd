import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Source } from '../../lib/bytes/source.js'
import { diskOn } from '../../lib/disk/disk.js'
import { DdiError } from '../../lib/errors.js'
import type { StoreImage } from '../../lib/store/image.js'
import { installImage } from '../../lib/store/install.js'
import { scrub } from '../../lib/store/scrub.js'
import { openStore, type Store, storeOn } from '../../lib/store/store.js'
import { emptyDisk, volumeHead } from '../support/gpt.js'
import { MiB } from '../support/images.js'
import { cutEverywhere, recordingTarget } from '../support/power-cut.js'
import { temporaryFolder } from '../support/run.js'
import { rootOf, smallImage, streamOf } from '../support/small-images.js'
import { readImages } from '../support/store-reader.js'

async function storeIn(bytes: Buffer, running?: string) {
  const target = recordingTarget(bytes)
  return { target, store: storeOn(await diskOn(target, 'memory'), running) }
}

async function install(store: Store, label: string, image: Buffer) {
  const [product, version] = label.split('_')
  return await installImage(store, streamOf(image), { product: product!, version: version! })
}

const statesOf = (disk: Buffer) =>
  readImages(disk).map(({ label, priority, tries, good, keep }) => [label, priority, tries, good, keep])

test('an image is stored without the free space behind its partitions, with a table that ends where it does', async () => {
  const { store, target } = await storeIn(emptyDisk(16).fill(0xee, 2 * MiB, 15 * MiB))
  const image = smallImage(7, MiB, 4 * MiB)
  const { image: installed } = await install(store, 'acme_1', image)
  assert.equal(installed.volume.size, 2 * MiB + 5 * 4096)
  const [read] = readImages(target.bytes)
  assert.deepEqual(statesOf(target.bytes), [['acme_1', 8, 3, false, false]])
  assert.ok(rootOf(read!.bytes).equals(rootOf(image)))
  // Zeroes of the image are zeroes, whatever was on the disk.
  assert.ok(read!.bytes.subarray(64 * 1024, MiB).every((byte) => byte === 0))
})

test('every change is in the table, as a reader of its own has it', async () => {
  const { store, target } = await storeIn(emptyDisk(16))
  for (const label of ['acme_1', 'acme_2', 'acme_3']) await install(store, label, smallImage(1))
  await store.mark(store.find('acme_1'), 'good')
  await store.mark(store.find('acme_2'), 'prefer')
  await store.mark(store.find('acme_3'), 'prefer')
  assert.equal((await store.try(store.find('acme_3'))).tries, 2)
  await store.try(store.find('acme_1'))
  await store.refuse(store.find('acme_2'))
  await store.mark(store.find('acme_2'), 'keep')
  assert.deepEqual(statesOf(target.bytes), [
    ['acme_1', 8, 0, true, false],
    ['acme_2', 8, 0, false, true],
    ['acme_3', 15, 2, false, false],
  ])
  const writes = target.writes.length
  await store.mark(store.find('acme_3'), 'prefer')
  assert.equal(target.writes.length, writes, 'what changes nothing writes nothing')
  for (const mark of ['bad', 'off'] as const)
    await assert.rejects(store.mark(store.find('acme_1'), mark), { code: 'ERR_DDI_STORE_LAST_GOOD' })
  await assert.rejects(store.remove(store.find('acme_1')), { code: 'ERR_DDI_STORE_LAST_GOOD' })
  await store.mark(store.find('acme_1'), 'off', { force: true })
  await store.mark(store.find('acme_2'), 'release')
  await store.remove(store.find('acme_3'))
  assert.deepEqual(statesOf(target.bytes), [
    ['acme_1', 0, 0, true, false],
    ['acme_2', 8, 0, false, false],
  ])
})

test('what may be removed makes room, no more than is needed; what may not is named, and nothing is removed', async () => {
  const { store } = await storeIn(emptyDisk(16))
  await store.disk.create(volumeHead('others'), 2 * MiB)
  for (const label of ['acme_1', 'acme_2', 'acme_3', 'acme_4']) await install(store, label, smallImage(1))
  await store.mark(store.find('acme_1'), 'good')
  await store.mark(store.find('acme_4'), 'keep')
  const { removed } = await install(store, 'acme_5', smallImage(2))
  assert.deepEqual(
    removed.map(({ label }) => label),
    ['acme_2'],
  )
  await assert.rejects(install(store, 'acme_6', smallImage(3, 8 * MiB)), {
    code: 'ERR_DDI_NO_SPACE',
    message: /missing.*acme_1 \(newest good one.*acme_4 \(kept.*1 volumes/,
  })
  assert.deepEqual(store.images.map(({ label }) => label).sort(), ['acme_1', 'acme_3', 'acme_4', 'acme_5'])
})

test('a table without a free entry says so, and what may be removed gives its entries up', async () => {
  const { store, target } = await storeIn(emptyDisk(40, 4))
  const labels = ['acme_1', 'acme_2', 'acme_3', 'acme_4']
  for (const label of labels) {
    await install(store, label, smallImage(1))
    await store.mark(store.find(label), 'keep')
  }
  const before = Buffer.from(target.bytes)
  await assert.rejects(install(store, 'acme_5', smallImage(1)), {
    code: 'ERR_DDI_TABLE_FULL',
    message: /in 1 segments?, and the table .* has room for 0 more partitions.*acme_1 \(kept/,
  })
  assert.ok(target.bytes.equals(before))
  await store.mark(store.find('acme_2'), 'release')
  const { removed } = await install(store, 'acme_5', smallImage(1))
  assert.deepEqual(
    removed.map(({ label }) => label),
    ['acme_2'],
  )
})

test('the image that runs makes no room, and is not removed', async () => {
  const bytes = emptyDisk(8)
  const { image } = await install((await storeIn(bytes)).store, 'acme_1', smallImage(1))
  const { store } = await storeIn(bytes, image.uuid)
  await install(store, 'acme_2', smallImage(1))
  const { removed } = await install(store, 'acme_3', smallImage(1, 2 * MiB))
  assert.deepEqual(
    removed.map(({ label }) => label),
    ['acme_2'],
  )
  await assert.rejects(store.remove(store.find('acme_1'), { force: true }), { code: 'ERR_DDI_BUSY' })
})

test('what is no image for this machine, or is there already, is refused, and the disk is as before', async () => {
  const { store, target } = await storeIn(emptyDisk(16))
  await install(store, 'acme_1', smallImage(1))
  const before = Buffer.from(target.bytes)
  const truncated = smallImage(2).subarray(0, (3 * MiB) / 2)
  const arm = smallImage(3)
  // The type of a root partition for arm64, in GPT's order of bytes.
  Buffer.from('45b021b9f01dc341af444c6f280d3fae', 'hex').copy(arm, 1024)
  const cases: readonly [string, Buffer, string][] = [
    ['acme_1', smallImage(1), 'ERR_DDI_VOLUME_EXISTS'],
    ['acme_01', smallImage(1), 'ERR_DDI_VOLUME_EXISTS'],
    ['acme_2', truncated, 'ERR_DDI_GPT_TRUNCATED'],
    ['acme_2', Buffer.alloc(2 * MiB, 'x'), 'ERR_DDI_NO_TABLE'],
    ['acme_2', emptyDisk(2), 'ERR_DDI_NOTHING_TO_ATTACH'],
    ['acme_2', arm, 'ERR_DDI_GPT_ARRAY_CRC'],
    [`acme_${'1'.repeat(32)}`, smallImage(1), 'ERR_DDI_STORE_NAME'],
    ['acme_1/2', smallImage(1), 'ERR_DDI_STORE_NAME'],
  ]
  for (const [label, image, code] of cases) {
    await assert.rejects(install(store, label, image), { code }, label)
    assert.ok(target.bytes.subarray(0, MiB).equals(before.subarray(0, MiB)), label)
  }
})

test('what changes one image changes no other, though another tool gave both one UUID', async () => {
  const { store, target } = await storeIn(emptyDisk(16))
  for (const label of ['acme_1', 'acme_2']) await install(store, label, smallImage(1))
  const { table } = store.disk
  const [{ uuid }] = store.images as [StoreImage]
  await store.disk.repartition({ ...table, partitions: table.partitions.map((one) => ({ ...one, uuid })) })
  await store.mark(store.find('acme_2'), 'keep')
  assert.equal((await store.try(store.find('2'))).label, 'acme_2')
  assert.deepEqual(statesOf(target.bytes), [
    ['acme_1', 8, 3, false, false],
    ['acme_2', 8, 2, false, true],
  ])
  await store.remove(store.find('acme_2'))
  assert.deepEqual(
    store.images.map(({ label }) => label),
    ['acme_1'],
  )
})

test('what says that it is too large, or is the disk itself, costs no image', async () => {
  const bytes = emptyDisk(8)
  const { store } = await storeIn(bytes)
  for (const label of ['acme_1', 'acme_2']) await install(store, label, smallImage(1))
  const large = streamOf(gzipSync(smallImage(1, 4 * MiB)))
  await assert.rejects(installImage(store, large, { product: 'acme', version: '3', maxSize: 3 * MiB }), {
    code: 'ERR_DDI_PULL_TOO_LARGE',
  })
  assert.equal(store.images.length, 2)
  using folder = temporaryFolder()
  const path = join(folder.path, 'acme_9.raw')
  writeFileSync(path, bytes)
  await using own = await openStore(path)
  await assert.rejects(installImage(own, pathToFileURL(path)), { code: 'ERR_DDI_USAGE', message: /itself/ })
  assert.equal(own.images.length, 2)
})

test('a label that something else has costs no image', async () => {
  const { store } = await storeIn(emptyDisk(8))
  await store.disk.create(volumeHead('acme_9'), MiB)
  for (const label of ['acme_1', 'acme_2']) await install(store, label, smallImage(1))
  await assert.rejects(install(store, 'acme_9', smallImage(1, 3 * MiB)), { code: 'ERR_DDI_VOLUME_EXISTS' })
  assert.equal(store.images.length, 2)
})

test('an image that is cut short costs no other image', async () => {
  using folder = temporaryFolder()
  const { store } = await storeIn(emptyDisk(8))
  for (const label of ['acme_1', 'acme_2']) await install(store, label, smallImage(1))
  const path = join(folder.path, 'acme_3.raw')
  writeFileSync(path, smallImage(1, 4 * MiB).subarray(0, 2 * MiB))
  await assert.rejects(installImage(store, pathToFileURL(path)), { code: 'ERR_DDI_GPT_TRUNCATED' })
  assert.deepEqual(
    store.images.map(({ label }) => label),
    ['acme_1', 'acme_2'],
  )
})

test('what a disk cannot read of one image is told as its damage, and the others are checked', async () => {
  const { store, target } = await storeIn(emptyDisk(16))
  for (const label of ['acme_1', 'acme_2']) await install(store, label, smallImage(1))
  const [first, second] = store.images
  const [bad] = first!.volume.extents
  const failing: Source = {
    size: target.size,
    read: async (offset, length) => {
      if (offset < bad!.start + bad!.length && bad!.start < offset + length)
        throw new DdiError('ERR_DDI_IO', `cannot read the disk at byte ${offset}`)
      return await target.read(offset, length)
    },
  }
  const { result, damage } = await scrub(failing, first!)
  assert.equal(result, 'damaged')
  assert.match(damage!, /cannot read the disk/)
  assert.equal((await scrub(failing, second!)).result, 'unprotected')
})

test('with the power cut at any write of any change, torn sectors included, the table is the old one or the new one', async () => {
  const { store, target } = await storeIn(emptyDisk(12, 16))
  const images = new Map([1, 2, 3, 4, 5].map((n) => [`acme_${n}`, smallImage(n)]))
  for (const label of ['acme_1', 'acme_2', 'acme_3']) await install(store, label, images.get(label)!)
  const changes: readonly [string, () => Promise<unknown>][] = [
    ['good', () => store.mark(store.find('acme_1'), 'good')],
    ['prefer', () => store.mark(store.find('acme_2'), 'prefer')],
    ['prefer another', () => store.mark(store.find('acme_1'), 'prefer')],
    ['try', () => store.try(store.find('acme_3'))],
    ['refuse', () => store.refuse(store.find('acme_3'))],
    ['keep', () => store.mark(store.find('acme_1'), 'keep')],
    ['off', () => store.mark(store.find('acme_3'), 'off')],
    ['on', () => store.mark(store.find('acme_3'), 'on')],
    ['release', () => store.mark(store.find('acme_1'), 'release')],
    ['install with retention', () => install(store, 'acme_4', images.get('acme_4')!)],
    ['second install with retention', () => install(store, 'acme_5', images.get('acme_5')!)],
    ['remove', () => store.remove(store.find('acme_5'))],
    ['trim', () => store.trim('acme', 1)],
  ]
  const isOfTable = (offset: number) => offset < MiB || offset >= target.bytes.length - 33 * 512
  for (const [name, change] of changes) {
    const before = Buffer.from(target.bytes)
    const from = target.writes.length
    await change()
    const writes = target.writes.slice(from)
    assert.ok(writes.length > 0, name)
    const tables = new Set<string>()
    const cuts = await cutEverywhere(
      before,
      writes.filter(({ offset }) => isOfTable(offset)),
      isOfTable,
      async (disk) => {
        tables.add(JSON.stringify(statesOf(disk)))
      },
    )
    assert.ok(cuts > 50, name)
    // Each change is one write of the table; what makes room first is another.
    assert.equal(tables.size, name.includes('retention') ? 3 : 2, `${name}: ${[...tables].join(' or ')}`)
    for (const { label, bytes } of readImages(target.bytes))
      assert.ok(rootOf(bytes).equals(rootOf(images.get(label)!)), label)
  }
})

test('data is on the disk before the table names it', async () => {
  const bytes = emptyDisk(12)
  const target = recordingTarget(bytes)
  const order: string[] = []
  const watched = {
    ...target,
    async write(offset: number, part: Uint8Array) {
      order.push(offset < MiB || offset >= bytes.length - 33 * 512 ? 'table' : 'data')
      await target.write(offset, part)
    },
    async flush() {
      order.push('flush')
    },
  }
  await install(storeOn(await diskOn(watched, 'memory')), 'acme_1', smallImage(1))
  const table = order.indexOf('table')
  assert.ok(order.lastIndexOf('data') < table)
  assert.equal(order[table - 1], 'flush')
})

test('a table that another program changed meanwhile is not overwritten', async () => {
  const { store, target } = await storeIn(emptyDisk(12))
  await install(store, 'acme_1', smallImage(1))
  const other = storeOn(await diskOn(target, 'memory'))
  await other.mark(other.find('acme_1'), 'good')
  await assert.rejects(store.mark(store.find('acme_1'), 'off'), { code: 'ERR_DDI_BUSY' })
  assert.deepEqual(statesOf(target.bytes), [['acme_1', 8, 0, true, false]])
})

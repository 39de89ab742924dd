import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { findChains } from '../../lib/disk/chain.js'
import { dissect, extensionTypeUuid, extensionUuid, openImage, requireWhole } from '../../lib/index.js'
import { MiB, makeGptImage, type PartitionSpec, typeUuids } from '../support/images.js'
import { cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const head = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709'
const continued = 58
const extension = (n: number, more: Partial<PartitionSpec> = {}): PartitionSpec => ({
  type: extensionTypeUuid,
  size: MiB,
  uuid: extensionUuid(head, n),
  attributes: [63],
  ...more,
})
const root: PartitionSpec = { type: typeUuids.root, size: MiB, uuid: head, label: 'acme_1', attributes: [continued] }

test('the vectors of the specification', () => {
  const { type, vectors } = JSON.parse(readFileSync(join(packageRoot, 'docs/extension-uuids.json'), 'utf8'))
  assert.equal(type, extensionTypeUuid)
  assert.ok(vectors.length >= 28)
  for (const { head, n, uuid } of vectors) {
    assert.equal(extensionUuid(head, n), uuid)
    assert.equal(extensionUuid(head.toUpperCase(), BigInt(n)), uuid)
  }
})

test('the UUID is OpenSSL’s HMAC, with version and variant', () => {
  const hex = (n: number) => {
    const message = Buffer.concat([Buffer.from(extensionTypeUuid.replaceAll('-', ''), 'hex'), Buffer.alloc(8)])
    message.writeUInt32LE(n, 16)
    const key = `hexkey:${head.replaceAll('-', '')}`
    const escaped = [...message].map((byte) => `\\0${byte.toString(8).padStart(3, '0')}`).join('')
    return run('bash', '-c', `printf '%b' '${escaped}' | openssl dgst -sha256 -mac HMAC -macopt ${key}`)
      .trim()
      .split(' ')
      .at(-1)!
  }
  for (const n of [1, 2, 77]) {
    const digest = hex(n)
    const uuid = extensionUuid(head, n).replaceAll('-', '')
    assert.equal(uuid[12], '8')
    assert.ok('89ab'.includes(uuid[16]!))
    const free = (text: string) => text.slice(0, 12) + text.slice(13, 16) + text.slice(17, 32)
    assert.equal(free(uuid), free(digest))
  }
})

test('counters and heads that are none are refused', () => {
  for (const n of [0, -1, 1.5, 2 ** 60, 0n, 2n ** 64n])
    assert.throws(() => extensionUuid(head, n), { code: 'ERR_DDI_USAGE' })
  assert.throws(() => extensionUuid('x', 1), { code: 'ERR_DDI_USAGE' })
})

async function opened(partitions: readonly PartitionSpec[], sgdisk: readonly string[] = []) {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const starts = makeGptImage(path, 32 * MiB, partitions)
  if (sgdisk.length > 0) run('sgdisk', ...sgdisk, path)
  const image = await openImage(path)
  try {
    const { roles } = await dissect(image, { architectures: ['x86-64'] })
    return { image, starts, roles, orphans: image.orphans }
  } finally {
    await image.close()
  }
}

test('a chain is one volume, in counter order, wherever its segments lie', async () => {
  const { image, starts, orphans } = await opened([
    extension(2),
    { type: typeUuids.home, size: MiB },
    root,
    extension(1, { size: 2 * MiB, attributes: [continued, 63] }),
    extension(7),
  ])
  const volume = requireWhole(image.volumes.find(({ uuid }) => uuid === head)!)
  assert.equal(volume.size, 4 * MiB)
  assert.deepEqual(volume.extents, [
    { kind: 'linear', start: starts[2], length: MiB },
    { kind: 'linear', start: starts[3], length: 2 * MiB },
    { kind: 'linear', start: starts[0], length: MiB },
  ])
  assert.equal(image.volumes.length, 2)
  assert.deepEqual(orphans, [{ uuid: extensionUuid(head, 7), start: starts[4], length: MiB }])
})

test('without CONTINUED no extension is looked for', async () => {
  const { image, orphans } = await opened([{ ...root, attributes: [] }, extension(1)])
  assert.deepEqual(image.volumes[0]!.size, MiB)
  assert.equal(orphans.length, 1)
})

test('CONTINUED counts on types that the specification names, and on ours', async () => {
  const freebsd = '516e7cb5-6ecf-11d6-8ff8-00022d09712b'
  const { image, orphans } = await opened([
    { ...root, type: freebsd },
    extension(1),
    { type: typeUuids.root, size: MiB },
  ])
  assert.equal(requireWhole(image.volumes[0]!).size, MiB)
  assert.equal(orphans.length, 1)
})

test('two heads of one UUID that both continue are both broken; one that ends by itself is not', () => {
  const table = (...attributes: bigint[]) => ({
    sectorSize: 512,
    uuid: head,
    entrySize: 128,
    entryCount: 128,
    usableStart: MiB,
    usableEnd: 8 * MiB,
    partitions: [
      ...attributes.map((bits, n) => ({ ...segment(n + 1), typeUuid: typeUuids.root, uuid: head, attributes: bits })),
      { ...segment(3), typeUuid: extensionTypeUuid, uuid: extensionUuid(head, 1) },
    ],
  })
  const segment = (n: number) => ({ number: n, start: n * MiB, length: MiB, label: `${n}`, attributes: 0n })
  const both = findChains(table(1n << 58n, 1n << 58n)).chains
  for (const { defect } of both) assert.match(defect!.message, /partitions [12] and [12] have one UUID/)
  const [one, other] = findChains(table(1n << 58n, 0n)).chains
  assert.deepEqual(
    [one!.defect, one!.segments.length, other!.defect, other!.segments.length],
    [undefined, 2, undefined, 1],
  )
})

test('a table of 32768 partitions of one UUID is read in linear time', () => {
  for (const bits of [0n, 1n << 58n]) {
    const partitions = Array.from({ length: 32768 }, (_, n) => ({
      number: n + 1,
      typeUuid: n < 16384 ? typeUuids.root : extensionTypeUuid,
      uuid: n < 16384 ? head : extensionUuid(head, n - 16383),
      start: MiB + n * 4096,
      length: 4096,
      attributes: bits,
      label: '',
    }))
    const begun = performance.now()
    findChains({
      sectorSize: 512,
      uuid: head,
      entrySize: 128,
      entryCount: 32768,
      usableStart: MiB,
      usableEnd: 256 * MiB,
      partitions,
    })
    assert.ok(performance.now() - begun < 2000)
  }
})

test('broken and misaligned chains are refused by name, counter and UUID; others stay usable', async () => {
  const missing = [root, extension(1, { attributes: [continued, 63] }), extension(3)]
  await assert.rejects(opened(missing), {
    code: 'ERR_DDI_CHAIN_BROKEN',
    message: new RegExp(`acme_1.*extension 2, partition UUID ${extensionUuid(head, 2)}, is missing`),
  })
  await assert.rejects(opened([root, extension(1), extension(1)]), {
    code: 'ERR_DDI_CHAIN_BROKEN',
    message: /duplicate/,
  })
  await assert.rejects(opened([root, extension(1, { type: typeUuids.home })]), {
    code: 'ERR_DDI_CHAIN_BROKEN',
    message: /is of type 933ac7e1/,
  })
  await assert.rejects(opened([root, extension(1, { size: MiB - 512 })]), { code: 'ERR_DDI_CHAIN_MISALIGNED' })
  // The defect of what would not be used is told, and no more than that.
  const other = { ...root, label: 'acme_0' }
  const { roles, image } = await opened([other, { type: typeUuids.root, size: MiB, label: 'acme_2' }])
  assert.equal(roles.get('root')!.label, 'acme_2')
  assert.deepEqual(
    image.table.problems.map(({ code }) => code),
    ['ERR_DDI_CHAIN_BROKEN'],
  )
})

test('inspect shows extents and orphans', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 32 * MiB, [root, extension(1), extension(9)])
  const { volumes, orphans } = JSON.parse(cli('inspect', path, '--json=short').stdout)
  assert.equal(volumes.length, 1)
  assert.equal(volumes[0].extents.length, 2)
  assert.equal(orphans.length, 1)
})

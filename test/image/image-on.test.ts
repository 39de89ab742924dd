// Images that are no file of their own: in memory, and in a volume of a disk.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  dissect,
  extentSource,
  type Image,
  imageOn,
  memorySource,
  nestedTypeUuid,
  openImage,
  plan,
  verify,
} from '../../lib/index.js'
import { MiB, makeGptImage, makeVerityImage } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

/** What an image says of itself, without where it is. */
async function contents(image: Image, rootHash: string) {
  const dissection = await dissect(image, { rootHash })
  const verified = await verify(dissection)
  const { volumes, table, sectorSize, free } = image
  const types = dissection.volumes.map(({ designator, fileSystem }) => [designator, fileSystem?.type])
  return { volumes, table, sectorSize, free, types, roles: [...dissection.roles.keys()], verified }
}

test('an image in memory is what it is in its file', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  await using file = await openImage(path)
  await using memory = await imageOn(memorySource(readFileSync(path)), { name: 'download' })
  assert.equal(memory.path, null)
  assert.deepEqual(await contents(memory, rootHash), await contents(file, rootHash))
  // It can be read, but no device can be made over it.
  const dissection = await dissect(memory, { rootHash })
  assert.throws(() => plan(dissection), { code: 'ERR_DDI_NOT_IN_FILE', message: /download/ })
})

test('an image in a volume of a disk is what it is in its file, and is planned onto the disk', async () => {
  using folder = temporaryFolder()
  const inner = makeVerityImage(folder.path)
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 64 * MiB, [
    { type: '4d21b016-b534-45c2-a9fb-5c16e091fd2d', size: 2 * MiB },
    { type: nestedTypeUuid, size: 32 * MiB, label: 'acme_1', from: inner.path },
  ])
  await using disk = await openImage(path)
  const volume = disk.volumes.find(({ label }) => label === 'acme_1')
  assert.ok(volume?.state === 'whole')
  await using image = await imageOn(extentSource(disk.source, volume.extents), { name: 'acme_1' })
  await using file = await openImage(inner.path)
  assert.deepEqual(await contents(image, inner.rootHash), await contents(file, inner.rootHash))

  const { name, nodes } = plan(await dissect(image, { rootHash: inner.rootHash }))
  assert.equal(name, 'acme_1')
  const [base, data] = nodes
  assert.deepEqual([base?.kind, base?.kind === 'base' && base.path, base?.size], ['base', path, 64 * MiB])
  const start = Number(/^\s*2\s+(\d+)/m.exec(run('sgdisk', '--print', path))![1]) * 512
  assert.deepEqual(data?.kind === 'linear' && data.extents, [
    { kind: 'linear', base: 'image', start: start + inner.dataStart, length: inner.dataSize },
  ])
})

test('side files belong to files: an image on a source has none, unless it is said where', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  writeFileSync(join(folder.path, 'image.roothash'), rootHash)
  const bytes = memorySource(readFileSync(path))
  await using alone = await imageOn(bytes, { name: path })
  assert.equal((await dissect(alone)).verity.get('root')?.trusted, false)
  await using beside = await imageOn(bytes, { name: 'image', path })
  assert.equal((await dissect(beside)).verity.get('root')?.trusted, true)
})

test('nothing is no image', async () => {
  await assert.rejects(imageOn(memorySource(new Uint8Array()), { name: 'nothing' }), { code: 'ERR_DDI_IMAGE_EMPTY' })
})

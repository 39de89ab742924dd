import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { attach, initDisk, installImage, openStore } from '../../lib/index.js'
import { emptyFile, MiB, makeVerityImage } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { smallImage } from '../support/small-images.js'

test('an image of a store is attached under its root hash, and what is attached is neither removed nor makes room', async () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  emptyFile(disk, 12 * MiB)
  await (await initDisk(disk)).close()
  const image = makeVerityImage(folder.path, 'squashfs', 'acme_1.raw')
  const second = join(folder.path, 'acme_2.raw')
  writeFileSync(second, smallImage(5))
  {
    await using store = await openStore(disk)
    await installImage(store, pathToFileURL(image.path), { rootHash: image.rootHash })
    await installImage(store, pathToFileURL(second))
  }
  await using attachment = await attach(disk, { name: 'stored', rootHash: image.rootHash })
  assert.match(run('blkid', '-p', attachment.volumes[0]!.device), /squashfs/)
  await using store = await openStore(disk)
  const used = await Promise.all(store.images.map(({ volume }) => store.disk.isUsed(volume)))
  assert.equal(used.filter((one) => one).length, 1)
  const [inUse, other] = used[0] ? store.images : [...store.images].reverse()
  await assert.rejects(store.remove(inUse!, { force: true }), { code: 'ERR_DDI_BUSY' })
  const { held, removable } = await store.retention()
  assert.deepEqual([...held.values()], ['in use'])
  assert.deepEqual(removable, [other])
  const free = store.disk.free.reduce((sum, { length }) => sum + length, 0)
  assert.deepEqual(await store.makeRoom(free), [])
  assert.deepEqual(await store.makeRoom(free + 4096), [other])
  await assert.rejects(store.makeRoom(10 * MiB), { code: 'ERR_DDI_NO_SPACE', message: /in use/ })
})

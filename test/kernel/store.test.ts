import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { attach, initDisk, installImage, openStore } from '../../lib/index.js'
import { emptyFile, MiB, makeVerityImage } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'
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

test('the disk of the running image is told from copies by what is attached, and no failed update keeps others back', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  emptyFile(at('disk.raw'), 12 * MiB)
  await (await initDisk(at('disk.raw'))).close()
  writeFileSync(at('acme_1.raw'), smallImage(5))
  const { image } = JSON.parse(cli('store', 'install', at('disk.raw'), at('acme_1.raw'), '--json=short').stdout)
  copyFileSync(at('disk.raw'), at('copy.raw'))
  const loops = ['copy.raw', 'disk.raw'].map((name) => run('losetup', '--find', '--show', at(name)).trim())
  const [copy, disk] = loops as [string, string]
  const stateOn = (path: string) =>
    JSON.parse(cli('store', 'list', path, '--json=short').stdout).stores[0].images[0].state
  mkdirSync('/run/ddi', { recursive: true })
  mkdirSync('/run/sysupdate.d')
  try {
    writeFileSync('/run/ddi/booted', `${image.uuid}\n`)
    const refused = cli('store', 'good')
    assert.match(refused.stderr, /ERR_DDI_STORE_AMBIGUOUS/)
    assert.ok(loops.every((path) => refused.stderr.includes(path)))
    {
      await using _ = await attach(disk, { name: 'running', volumes: ['acme_1'], shareDisk: true })
      const said = cli('store', 'good')
      assert.equal(said.status, 0, said.stderr)
    }
    assert.deepEqual([stateOn(copy), stateOn(disk)], ['new', 'good'])

    writeFileSync(at('acme_2.raw'), smallImage(6))
    for (const [name, source] of [
      ['1-away', at('away')],
      ['2-there', folder.path],
    ])
      writeFileSync(
        `/run/sysupdate.d/${name}.transfer`,
        `[Source]\nType=regular-file\nPath=${source}\nMatchPattern=acme_@v.raw\n[Target]\nType=ddi-store\nPath=${disk}\n`,
      )
    assert.match(cli('store', 'update', '--keep=2').stderr, /--keep.*go with --source/)
    const updated = cli('store', 'update')
    assert.match(updated.stdout, /^acme_2: installed/)
    assert.match(updated.stderr, /away.*ERR_DDI_NOT_FOUND/)
    assert.equal(updated.status, 1)
  } finally {
    for (const path of ['/run/ddi/booted', '/run/sysupdate.d']) rmSync(path, { recursive: true, force: true })
    for (const loop of loops) run('losetup', '--detach', loop)
  }
})

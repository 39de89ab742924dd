import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ambiguousProducts, findStores, initDisk, storeOfProduct } from '../../lib/index.js'
import { makeFragmentedDisk } from '../support/fragments.js'
import { emptyFile, flipBit, MiB, makeVerityImage } from '../support/images.js'
import { attempt, cli, cliPath, run, temporaryFolder } from '../support/run.js'
import { smallImage } from '../support/small-images.js'

/** Runs a verb that has to succeed. @returns what it prints */
function store(...args: readonly string[]): string {
  const { status, stdout, stderr } = cli('store', ...args)
  assert.equal(status, 0, stderr)
  return stdout
}

test('the verbs of a store: install, mark, list, boot-order, remove, check', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const disk = at('disk.raw')
  makeFragmentedDisk(disk)
  const image = makeVerityImage(folder.path, 'erofs', 'acme_1.9.raw')
  run('xz', '--keep', image.path)
  assert.match(store('install', disk, `${image.path}.xz`), /^acme_1\.9: 4\.0M in 1 segment, SHA-256 /)
  writeFileSync(at('plain.raw'), smallImage(5, 24 * MiB))
  run(
    'sh',
    '-c',
    `'${process.execPath}' '${cliPath}' store install '${disk}' - --product acme --version '2.0~rc1' <'${at('plain.raw')}'`,
  )
  assert.match(cli('store', 'install', disk, image.path).stderr, /already.*acme_1\.9/)
  assert.equal(cli('store', 'install', disk, at('plain.raw')).status, 2)
  assert.equal(cli('store', 'install', disk, image.path, '--version=3', '--certificate', at('none')).status, 1)

  assert.match(store('good', disk, 'acme_1.9'), /^acme_1\.9: good\n/)
  assert.match(store('prefer', disk, 'acme_1.9'), /good, priority 15/)
  assert.match(store('boot-order', disk), /acme +1 +acme_1\.9 +good +any number\nacme +2 +acme_2\.0~rc1 +new +3/)
  assert.match(store('on', disk, 'acme_1.9'), /^acme_1\.9: good\n/)
  assert.match(store('boot-order', disk, '--product=acme'), /acme +1 +acme_2\.0~rc1 +new +3/)
  assert.doesNotMatch(store('boot-order', disk, '--read-only'), /rc1/)
  assert.equal(cli('store', 'bad', disk, 'acme_1.9').status, 2)
  for (const verb of ['bad', 'keep', 'release', 'off']) store(verb, disk, 'acme_2.0~rc1')

  const [listed] = JSON.parse(store('list', disk, '--json=short')).stores
  assert.deepEqual(
    listed.images.map(({ label, state, attributes }: Record<string, unknown>) => [label, state, attributes]),
    [
      ['acme_1.9', 'good', '0x1108000000000000'],
      ['acme_2.0~rc1', 'off', listed.images[1].attributes],
    ],
  )
  assert.ok(listed.images[1].extents.length > 1)
  assert.match(store('list', disk), /acme_1\.9 +good.*acme_2\.0~rc1 \(1\)/s)
  assert.match(run('sgdisk', '--verify', disk), /No problems found/)

  assert.equal(store('check', disk), 'acme_1.9: consistent\nacme_2.0~rc1: unprotected\n')
  const [{ start }] = listed.images[0].extents
  flipBit(disk, start + image.dataStart + 5000)
  const damaged = cli('store', 'check', disk)
  assert.equal(damaged.status, 3)
  assert.match(damaged.stdout, /acme_1\.9: damaged: root: 1 data blocks/)
  store('remove', disk, 'acme_2.0~rc1')
  assert.equal(JSON.parse(store('list', disk, '--json=short')).stores[0].images.length, 1)
})

test('what is stored is attached with the same bytes under the same root hash', () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  emptyFile(disk, 64 * MiB)
  assert.equal(cli('volume', 'init', disk, '--entries=512').status, 0)
  const image = makeVerityImage(folder.path, 'squashfs', 'acme_1.raw')
  store('install', disk, image.path, '--root-hash', image.rootHash)
  const { images } = JSON.parse(store('list', disk, '--json=short')).stores[0]
  const [{ start, length }] = images[0].extents
  const copy = join(folder.path, 'copy.raw')
  writeFileSync(copy, readFileSync(disk).subarray(start, start + length))
  assert.ok(length < 4 * MiB, `${length} of ${32 * MiB} bytes`)
  assert.match(run('sgdisk', '--verify', copy), /No problems found/)
  assert.equal(cli('verify', copy, '--root-hash', image.rootHash).status, 0)
  assert.equal(cli('verify', disk, '--root-hash', image.rootHash).status, 0)
  assert.match(attempt('sfdisk', '--dump', disk).stdout, /table-length: 512/)
  const wrong = image.rootHash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
  assert.equal(cli('store', 'install', disk, image.path, '--version=2', '--root-hash', wrong).status, 3)
})

test('two changes at once: the second is refused, and a change waits for nobody', async () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  emptyFile(disk, 64 * MiB)
  await using held = await initDisk(disk)
  const image = join(folder.path, 'acme_1.raw')
  writeFileSync(image, smallImage(1))
  const second = cli('store', 'install', disk, image)
  assert.equal(second.status, 1)
  assert.match(second.stderr, /ERR_DDI_BUSY/)
  assert.equal(held.volumes.length, 0)
})

test('all disks of a machine: those with images, and the products that lie on several', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('sys/class/block'), { recursive: true })
  mkdirSync(at('dev'))
  for (const name of ['sda', 'sda1', 'sdb', 'sdc', 'sr0']) {
    mkdirSync(at(`sys/class/block/${name}`))
    writeFileSync(at(`sys/class/block/${name}/size`), name === 'sr0' ? '0\n' : '65536\n')
    if (name === 'sda1') writeFileSync(at(`sys/class/block/${name}/partition`), '1\n')
    if (name !== 'sr0') emptyFile(at(`dev/${name}`), 32 * MiB)
  }
  for (const [disk, label] of [
    ['sda', 'acme_1'],
    ['sda', 'shop_1'],
    ['sdb', 'acme_2'],
  ] as const) {
    if (label !== 'shop_1') assert.equal(cli('volume', 'init', at(`dev/${disk}`)).status, 0)
    writeFileSync(at(`${label}.raw`), smallImage(1))
    store('install', at(`dev/${disk}`), at(`${label}.raw`))
  }
  symlinkSync('sda', at('dev/sdd'))
  const stores = await findStores({ root: folder.path })
  assert.deepEqual(
    stores.map(({ path, images }) => [path, images.length]),
    [
      [at('dev/sda'), 2],
      [at('dev/sdb'), 1],
    ],
  )
  assert.deepEqual(ambiguousProducts(stores), ['acme'])
  assert.equal(storeOfProduct(stores, 'shop').path, at('dev/sda'))
  assert.throws(() => storeOfProduct(stores, 'acme'), { code: 'ERR_DDI_STORE_AMBIGUOUS' })
  assert.throws(() => storeOfProduct(stores, 'none'), { code: 'ERR_DDI_NO_VOLUME' })
})

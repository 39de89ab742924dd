// Super partitions in other forms than that of a device, changed as lpadd changes them.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/android/index.js'
import type { Super } from '../../lib/disk/super.js'
import { openSuper } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'

function setUp() {
  const folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('data'), randomBytes(300_000))
  return { at, folder, [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

function android(...args: string[]): string {
  const { status, stdout, stderr } = cli('android', ...args)
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`)
  return stdout
}

const metadataOf = (path: string) => JSON.parse(android('dump', path, '--all', '--json=short')).slots

test('a sparse super image is changed in place: what simg2img and 7-Zip make of it is what the raw one becomes', async () => {
  using made = setUp()
  const { at } = made
  const layout = ['--device-size=8M', '--group=main:4M', '--partition=one:readonly:0', `--image=one=${at('data')}`]
  android('make', at('raw'), ...layout)
  android('make', at('stored'), ...layout, '--sparse')
  chmodSync(at('stored'), 0o640)
  symlinkSync('stored', at('link'))
  const from = memorySource(readFileSync(at('data')))
  const changes: [slot: number | 'all', (one: Super) => Promise<unknown>][] = [
    ['all', (one) => one.create({ label: 'two', group: 'main' }, from.size, { from })],
    [0, (one) => one.resize(one.find('one'), 2 * MiB)],
    [1, (one) => one.remove(one.find('two'))],
    [0, (one) => one.resizeGroup('main', 2 * MiB)],
  ]
  for (const [slot, change] of changes) {
    for (const image of ['raw', 'link']) {
      await using opened = await openSuper(at(image), { slot })
      await change(opened)
    }
    run('simg2img', at('stored'), at('expanded'))
    assert.ok(readFileSync(at('expanded')).equals(readFileSync(at('raw'))), String(change))
  }
  assert.ok(statSync(at('stored')).size < MiB)
  assert.equal(statSync(at('stored')).mode & 0o777, 0o640)
  assert.ok(lstatSync(at('link')).isSymbolicLink())
  run('7zz', 'x', '-y', '-tLP', `-o${at('theirs')}`, at('expanded'))
  assert.ok(
    readFileSync(at('theirs/two.img'))
      .subarray(0, 300_000)
      .equals(readFileSync(at('data'))),
  )

  const before = readFileSync(at('stored'))
  assert.match(cli('android', 'add', at('stored'), 'three', '--size=1G').stderr, /ERR_DDI_NO_SPACE/)
  const damaged = Buffer.from(before)
  damaged.writeUInt32LE(0x12345678, 24)
  writeFileSync(at('damaged'), damaged)
  assert.match(cli('android', 'remove', at('damaged'), 'one').stderr, /ERR_DDI_SPARSE_CRC/)
  assert.ok(readFileSync(at('damaged')).equals(damaged) && readFileSync(at('stored')).equals(before))
  assert.deepEqual(readdirSync(made.folder.path).sort(), [
    'damaged',
    'data',
    'expanded',
    'link',
    'raw',
    'stored',
    'theirs',
  ])
})

test('several changes of a sparse image in one go, with nobody else between', async () => {
  using made = setUp()
  const path = made.at('stored')
  android('make', path, '--device-size=8M', '--sparse')
  {
    await using opened = await openSuper(path)
    for (const label of ['one', 'two']) {
      await opened.create({ label }, MiB)
      assert.match(cli('android', 'add', path, 'theirs', '--size=0').stderr, /ERR_DDI_BUSY/)
    }
    await opened.remove(opened.find('one'))
  }
  assert.match(android('dump', path), /\btwo\b/)
  assert.doesNotMatch(android('dump', path), /\bone\b/)
  android('add', path, 'mine', '--size=0')
  assert.deepEqual(readdirSync(made.folder.path).sort(), ['data', 'stored'])
})

test('a super_empty.img is changed, and becomes the super partition that it describes; what has no extents has no bytes', async () => {
  using made = setUp()
  const { at } = made
  const layout = ['--device-size=8M', '--group=main:4M', '--partition=one:none:1M']
  android('make', at('super.img'), ...layout)
  const disk = readFileSync(at('super.img'))
  const used = disk.readUInt32LE(12_288 + 8) + disk.readUInt32LE(12_288 + 44)
  const empty = Buffer.concat([disk.subarray(4096, 8192), disk.subarray(12_288, 12_288 + used)])
  android('make', at('super_empty.img'), ...layout, '--metadata-only')
  assert.ok(readFileSync(at('super_empty.img')).equals(empty))
  for (const more of ['--sparse', `--image=one=${at('data')}`])
    assert.equal(cli('android', 'make', at('none'), ...layout, '--metadata-only', more).status, 2)
  for (const image of ['super_empty.img', 'super.img']) {
    await using opened = await openSuper(at(image), { slot: 'all' })
    await opened.create({ label: 'two', group: 'main' }, 0)
    await opened.resize(opened.find('one'), 2 * MiB)
    await opened.resizeGroup('main', 5 * MiB)
  }
  assert.deepEqual(metadataOf(at('super_empty.img')), metadataOf(at('super.img')))
  assert.ok(readFileSync(at('super_empty.img')).length < 8192)
  assert.match(cli('android', 'add', at('super_empty.img'), 'three', `--from=${at('data')}`).stderr, /ERR_DDI_USAGE/)
  android('convert', at('super_empty.img'), at('whole'))
  assert.ok(readFileSync(at('whole')).equals(readFileSync(at('super.img'))))
  android('convert', at('super_empty.img'), at('sparse'), '--sparse')
  run('simg2img', at('sparse'), at('expanded'))
  assert.ok(readFileSync(at('expanded')).equals(readFileSync(at('super.img'))))
  assert.equal(cli('android', 'extract', at('super_empty.img')).status, 3)
  android('extract', at('super.img'), 'two', `--output=${at('out')}`)
  assert.equal(statSync(at('out/two.img')).size, 0)
})

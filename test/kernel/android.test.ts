// Logical partitions of Android super partitions as devices.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { list, openSuper } from '../../lib/index.js'
import { MiB, makeGptImage, typeUuids } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { assembleSuper } from '../support/super.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

test('logical partitions of slot b: linear and zero extents, the right bytes, read-only where they say so', async () => {
  using folder = temporaryFolder()
  const disk = assembleSuper({
    metadataSize: 8192,
    slots: 2,
    blockSize: 4096,
    header: { minor: 1, length: 128 },
    partitions: [
      { name: 'system', attributes: 3, first: 0, count: 3, group: 0 },
      { name: 'data_b', attributes: 0, first: 3, count: 1, group: 0 },
      { name: 'off_b', attributes: 8, first: 4, count: 1, group: 0 },
      { name: 'none_b', attributes: 0, first: 0, count: 0, group: 0 },
    ],
    extents: [
      { sectors: 16n, type: 0, data: 4096n, source: 0 },
      { sectors: 8n, type: 1, data: 0n, source: 0 },
      { sectors: 8n, type: 0, data: 2048n, source: 0 },
      { sectors: 2048n, type: 0, data: 5000n, source: 0 },
      { sectors: 8n, type: 0, data: 3000n, source: 0 },
    ],
    groups: [{ name: 'default', flags: 0, maximum: 0n }],
    devices: [{ first: 2048n, alignment: 1048576, offset: 0, size: 8388608n, name: 'super', flags: 0 }],
  })
  randomBytes(7 * MiB).copy(disk, MiB)
  const path = join(folder.path, 'super.img')
  writeFileSync(path, disk)
  const at = (sector: number, sectors: number) => disk.subarray(sector * 512, (sector + sectors) * 512)
  const { status, stdout, stderr } = cli('android', 'attach', path, '--slot=b', '--writable', '--json=short')
  assert.equal(status, 0, stderr)
  try {
    const { volumes } = JSON.parse(stdout)
    assert.deepEqual(
      volumes.map(({ node, readOnly }: { node: string; readOnly: boolean }) => [node, readOnly]),
      [
        ['system_b', true],
        ['data_b', false],
      ],
    )
    assert.ok(readFileSync(volumes[0].device).equals(Buffer.concat([at(4096, 16), Buffer.alloc(4096), at(2048, 8)])))
    assert.ok(readFileSync(volumes[1].device).equals(at(5000, 2048)))
    assert.match(dmTable('ddi-super-system_b'), /^0 16 linear \S+ 4096\n16 8 zero ?\n24 8 linear \S+ 2048$/)
    assert.deepEqual((await list())[0]!.volumes.map(({ designator }) => designator).sort(), ['data_b', 'system_b'])
    await using opened = await openSuper(path, { slot: 1 })
    await assert.rejects(opened.remove(opened.find('data_b')), { code: 'ERR_DDI_BUSY' })
    await assert.rejects(opened.resize(opened.find('data_b'), 2 * MiB), { code: 'ERR_DDI_BUSY' })
    await opened.create({ label: 'new_b' }, MiB)
  } finally {
    assert.equal(cli('detach', path).status, 0)
  }
})

test('a super partition in a GPT, and one over two devices, attach straight onto their bases', () => {
  using folder = temporaryFolder()
  const content = join(folder.path, 'content')
  const bytes = randomBytes(5 * MiB)
  writeFileSync(content, bytes)
  const inner = join(folder.path, 'super.img')
  const make = (...args: string[]) => {
    const { status, stderr } = cli('android', 'make', ...args, `--image=system_a=${content}`)
    assert.equal(status, 0, stderr)
  }
  make(inner, '--device-size=8M', '--partition=system_a:readonly:0')
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 32 * MiB, [{ type: typeUuids.linuxGeneric, size: 8 * MiB, label: 'super', from: inner }])
  make(join(folder.path, 'two'), '--device=super:4M', '--device=more:4M', '--partition=system_a:readonly:0')
  for (const [image, loops] of [
    [path, 1],
    [join(folder.path, 'two/super.img'), 2],
  ] as const) {
    const { status, stderr } = cli('android', 'attach', image, 'system_a', '--name=one')
    assert.equal(status, 0, stderr)
    try {
      assert.ok(readFileSync('/dev/mapper/ddi-one-system_a').equals(bytes))
      assert.equal(run('losetup', '--list', '--noheadings').trim().split('\n').length, loops)
    } finally {
      assert.equal(cli('detach', 'one').status, 0)
    }
  }
})

test('a volume of a disk is attached by its label, whatever it is for', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const content = join(folder.path, 'content')
  writeFileSync(content, randomBytes(MiB))
  makeGptImage(path, 32 * MiB, [
    { type: typeUuids.home, size: MiB, label: 'one' },
    { type: typeUuids.home, size: MiB, label: 'a two-1.4', from: content },
  ])
  const { status, stdout, stderr } = cli('attach', path, '--volume=a two-1.4', '--name=by-label', '--json=short')
  assert.equal(status, 0, stderr)
  try {
    const [{ device, designator }] = JSON.parse(stdout).volumes
    assert.deepEqual([device, designator], ['/dev/mapper/ddi-by-label-a_two_1.4', null])
    assert.ok(readFileSync(device).equals(readFileSync(content)))
  } finally {
    assert.equal(cli('detach', path).status, 0)
  }
  assert.match(cli('attach', path, '--volume=none').stderr, /ERR_DDI_NO_VOLUME/)
})

// Held against QEMU's own tools.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DdiError, pull } from '../../lib/index.js'
import { settingsOf } from '../../lib/pull/options.js'
import { receiveStream } from '../../lib/pull/receive.js'
import { VolumeDestination } from '../../lib/pull/to-volume.js'
import { makeFragmentedDisk } from '../support/fragments.js'
import { MiB, typeUuids } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

const no = { verify: 'no', retries: 0 } as const

/** A disk with data, text, holes, and an end that is no whole cluster. */
function disk(): Buffer {
  const bytes = Buffer.alloc(5 * MiB + 512 * 3)
  randomBytes(700_000).copy(bytes, 100_000)
  bytes.fill('some text', 2 * MiB, 3 * MiB)
  randomBytes(1000).copy(bytes, bytes.length - 1000)
  return bytes
}

const variants: Readonly<Record<string, readonly string[]>> = {
  'version 2': ['-o', 'compat=0.10'],
  'version 3': ['-o', 'compat=1.1,lazy_refcounts=on'],
  'small clusters': ['-o', 'cluster_size=512'],
  'large clusters': ['-o', 'cluster_size=2M'],
  deflated: ['-c'],
  'deflated, version 2': ['-c', '-o', 'compat=0.10'],
  'deflated, small clusters': ['-c', '-o', 'cluster_size=512'],
  'deflated, large clusters': ['-c', '-o', 'cluster_size=2M'],
  zstd: ['-c', '-o', 'compression_type=zstd'],
}

test('qcow2 images become raw ones, as qemu-img converts them', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const bytes = disk()
  writeFileSync(at('raw'), bytes)
  const target = { kind: 'raw', path: at('out.raw'), replace: true } as const
  for (const [name, options] of Object.entries(variants)) {
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, at('raw'), at('disk.qcow2'))
    const { size } = await pull(`file://${at('disk.qcow2')}`, target, no)
    assert.ok(readFileSync(at('out.raw')).equals(bytes), name)
    assert.equal(size, bytes.length)
    assert.ok(statSync(at('out.raw')).blocks * 512 < 2 * MiB, 'zeroes are holes')
  }
  // Clusters that are marked as zero, and a snapshot with other bytes.
  run('qemu-img', 'snapshot', '-c', 'before', at('disk.qcow2'))
  run('qemu-io', '-f', 'qcow2', '-c', 'write -z 0 1M', '-c', 'write -P 7 2M 64k', at('disk.qcow2'))
  const changed = Buffer.from(bytes)
  changed.fill(0, 0, MiB).fill(7, 2 * MiB, 2 * MiB + 65536)
  await pull(`file://${at('disk.qcow2')}`, target, no)
  assert.ok(readFileSync(at('out.raw')).equals(changed))
  // Packed once more, resumed, verified by the SHA-256 of what was published.
  run('xz', '-1', '--keep', at('disk.qcow2'))
  const sha256 = createHash('sha256')
    .update(readFileSync(at('disk.qcow2.xz')))
    .digest('hex')
  await pull(`file://${at('disk.qcow2.xz')}`, target, { verify: { sha256 } })
  assert.ok(readFileSync(at('out.raw')).equals(changed))
  assert.deepEqual(readdirSync(folder.path).sort(), ['disk.qcow2', 'disk.qcow2.xz', 'out.raw', 'raw'])
})

test('what a large disk has not stored is no work', async () => {
  using folder = temporaryFolder()
  const [packed, path] = [join(folder.path, 'disk.qcow2'), join(folder.path, 'disk.raw')]
  const size = 2 * 1024 ** 4
  run('qemu-img', 'create', '-q', '-f', 'qcow2', packed, String(size))
  run('qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1000G 64k', packed)
  await pull(`file://${packed}`, { kind: 'raw', path }, { ...no, maxSize: size })
  assert.match(run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', packed, path), /identical/)
  assert.ok(statSync(path).blocks * 512 < MiB)
})

test('a qcow2 image becomes a volume, and comes as a stream', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('raw'), disk().subarray(0, 2 * MiB))
  run('qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2', at('raw'), at('disk.qcow2'))
  makeFragmentedDisk(at('disk'))
  const target = { kind: 'volume', disk: at('disk'), label: 'new', typeUuid: typeUuids.home } as const
  await using destination = await VolumeDestination.open(target)
  const { size } = await receiveStream(createReadStream(at('disk.qcow2')), destination, settingsOf(no))
  assert.equal(size, 2 * MiB)
  const written = readFileSync(at('disk'))
  const [first] = destination.made!.extents
  assert.ok(first?.kind === 'linear')
  assert.ok(
    written.subarray(first.start, first.start + first.length).equals(readFileSync(at('raw')).subarray(0, first.length)),
  )
})

test('qcow2 images that cannot be converted are refused by what they have, and malformed ones as such', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const path = at('out.raw')
  const refused = async (name: string, code: string, message: RegExp, more: object = {}) =>
    await assert.rejects(pull(`file://${at(name)}`, { kind: 'raw', path }, { ...no, ...more }), (error: DdiError) => {
      assert.equal(error.code, code, name)
      assert.match(error.message, message)
      return true
    })
  run('qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '1M')
  run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('backed'), '1M')
  run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on', at('extended'), '1M')
  run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `data_file=${at('data')},data_file_raw=on`, at('external'), '1M')
  run('qemu-img', 'create', '-q', '-f', 'qcow', at('first'), '1M')
  const secret = [
    '--object',
    'secret,id=s,data=x',
    '-o',
    'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
  ]
  run('qemu-img', 'create', '-q', '-f', 'qcow2', ...secret, at('encrypted'), '1M')
  await refused('backed', 'ERR_DDI_PULL_FORMAT', /a backing file/)
  await refused('extended', 'ERR_DDI_PULL_FORMAT', /extended entries/)
  await refused('external', 'ERR_DDI_PULL_FORMAT', /a data file/)
  await refused('first', 'ERR_DDI_PULL_FORMAT', /version 1/)
  await refused('encrypted', 'ERR_DDI_PULL_FORMAT', /encryption/)
  await refused('base', 'ERR_DDI_PULL_TOO_LARGE', /1000 bytes|more than/, { maxSize: 500_000 })
  const base = readFileSync(at('base'))
  const damaged: Readonly<Record<string, (bytes: Buffer) => void>> = {
    'a small table': (bytes) => void bytes.writeBigUInt64BE(2n ** 40n, 24),
    'odd clusters': (bytes) => void bytes.writeUInt32BE(22, 20),
    'a table elsewhere': (bytes) => void bytes.writeBigUInt64BE(2n ** 60n, 40),
    'the mark of corruption': (bytes) => void bytes.writeBigUInt64BE(2n, 72),
  }
  for (const damage of Object.values(damaged)) {
    const bytes = Buffer.from(base)
    damage(bytes)
    writeFileSync(at('damaged'), bytes)
    await refused('damaged', 'ERR_DDI_QCOW2', /./, { maxSize: 2 ** 50 })
  }
  for (const length of [4, 71, 1000]) {
    writeFileSync(at('damaged'), base.subarray(0, length))
    await refused('damaged', 'ERR_DDI_QCOW2', /./)
  }
  assert.ok(!readdirSync(folder.path).some((name) => name.startsWith('.')))
})

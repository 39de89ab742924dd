import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { extensionTypeUuid, nestedTypeUuid, openDisk, pull } from '../../lib/index.js'
import { makeFragmentedDisk } from '../support/fragments.js'
import { MiB, makeFileSystem, makeVerityImage, typeUuids } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { type ServedFile, serve } from '../support/server.js'

const no = { verify: 'no' } as const

/** The bytes of a volume by where sgdisk says that its segments are. */
async function volumeBytes(path: string, label: string): Promise<Buffer> {
  await using disk = await openDisk(path)
  const { extents } = disk.find(label)
  const bytes = readFileSync(path)
  const rows = run('sgdisk', '--print', path)
    .split('\n')
    .flatMap((line) => {
      const [, first, last] = /^\s*\d+\s+(\d+)\s+(\d+)\s/.exec(line) ?? []
      return first === undefined ? [] : [`${Number(first) * 512}+${(Number(last) - Number(first) + 1) * 512}`]
    })
  for (const { start, length } of extents) assert.ok(rows.includes(`${start}+${length}`), `${start} is a partition`)
  return Buffer.concat(extents.map(({ start, length }) => bytes.subarray(start, start + length)))
}

test('an image becomes a volume in as many segments as needed, compressed or not, and zeroes are zeroes', async () => {
  using folder = temporaryFolder()
  const image = makeVerityImage(folder.path)
  const bytes = readFileSync(image.path)
  run('xz', '--keep', image.path)
  const odd = Buffer.alloc(5000, 'odd')
  await using server = await serve({
    '/image.raw': { bytes },
    '/image.raw.xz': { bytes: readFileSync(`${image.path}.xz`) },
    '/odd.raw': { bytes: odd },
  })
  for (const name of ['image.raw', 'image.raw.xz']) {
    const disk = join(folder.path, `${name}.disk`)
    makeFragmentedDisk(disk)
    // Free space is full of what was there.
    const old = readFileSync(disk)
    for (let at = 8 * MiB; at < 84 * MiB; at += 14 * MiB) old.fill(0xee, at, at + 7 * MiB)
    old.fill(0xee, 85 * MiB, 95 * MiB)
    writeFileSync(disk, old)
    const { volume, path } = await pull(
      `${server.url}/${name}`,
      { kind: 'volume', disk, label: 'os_1', rootHash: image.rootHash },
      no,
    )
    assert.equal(path, disk)
    assert.equal(volume!.typeUuid, nestedTypeUuid)
    assert.ok(volume!.extents.length > 3)
    assert.ok((await volumeBytes(disk, 'os_1')).equals(bytes), name)
    assert.equal(run('sgdisk', '--verify', disk).includes('No problems found'), true)
    const types = run('sfdisk', '--json', disk)
    assert.equal(types.toLowerCase().split(extensionTypeUuid).length - 1, volume!.extents.length - 1)
    const { volume: small } = await pull(
      `${server.url}/odd.raw`,
      { kind: 'volume', disk, label: 'odd', typeUuid: typeUuids.home },
      no,
    )
    assert.equal(small!.size, 8192)
    assert.ok((await volumeBytes(disk, 'odd')).equals(Buffer.concat([odd, Buffer.alloc(8192 - 5000)])))
  }
})

test('if anything is wrong, the disk is as before', async () => {
  using folder = temporaryFolder()
  const image = makeVerityImage(folder.path)
  const bytes = readFileSync(image.path)
  const flipped = Buffer.from(bytes)
  flipped[image.dataStart + 5000]! ^= 1
  const files: Record<string, ServedFile> = {
    '/image.raw': { bytes },
    '/flipped.raw': { bytes: flipped },
    '/empty.raw': { bytes: Buffer.alloc(0) },
    '/plain.raw': { bytes: readFileSync(makeFileSystem(folder.path, 'ext4')) },
    '/large.raw': { bytes: Buffer.alloc(60 * MiB, 'x') },
    '/large.raw.gz': { bytes: Buffer.from(run('sh', '-c', 'head -c 60M /dev/zero | gzip -1 | base64'), 'base64') },
  }
  await using server = await serve(files)
  const disk = join(folder.path, 'disk.raw')
  makeFragmentedDisk(disk)
  const tables = () => {
    const whole = readFileSync(disk)
    return Buffer.concat([whole.subarray(0, MiB), whole.subarray(-33 * 512)])
  }
  const before = tables()
  const { rootHash } = image
  const wrong = { sha256: 'f'.repeat(64) }
  const other = rootHash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
  for (const [name, more, options, code] of [
    ['image', {}, { verify: wrong }, 'ERR_DDI_PULL_CHECKSUM'],
    ['image', { rootHash: other }, no, 'ERR_DDI_ROOT_HASH_MISMATCH'],
    ['flipped', { rootHash }, no, 'ERR_DDI_VERITY_CORRUPT'],
    ['plain', {}, no, 'ERR_DDI_NO_TABLE'],
    ['empty', {}, no, 'ERR_DDI_IMAGE_EMPTY'],
    ['large', {}, no, 'ERR_DDI_NO_SPACE'],
    ['none', {}, no, 'ERR_DDI_PULL_NOT_FOUND'],
    ['image', {}, { ...no, maxSize: MiB }, 'ERR_DDI_PULL_TOO_LARGE'],
    ['plain', { rootHash, typeUuid: typeUuids.home }, no, 'ERR_DDI_USAGE'],
  ] as const) {
    await assert.rejects(
      pull(`${server.url}/${name}.raw`, { kind: 'volume', disk, label: 'new', ...more }, options),
      { code },
      name,
    )
    assert.ok(tables().equals(before), name)
  }
  await assert.rejects(pull(`${server.url}/large.raw.gz`, { kind: 'volume', disk, label: 'new' }, no), {
    code: 'ERR_DDI_NO_SPACE',
  })
  const stop = new AbortController()
  await assert.rejects(
    pull(
      `${server.url}/image.raw`,
      { kind: 'volume', disk, label: 'new' },
      { ...no, signal: stop.signal, onProgress: ({ done }) => done > 9 * MiB && stop.abort() },
    ),
    { code: 'ERR_DDI_ABORTED' },
  )
  assert.ok(tables().equals(before))
  await pull(`${server.url}/image.raw`, { kind: 'volume', disk, label: 'new' }, no)
  await assert.rejects(pull(`${server.url}/image.raw`, { kind: 'volume', disk, label: 'new' }, no), {
    code: 'ERR_DDI_VOLUME_EXISTS',
  })
})

test('the command line pulls into volumes, directories and standard output, and refuses options that conflict', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const image = makeVerityImage(folder.path)
  makeFragmentedDisk(at('disk.raw'))
  const url = `file://${image.path}`
  const made = cli(
    'pull',
    url,
    '--verify=no',
    `--disk=${at('disk.raw')}`,
    '--volume=os_1',
    `--root-hash=${image.rootHash}`,
  )
  assert.equal(made.status, 0, made.stderr)
  assert.match(made.stdout, /disk\.raw os_1 in \d segments: 32M/)
  assert.match(cli('volume', 'list', at('disk.raw')).stdout, /os_1/)
  writeFileSync(at('home.raw'), Buffer.alloc(MiB, 'home'))
  const home = ['--verify=no', `--disk=${at('disk.raw')}`, '--volume=os_2', '--volume-type=home', '--json=short']
  const json = cli('pull', `file://${at('home.raw')}`, ...home)
  assert.equal(JSON.parse(json.stdout).volume.label, 'os_2')
  run('tar', '-C', folder.path, '-cf', at('tree.tar'), 'disk.raw')
  const tree = cli('pull', `file://${at('tree.tar')}`, '--verify=no', `--output=${at('unpacked')}`)
  assert.equal(tree.status, 0, tree.stderr)
  assert.ok(readFileSync(at('unpacked/disk.raw')).equals(readFileSync(at('disk.raw'))))
  run('gzip', '--keep', at('tree.tar'))
  run(
    'sh',
    '-c',
    `XDG_CACHE_HOME='${at('cache')}' '${process.execPath}' dist/cli/main.js pull 'file://${at('tree.tar.gz')}' --verify=no --output=- | cmp - '${at('tree.tar')}'`,
  )
  assert.equal(run('find', at('cache'), '-type', 'f'), '')
  for (const bad of [
    ['--disk=x'],
    ['--volume=x'],
    ['name', '--output=x'],
    ['--type=tar', '--disk=x', '--volume=y'],
    ['--type=tar', '--root-hash=00'],
    ['--output=-', '--force'],
    ['--output=-', '--json=short'],
    ['--disk=x', '--volume=y', '--force'],
    ['--disk=x', '--volume=y', '--volume-type=nothing'],
    ['--key=x'],
    ['--retries=many'],
  ])
    assert.equal(cli('pull', url, '--verify=no', ...bad).status, 2, bad.join(' '))
})

// Held against libsparse's own tools, and against what liblp's lpmake, lpadd and lpdump do.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource, openSparse } from '../../lib/android/index.js'
import { cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const block = 4096

function succeeds(...args: string[]): string {
  const { status, stdout, stderr } = cli('android', ...args)
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`)
  return stdout
}

test('an image of an odd size becomes the same sparse image that img2simg makes', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const size of [1, block - 1, 3 * block + 5]) {
    writeFileSync(at('raw'), randomBytes(size))
    run('img2simg', at('raw'), at('theirs'))
    succeeds('convert', at('raw'), at('ours'), '--sparse', '--force')
    for (const name of ['theirs', 'ours']) run('simg2img', at(name), at(`${name}.raw`))
    assert.ok(readFileSync(at('ours.raw')).equals(readFileSync(at('theirs.raw'))), `${size}`)
    assert.equal(readFileSync(at('ours.raw')).length % block, 0)
  }
})

test('parts of a split sparse image are joined as simg2img joins them', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const raw = Buffer.concat([
    randomBytes(40 * block),
    Buffer.alloc(9 * block, 'fill'),
    Buffer.alloc(30 * block),
    randomBytes(21 * block),
  ])
  writeFileSync(at('raw'), raw)
  run('img2simg', at('raw'), at('whole'))
  run('simg2simg', at('whole'), at('part'), String(20 * block))
  const parts = readdirSync(folder.path)
    .filter((name) => name.startsWith('part.'))
    .sort()
    .map(at)
  assert.ok(parts.length > 2)
  succeeds('convert', ...parts, at('joined'))
  run('simg2img', ...parts, at('theirs'))
  assert.ok(readFileSync(at('joined')).equals(readFileSync(at('theirs'))))
  assert.ok(readFileSync(at('joined')).equals(raw))
  succeeds('convert', ...parts, at('again'), '--sparse')
  run('simg2img', at('again'), at('theirs'))
  assert.ok(readFileSync(at('theirs')).equals(raw))
  // A part of another image, and one that is not sparse.
  writeFileSync(at('other.raw'), randomBytes(block))
  run('img2simg', at('other.raw'), at('other'))
  assert.equal(cli('android', 'convert', parts[0]!, at('other'), at('none')).status, 3)
  assert.equal(cli('android', 'convert', parts[0]!, at('raw'), at('none')).status, 2)
  assert.ok(!readdirSync(folder.path).includes('none'))
})

test('chunks without blocks add nothing, as for simg2img', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const data = randomBytes(block)
  const chunk = (type: number, blocks: number, data: Buffer) => {
    const head = Buffer.alloc(12)
    head.writeUInt16LE(type)
    head.writeUInt32LE(blocks, 4)
    head.writeUInt32LE(12 + data.length, 8)
    return Buffer.concat([head, data])
  }
  const header = Buffer.alloc(28)
  header.writeUInt32LE(0xed26ff3a)
  for (const [at, value] of [
    [4, 1],
    [8, 28],
    [10, 12],
  ] as const)
    header.writeUInt16LE(value, at)
  for (const [at, value] of [
    [12, block],
    [16, 1],
    [20, 4],
  ] as const)
    header.writeUInt32LE(value, at)
  const none = Buffer.alloc(0)
  const image = Buffer.concat([
    header,
    chunk(0xcac1, 0, none),
    chunk(0xcac2, 0, Buffer.alloc(4)),
    chunk(0xcac1, 1, data),
    chunk(0xcac3, 0, none),
  ])
  writeFileSync(at('image'), image)
  run('simg2img', at('image'), at('theirs'))
  const ours = await openSparse(memorySource(image))
  assert.deepEqual(Buffer.from(await ours.read(0, ours.size)), readFileSync(at('theirs')))
  assert.deepEqual(ours.written, [{ start: 0, length: block }])
})

test('a device as large as its partitions need, metadata in whole sectors, and a partition in place of another', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const image = at('super.img')
  writeFileSync(at('a.img'), randomBytes(3 * block))
  const make = [
    'make',
    image,
    '--device-size=auto',
    '--metadata-size=65000',
    '--partition=a:readonly:0',
    `--image=a=${at('a.img')}`,
  ]
  succeeds(...make, '--partition=b:none:1025K')
  const [dumped] = JSON.parse(succeeds('dump', image, '--json=short')).slots
  assert.equal(dumped.geometry.metadataSize, 65024)
  // The metadata end within the first MiB; a takes the second, b two more.
  assert.equal(dumped.devices[0].size, 4 * 1024 * 1024)
  const all = JSON.parse(succeeds('dump', image, '--all', '--json=short'))
  assert.deepEqual(
    all.slots.map(({ slot }: { slot: number }) => slot),
    [0, 1],
  )
  assert.match(succeeds('dump', image, '--all'), /slot a of 2[\s\S]*slot b of 2/)

  writeFileSync(at('new.img'), randomBytes(5 * block))
  assert.notEqual(cli('android', 'add', image, 'a', '--from', at('new.img'), '--slot=b').status, 0)
  succeeds('make', image, '--device-size=4M', '--metadata-slots=1', '--group=main:1M', '--force')
  succeeds('add', image, 'c', '--from', at('new.img'), '--replace')
  writeFileSync(at('newer.img'), randomBytes(2 * block))
  succeeds('add', image, 'c', '--from', at('newer.img'), '--replace', '--attributes=readonly')
  // What lpadd takes as arguments stays as it was unless it is given.
  const heads = () =>
    JSON.parse(succeeds('dump', image, '--json=short')).slots[0].partitions.map(
      ({ name, group, attributes: { readOnly } }: { name: string; group: string; attributes: { readOnly: boolean } }) =>
        [name, group, readOnly].join(),
    )
  succeeds('add', image, 'c', '--from', at('new.img'), '--replace', '--group=main')
  assert.deepEqual(heads(), ['c,main,true'])
  succeeds('add', image, 'c', '--from', at('newer.img'), '--replace', '--attributes=none')
  assert.deepEqual(heads(), ['c,main,false'])
  succeeds('extract', image, 'c', '--output', at('out'))
  assert.ok(readFileSync(at('out/c.img')).equals(readFileSync(at('newer.img'))))
  assert.equal(cli('android', 'add', image, 'c', '--size=1G', '--replace').status, 1)
  assert.match(succeeds('dump', image), /\bc\b/)
})

test('a super_empty.img, which has the metadata alone, is shown', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const more of [[], ['--virtual-ab', '--partition=a_a:readonly:1M', '--auto-slot-suffixing']]) {
    succeeds('make', at('super.img'), '--device-size=8M', '--group=main:4M', '--force', ...more)
    const disk = readFileSync(at('super.img'))
    const [geometryAt, metadataAt, size] = [4096, 12288, 65536]
    const tables = disk.subarray(metadataAt, metadataAt + size)
    const used = tables.readUInt32LE(8) + tables.readUInt32LE(44)
    // As liblp's WriteToImageFile: one geometry, and one copy of the metadata.
    writeFileSync(
      at('super_empty.img'),
      Buffer.concat([disk.subarray(geometryAt, geometryAt + 4096), tables.subarray(0, used)]),
    )
    const { image: _, ...empty } = JSON.parse(succeeds('dump', at('super_empty.img'), '--json=short'))
    const { image: __, ...whole } = JSON.parse(succeeds('dump', at('super.img'), '--json=short'))
    assert.deepEqual(empty, whole)
    for (const length of [60, 4100, 4096 + 130]) {
      writeFileSync(at('cut'), readFileSync(at('super_empty.img')).subarray(0, length))
      assert.equal(cli('android', 'dump', at('cut')).status, 3, `${length}`)
    }
  }
})

test('standard input and output are images as files are', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const raw = Buffer.concat([randomBytes(9 * block), Buffer.alloc(20 * block)])
  writeFileSync(at('raw'), raw)
  run('img2simg', at('raw'), at('sparse'))
  const ddi = `node '${join(packageRoot, 'dist/cli/main.js')}' android`
  const piped = (command: string) => spawnSync('sh', ['-c', command], { cwd: folder.path, maxBuffer: 1 << 26 })
  assert.ok(piped(`cat sparse | ${ddi} convert - -`).stdout.equals(raw))
  assert.equal(piped(`${ddi} convert - --sparse - < raw > again && simg2img again back`).status, 0)
  assert.ok(readFileSync(at('back')).equals(raw))
  const layout = ['--device-size=4M', '--partition=one:none:0', `--image=one=${at('raw')}`]
  succeeds('make', at('super.img'), ...layout, '--sparse')
  assert.match(`${piped(`cat super.img | ${ddi} dump -`).stdout}`, /^one /m)
  assert.ok(piped(`cat super.img | ${ddi} extract - one --output -`).stdout.equals(raw))
  for (const command of [
    `convert - - x < raw`,
    `extract super.img --output -`,
    `extract super.img one --output - --json`,
  ])
    assert.equal(piped(`${ddi} ${command}`).status, 2, command)
  assert.equal(piped(`printf '' | ${ddi} convert - x`).status, 3)
  assert.ok(!readdirSync(folder.path).includes('x'))
})

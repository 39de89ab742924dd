// Disks that have partitions: systemd's own test of systemd-repart (TEST-58-REPART) says what becomes of them.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { buildImage, dissect, openImage, partitionDisk } from '../../lib/index.js'
import { parseCertificates } from '../../lib/verity/index.js'
import { defineImage, emptyFile, MiB, typeUuids } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { cli, run, temporaryFolder } from '../support/run.js'

const seed = '750b6cd5-c4ae-4012-a15e-7be3c29e6a47'
const GiB = 1024 * MiB

/** Entries as `sfdisk --dump` has them. */
const entries = (path: string) =>
  run('sfdisk', '--dump', path)
    .split('\n')
    .filter((line) => line.startsWith(path))
    .map((line) => line.slice(path.length).replace(/\s+/g, ' '))

function table(path: string, size: number, ...lines: string[]): void {
  emptyFile(path, size)
  writeFileSync(`${path}.script`, ['label: gpt', ...lines, ''].join('\n'))
  run('sh', '-c', `sfdisk --quiet '${path}' < '${path}.script'`)
}

function define(directory: string, name: string, ...lines: string[]): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, `${name}.conf`), ['[Partition]', ...lines, ''].join('\n'))
}

test('TEST-58 basic: partitions are added to a disk, deferred, and grow with it', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'zzz')]
  define(definitions, 'root', 'Type=root')
  symlinkSync('root.conf', join(definitions, 'root2.conf'))
  define(definitions, 'home', 'Type=home', 'Label=home-first')
  define(definitions, 'swap', 'Type=swap', 'SizeMaxBytes=64M', 'PaddingMinBytes=92M')
  const options = { seed, root: folder.path, architecture: 'x86-64' }
  const home =
    'type=933AC7E1-2EB4-4F13-B844-0E14E2AEF915, uuid=4980595D-D74A-483A-AA9E-9903879A0EE5, name="home-first", attrs="GUID:59"'
  const swap = 'type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F, uuid=78C92DB8-3D2B-4823-B0DC-792B78F66F1E, name="swap"'
  const root =
    'type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=60F33797-1D71-4DCB-AA6F-20564F036CD0, name="root-x86-64", attrs="GUID:59"'
  const root2 =
    'type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=73A4CCD2-EAF5-44DA-A366-F99188210FDC, name="root-x86-64-2", attrs="GUID:59"'
  emptyFile(disk, GiB)
  await assert.rejects(partitionDisk(definitions, disk, options), { code: 'ERR_DDI_NO_TABLE' })
  await partitionDisk(definitions, disk, { ...options, empty: 'require', include: ['home', 'swap'] })
  assert.match(run('sfdisk', '--dump', disk), /label-id: 1D2CE291-7CCE-4F7D-BC83-FDB49AD74EBD/)
  assert.deepEqual(entries(disk), [
    `1 : start= 2048, size= 1775576, ${home}`,
    `2 : start= 1777624, size= 131072, ${swap}`,
  ])
  await assert.rejects(partitionDisk(definitions, disk, { ...options, empty: 'require' }), { code: 'ERR_DDI_EXISTS' })
  await partitionDisk(definitions, disk, { ...options, empty: 'force', defer: ['home', 'root'] })
  assert.deepEqual(entries(disk), [`4 : start= 1777624, size= 131072, ${swap}`])
  await partitionDisk(definitions, disk, options)
  const four = [
    `1 : start= 2048, size= 591856, ${home}`,
    `2 : start= 593904, size= 591856, ${root}`,
    `3 : start= 1185760, size= 591864, ${root2}`,
    `4 : start= 1777624, size= 131072, ${swap}`,
  ]
  assert.deepEqual(entries(disk), four)
  define(definitions, 'swap', 'Type=swap', 'SizeMaxBytes=64M')
  define(definitions, 'extra', 'Type=linux-generic', 'Label=custom_label', 'UUID=a0a1a2a3a4a5a6a7a8a9aaabacadaeaf')
  define(definitions, 'home', 'Type=home', 'Label=ignored_label', 'UUID=b0b1b2b3b4b5b6b7b8b9babbbcbdbebf')
  await partitionDisk(definitions, disk, options)
  const extra =
    'type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=A0A1A2A3-A4A5-A6A7-A8A9-AAABACADAEAF, name="custom_label"'
  assert.deepEqual(entries(disk), [...four, `5 : start= 1908696, size= 188416, ${extra}`])
  await partitionDisk(definitions, disk, { ...options, size: 2 * GiB })
  const five = [...four, `5 : start= 1908696, size= 2285568, ${extra}`]
  assert.deepEqual(entries(disk), five)
  const blocks = randomBytes(4096 * 1024)
  writeFileSync(join(folder.path, 'block-copy'), blocks)
  define(
    definitions,
    'extra2',
    'Type=linux-generic',
    'Label=block-copy',
    'UUID=2a1d97e1d0a346cca26eadc643926617',
    'CopyBlocks=/block-copy',
  )
  await partitionDisk(definitions, disk, { ...options, size: 3 * GiB })
  const copied =
    'type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=2A1D97E1-D0A3-46CC-A26E-ADC643926617, name="block-copy"'
  assert.deepEqual(entries(disk), [...five, `6 : start= 4194264, size= 2097152, ${copied}`])
  run('cmp', `--bytes=${blocks.length}`, `--ignore-initial=0:${512 * 4194264}`, join(folder.path, 'block-copy'), disk)
  assert.match(run('sgdisk', '--verify', disk), /No problems found/)
})

test('TEST-58 unaligned_partition, issue_21817 and issue_24553: what is there stays, and grows as far as it can', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'zzz')]
  const options = { seed, root: folder.path, architecture: 'x86-64' }
  const root = `type=${typeUuids.root.toUpperCase()}, uuid=60F33797-1D71-4DCB-AA6F-20564F036CD0, name="root-x86-64"`
  define(definitions, 'root', 'Type=root')
  table(disk, 10 * GiB, 'start=2048, size=69044', 'start=71092, size=3591848')
  await partitionDisk(definitions, disk, options)
  assert.match(entries(disk).join('\n'), /^1 : start= 2048, size= 69044,.*\n2 : start= 71092, size= 3591848,/)
  assert.equal(entries(disk)[2], `3 : start= 3662944, size= 17308536, ${root}, attrs="GUID:59"`)
  table(disk, 100 * MiB, `size=50M, type=${typeUuids.root}`, ',')
  await partitionDisk(definitions, disk, options)
  assert.match(entries(disk).join('\n'), /^1 : start= 2048, size= 102400, .*\n2 : start= 104448, size= (100319|98304),/)

  const partitions = [
    'first-lba: 40',
    'start=40, size=524288, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
    `start=524328, size=14848000, ${root}`,
  ]
  define(definitions, 'root', 'Type=root', 'SizeMinBytes=10G', 'SizeMaxBytes=120G')
  table(disk, 8 * GiB, ...partitions)
  await assert.rejects(partitionDisk(definitions, disk, options), { code: 'ERR_DDI_NO_SPACE' })
  assert.equal(entries(disk)[1], `2 : start= 524328, size= 14848000, ${root}`)
  table(disk, 12 * GiB, ...partitions)
  await partitionDisk(definitions, disk, options)
  assert.equal(entries(disk)[1], `2 : start= 524328, size= 24641456, ${root}`)
  define(definitions, 'root', 'Type=root', 'SizeMinBytes=10G', 'SizeMaxBytes=120G', 'Priority=100')
  define(definitions, 'usr', 'Type=usr', 'SizeMinBytes=10M', 'Priority=10')
  const usr =
    'type=8484680C-9521-48C6-9C11-B0720656F69E, uuid=7E3369DD-D653-4513-ADF5-B993A9F20C16, name="usr-x86-64", attrs="GUID:59"'
  table(disk, 8 * GiB, ...partitions)
  await partitionDisk(definitions, disk, options)
  assert.deepEqual(entries(disk).slice(1), [
    `2 : start= 524328, size= 14848000, ${root}`,
    `3 : start= 15372328, size= 1404848, ${usr}`,
  ])
  table(disk, 12 * GiB, ...partitions)
  await partitionDisk(definitions, disk, options)
  assert.deepEqual(entries(disk).slice(1), [
    `2 : start= 524328, size= 20971520, ${root}`,
    `3 : start= 21495848, size= 3669936, ${usr}`,
  ])
})

test('TEST-58 fallback_partitions and dropped_partitions: a supplement is made where its target has no room', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'zzz')]
  const options = { seed, root: folder.path }
  define(definitions, '10-esp', 'Type=esp', 'Format=vfat', 'SizeMinBytes=10M')
  define(definitions, '20-xbootldr', 'Type=xbootldr', 'Format=vfat', 'SizeMinBytes=100M', 'SupplementFor=10-esp')
  const shapes = () => entries(disk).map((line) => line.replace(/, uuid.*/, ''))
  const [esp, xbootldr] = ['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'BC13C2FF-59E6-4262-A352-B275FD6F7172']
  await buildImage(definitions, disk, options)
  assert.deepEqual(shapes(), [`1 : start= 2048, size= 204800, type=${esp}`])
  table(disk, statSync(disk).size, `size=10M, type=${esp}`)
  await partitionDisk(definitions, disk, options)
  assert.deepEqual(shapes(), [`1 : start= 2048, size= 204800, type=${esp}`])
  table(disk, 150 * MiB, `size=10M, type=${esp}`, `size=10M, type=${typeUuids.root}`)
  await partitionDisk(definitions, disk, options)
  assert.deepEqual(
    [shapes()[0], shapes()[2]],
    [`1 : start= 2048, size= 20480, type=${esp}`, `3 : start= 43008, size= 264152, type=${xbootldr}`],
  )
  table(disk, 150 * MiB, `size=10M, type=${xbootldr}`)
  await partitionDisk(definitions, disk, options)
  assert.deepEqual(shapes(), [
    `1 : start= 2048, size= 204800, type=${xbootldr}`,
    `2 : start= 206848, size= 100312, type=${esp}`,
  ])
  rmSync(definitions, { recursive: true })
  define(definitions, '10-part1', 'Type=root')
  define(definitions, '11-dropped-first', 'Type=root', 'SizeMinBytes=1T', 'Priority=1')
  define(definitions, '12-part2', 'Type=root')
  define(definitions, '13-dropped-second', 'Type=root', 'SizeMinBytes=1T', 'Priority=2')
  emptyFile(disk, 32 * MiB)
  await partitionDisk(definitions, disk, { ...options, empty: 'allow' })
  assert.equal(entries(disk).length, 2)
})

test('no byte of a disk changes but the table and what new partitions get, and a dry run changes none', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'disk.raw')]
  const size = 24 * MiB
  table(
    disk,
    size,
    'start=2048, size=8191, type=home, name=kept',
    `start=20480, size=4096, type=${typeUuids.root}, name=grows`,
  )
  const before = Buffer.concat([readFileSync(disk).subarray(0, 34 * 512), randomBytes(size - 34 * 512)])
  readFileSync(disk)
    .subarray(-33 * 512)
    .copy(before, size - 33 * 512)
  writeFileSync(disk, before)
  define(definitions, '10-root', 'Type=root', 'SizeMinBytes=4M', 'SizeMaxBytes=4M')
  define(definitions, '20-new', 'Type=var', 'SizeMinBytes=1M', 'SizeMaxBytes=1M', 'Label=new')
  const { status, stdout, stderr } = cli(
    ...[
      'build',
      `--definitions=${definitions}`,
      `--image=${disk}`,
      '--dry-run',
      '--architecture=x86-64',
      `--root=${folder.path}`,
    ],
  )
  assert.equal(status, 0, stderr)
  assert.match(stdout, /grows +4M +grow from 2M.*\n.*new +1M +create/)
  assert.match(stdout, / kept .*█+ /)
  assert.ok(readFileSync(disk).equals(before))
  const { partitions, others } = await partitionDisk(definitions, disk, {
    seed,
    root: folder.path,
    architecture: 'x86-64',
  })
  assert.deepEqual(others, [{ number: 1, label: 'kept', start: MiB, length: 8191 * 512 }])
  assert.deepEqual(
    partitions.map(({ activity, number, oldSize, size }) => [activity, number, oldSize, size]),
    [
      ['grow', 2, 2 * MiB, 4 * MiB],
      ['create', 3, 0, MiB],
    ],
  )
  const after = readFileSync(disk)
  const { start, length } = partitions[1]!.extents[0]!
  assert.ok(after.subarray(start, start + length).every((byte) => byte === 0))
  before.copy(after, start, start, start + length)
  assert.ok(after.subarray(34 * 512, -33 * 512).equals(before.subarray(34 * 512, -33 * 512)))
})

test('what is left out leaves no half of a pair, and what is deferred is not made', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'disk.raw')]
  define(definitions, '1', 'Type=root', 'SizeMinBytes=1M', 'SizeMaxBytes=1M', 'Verity=data', 'VerityMatchKey=r')
  define(definitions, '2', 'Type=root-verity', 'Verity=hash', 'VerityMatchKey=r')
  define(definitions, '3', 'Type=home', 'Format=ext4', 'Encrypt=key-file', 'SizeMinBytes=1M')
  const options = { seed, root: folder.path }
  for (const [choice, message] of [
    [{ exclude: ['root-verity', 'home'] }, /has no partition with Verity=hash/],
    [{ include: ['root-verity'] }, /has no partition with Verity=data/],
    [{ defer: ['root-verity'], exclude: ['home'] }, /cannot be deferred/],
    [{ exclude: ['root', 'root-verity'] }, /Encrypt= needs a key file/],
  ] as const)
    await assert.rejects(buildImage(definitions, disk, { ...options, ...choice }), {
      code: 'ERR_DDI_DEFINITION',
      message,
    })
  const { partitions } = await buildImage(definitions, disk, { ...options, defer: ['home'], split: true })
  assert.deepEqual(
    partitions.map(({ activity, splitPath, rootHash }) => [activity, splitPath !== null, rootHash !== null]),
    [
      ['create', true, true],
      ['create', true, true],
      ['defer', false, false],
    ],
  )
  assert.equal(entries(disk).length, 2)
})

test('a factory reset makes anew what says so, and nothing else', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'disk.raw')]
  define(definitions, '10-root', 'Type=root', 'SizeMinBytes=2M', 'SizeMaxBytes=2M')
  define(definitions, '20-var', 'Type=var', 'SizeMinBytes=2M', 'FactoryReset=yes')
  await buildImage(definitions, disk, { seed, size: 8 * MiB, root: folder.path })
  const [root, data] = entries(disk)
  const before = readFileSync(disk)
  before.fill('x', MiB, MiB + 4 * MiB)
  writeFileSync(disk, before)
  const options = { root: folder.path, factoryReset: true }
  const { partitions } = await partitionDisk(definitions, disk, options)
  assert.deepEqual(
    partitions.map(({ activity }) => activity),
    ['keep', 'create'],
  )
  assert.equal(entries(disk)[0], root)
  assert.notEqual(entries(disk)[1], data)
  const after = readFileSync(disk)
  assert.ok(after.subarray(MiB, 3 * MiB).equals(before.subarray(MiB, 3 * MiB)))
  assert.ok(after.subarray(3 * MiB, 5 * MiB).every((byte) => byte === 0))
})

test('a disk that cannot be partitioned stays as it is, its size too', async () => {
  using folder = temporaryFolder()
  const [definitions, disk] = [join(folder.path, 'd'), join(folder.path, 'disk.raw')]
  define(definitions, '10-root', 'Type=root', 'SizeMinBytes=1G')
  table(disk, 8 * MiB, `size=1M, type=${typeUuids.home}`)
  const before = readFileSync(disk)
  const options = { root: folder.path }
  await assert.rejects(partitionDisk(definitions, disk, { ...options, size: 16 * MiB }), { code: 'ERR_DDI_NO_SPACE' })
  await assert.rejects(partitionDisk(definitions, disk, { ...options, size: 4 * MiB }), { code: 'ERR_DDI_USAGE' })
  assert.ok(readFileSync(disk).equals(before))
  writeFileSync(disk, 'somebody’s data')
  truncateSync(disk, 8 * MiB)
  define(definitions, '10-root', 'Type=root', 'SizeMinBytes=1M')
  await assert.rejects(partitionDisk(definitions, disk, { ...options, empty: 'allow' }), { code: 'ERR_DDI_EXISTS' })
  assert.match(readFileSync(disk, 'utf8'), /^somebody’s data/)
})

test('a signature that was made elsewhere is joined to data that are on the disk, and no other is', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { key, certificate } = makeIdentity(folder.path, 'signer')
  const verity = 'VerityMatchKey=r'
  define(at('d'), '1', 'Type=root', 'Format=squashfs', 'CopyFiles=/etc:/', 'Verity=data', verity)
  define(at('d'), '2', 'Type=root-verity', 'Verity=hash', verity)
  define(at('d'), '3', 'Type=root-verity-sig', 'Verity=signature', verity)
  mkdirSync(at('etc'))
  writeFileSync(at('etc/file'), 'contents')
  const build = (...more: string[]) =>
    cli('build', `--definitions=${at('d')}`, `--root=${folder.path}`, '--json=short', ...more)
  const first = build('--defer-partitions=root-verity-sig', `--output=${at('disk.raw')}`)
  assert.equal(first.status, 0, first.stderr)
  assert.equal(entries(at('disk.raw')).length, 2)
  const { rootHash } = JSON.parse(first.stdout).partitions[0]
  writeFileSync(at('hash'), rootHash)
  const openssl = ['smime', '-sign', '-nocerts', '-noattr', '-binary', '-outform', 'der']
  run('openssl', ...openssl, '-in', at('hash'), '-inkey', key, '-signer', certificate, '-out', at('signature'))
  const join_ = (hash: string) =>
    build(`--image=${at('disk.raw')}`, `--join-signature=${hash}:${at('signature')}`, `--certificate=${certificate}`)
  const wrong = join_('0'.repeat(64))
  assert.match(wrong.stderr, /no signature of root hash .* was given/)
  writeFileSync(at('hash'), '0'.repeat(64))
  assert.equal(entries(at('disk.raw')).length, 2)
  const joined = join_(rootHash)
  assert.equal(joined.status, 0, joined.stderr)
  const [, , third] = JSON.parse(joined.stdout).partitions
  assert.deepEqual([third.activity, third.rootHash, third.size], ['create', rootHash, 16384])
  await using image = await openImage(at('disk.raw'))
  const certificates = parseCertificates(readFileSync(certificate), certificate)
  const { verity: pairs } = await dissect(image, { certificates })
  assert.ok(pairs.get('root')?.trusted)
})

test('TEST-58 copy_from_grain_padding, copy_from_respects_new_grain, copy_from_no_padding_at_beginning_and_end', async () => {
  using folder = temporaryFolder()
  const [root, xbootldr] = ['4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', 'BC13C2FF-59E6-4262-A352-B275FD6F7172']
  const uuids = ['837c3d67-21b3-478e-be82-7e7f83bf96d3', '4985c03e-eecb-4fe0-9f65-3f6345782214']
  const two = (first: string, second: string) => [
    `${first}, type=${root}, uuid=${uuids[0]}, name="first", attrs="GUID:60"`,
    `${second}, type=${xbootldr}, uuid=${uuids[1]}`,
  ]
  define(join(folder.path, 'esp'), '03-esp', 'Type=esp')
  const cases: readonly {
    lines: readonly string[]
    size: number
    grainSize?: number
    esp?: boolean
    expected: string[]
  }[] = [
    {
      lines: ['grain: 4194304', ...two('size=40961', 'size=10240')],
      ...{ size: 100, grainSize: 512 },
      expected: ['1 : start= 2048, size= 40961', '2 : start= 51200, size= 10240'],
    },
    {
      lines: two('size=20480', 'size=10240'),
      ...{ size: 100, grainSize: 4 * MiB },
      expected: ['1 : start= 8192, size= 24576', '2 : start= 32768, size= 16384'],
    },
    {
      lines: two('start=2280, size=20480', 'start=22760, size=10240'),
      ...{ size: 60, esp: true },
      expected: ['1 : start= 2048, size= 20480', '2 : start= 22528, size= 10240', '3 : start= 32768, size= 90072'],
    },
  ]
  for (const [index, { lines, size, grainSize, esp, expected }] of cases.entries()) {
    const [from, to] = [join(folder.path, `${index}.from`), join(folder.path, `${index}.to`)]
    table(from, 80 * MiB, ...lines)
    const first = Number(/1 : start= (\d+)/.exec(entries(from)[0]!)![1]) * 512
    const bytes = randomBytes(10000)
    const handle = openSync(from, 'r+')
    writeSync(handle, bytes, 0, bytes.length, first)
    closeSync(handle)
    emptyFile(to, size * MiB)
    await partitionDisk(esp ? join(folder.path, 'esp') : [], to, {
      ...{ seed, root: folder.path, empty: 'allow', copyFrom: [from] },
      ...(grainSize !== undefined && { grainSize }),
    })
    const made = entries(to)
    assert.deepEqual(
      made.map((line) => line.replace(/, type.*/, '')),
      expected,
    )
    for (const [number, line] of entries(from).entries())
      assert.equal(made[number]!.replace(/.*, type/, ''), line.replace(/.*, type/, ''))
    const start = Number(/1 : start= (\d+)/.exec(made[0]!)![1]) * 512
    assert.deepEqual(readFileSync(to).subarray(start, start + bytes.length), bytes)
    await assert.rejects(partitionDisk([], to, { root: folder.path, copyFrom: [to] }), { code: 'ERR_DDI_USAGE' })
  }
})

test('TEST-58 size_auto_with_grain_size, urandom, and a copy of an image twice into a new one', async () => {
  using folder = temporaryFolder()
  const sized = (type: string) => [`Type=${type}`, 'SizeMinBytes=10M']
  const from = defineImage(folder.path, { '01': sized('esp'), '02': sized('usr-x86-64'), '03': sized('root-x86-64') })
  const auto = join(folder.path, 'auto')
  await buildImage(from, auto, { seed, root: folder.path, grainSize: 2 * MiB })
  const places = (path: string) => entries(path).map((line) => line.replace(/, type.*/, ''))
  assert.deepEqual(places(auto), [
    '1 : start= 4096, size= 20480',
    '2 : start= 24576, size= 20480',
    '3 : start= 45056, size= 20480',
  ])
  const random = join(folder.path, 'random')
  mkdirSync(random)
  const noise = defineImage(random, {
    '10': ['Type=swap', 'CopyBlocks=/dev/urandom', 'SizeMaxBytes=10M', 'SplitName=x'],
  })
  const { partitions } = await buildImage(noise, join(random, 'image'), { size: 32 * MiB, root: '/', split: true })
  const bytes = readFileSync(partitions[0]!.splitPath!)
  assert.equal(bytes.length, 10 * MiB)
  assert.ok(gzipSync(bytes, { level: 1 }).length > bytes.length)
  const copy = join(folder.path, 'copy')
  await buildImage([], copy, { seed, root: folder.path, copyFrom: [auto, join(random, 'image'), auto] })
  assert.equal(entries(copy).length, 7)
  const details = (line: string) => line.replace(/.*, type/, '')
  assert.deepEqual(entries(copy).slice(0, 3).map(details), entries(auto).map(details))
  assert.equal(new Set(entries(copy).map((line) => /uuid=\S+/.exec(line)![0])).size, 7)
  assert.match(run('sgdisk', '--verify', copy), /No problems found/)
  const image = readFileSync(copy)
  const swap = Number(/start= (\d+)/.exec(entries(copy)[3]!)![1]) * 512
  assert.ok(image.subarray(swap, swap + bytes.length).equals(bytes))
})

test('what is empty, or part of a factory reset, is deferred by that', async () => {
  using folder = temporaryFolder()
  const from = defineImage(folder.path, {
    '1': ['Type=root', 'SizeMaxBytes=10M'],
    '2': ['Type=root', 'Format=empty', 'SizeMaxBytes=10M'],
    '3': ['Type=var', 'FactoryReset=yes', 'SizeMaxBytes=10M'],
  })
  const activities = async (...words: string[]) => {
    const built = cli(
      'build',
      '--definitions',
      from,
      '--output',
      join(folder.path, 'x'),
      '--dry-run',
      '--json=short',
      ...words,
    )
    return (JSON.parse(built.stdout) as { partitions: { activity: string }[] }).partitions.map((one) => one.activity)
  }
  assert.deepEqual(await activities('--defer-partitions-empty'), ['create', 'defer', 'create'])
  assert.deepEqual(await activities('--defer-partitions-factory-reset'), ['create', 'create', 'defer'])
})

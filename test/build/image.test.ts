import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BuildOptions, buildImage, dissect, openImage, type Progress, verify } from '../../lib/index.js'
import { parseCertificates, parseSignatureRecord } from '../../lib/verity/index.js'
import { defineImage, MiB } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'

const seed = '6f1a7a9e-1111-4222-8333-123456789abc'
const epoch = 1_700_000_000

function makeRoot(folder: string): string {
  const tree = join(folder, 'tree')
  mkdirSync(join(tree, 'etc'), { recursive: true })
  mkdirSync(join(tree, 'usr/bin'), { recursive: true })
  writeFileSync(join(tree, 'etc/os-release'), 'ID=acme\nIMAGE_ID="acme"\nIMAGE_VERSION=1.4\n')
  writeFileSync(join(tree, 'usr/bin/tool'), Buffer.alloc(300_000, 'tool '))
  writeFileSync(join(tree, 'etc/empty'), '')
  return tree
}

const verityRoot = {
  '10-root': ['Type=root', 'Label=%M_%A', 'Format=erofs', 'CopyFiles=/', 'Verity=data', 'VerityMatchKey=r'],
  '20-verity': ['Type=root-verity', 'Label=%M_%A', 'Verity=hash', 'VerityMatchKey=r'],
}

interface Listed {
  type: string
  uuid: string
  name: string
  attrs?: string
  start: number
  size: number
}

function listed(path: string): Listed[] {
  return JSON.parse(run('sfdisk', '--json', path)).partitiontable.partitions
}

test('the definitions that systemd-repart builds come to its types, UUIDs, labels, flags and files', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const root = makeRoot(folder.path)
  const { key, certificate } = makeIdentity(folder.path, 'signer')
  const definitions = defineImage(folder.path, {
    '10-esp': ['Type=esp', 'Format=vfat', 'SizeMinBytes=64M', 'SizeMaxBytes=64M'],
    '20-root': [
      'Type=root',
      'Label=%M_%A',
      'Format=squashfs',
      'CopyFiles=/',
      'ReadOnly=yes',
      'SizeMaxBytes=16M',
      'Verity=data',
      'VerityMatchKey=r',
    ],
    '21-verity': ['Type=root-verity', 'Label=%M_%A_verity', 'Verity=hash', 'VerityMatchKey=r'],
    '22-sig': ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=r'],
    '30-home': [
      'Type=home',
      'Format=ext4',
      'SizeMinBytes=64M',
      'SizeMaxBytes=64M',
      'CopyFiles=/etc:/sub/etc',
      'MakeDirectories=/one /two/three',
    ],
    '40-srv': ['Type=srv', 'SizeMinBytes=4M', 'ReadOnly=yes', 'NoAuto=yes', 'GrowFileSystem=no'],
    '50-data': ['Type=linux-generic', 'SizeMinBytes=4M', 'Weight=500'],
    '51-data': [
      'Type=linux-generic',
      'SizeMinBytes=4M',
      'UUID=11111111-2222-4333-8444-555555555555',
      'Flags=0x1000000000000',
    ],
    '60-var': ['Type=4d21b016-b534-45c2-a9fb-5c16e091fd2d', 'SizeMinBytes=4M'],
  })
  const built = cli(
    ...[
      'build',
      `--definitions=${definitions}`,
      `--root=${root}`,
      '-o',
      at('ours.raw'),
      `--seed=${seed}`,
      '--size=256M',
    ],
    ...[`--key=${key}`, `--certificate=${certificate}`],
  )
  assert.equal(built.status, 0, built.stderr)
  run(
    ...([
      'systemd-repart',
      '--empty=create',
      '--size=256M',
      `--definitions=${definitions}`,
      `--root=${root}`,
      `--seed=${seed}`,
    ] as const),
    ...['--dry-run=no', `--private-key=${key}`, `--certificate=${certificate}`, at('theirs.raw')],
  )
  const [ours, theirs] = [listed(at('ours.raw')), listed(at('theirs.raw'))]
  // systemd 252 salts its trees at random: root hashes, and the UUIDs that follow from them, are of one run.
  const facts = ({ type, uuid, name, attrs = '' }: Listed, index: number) => [
    type,
    index === 1 || index === 2 ? null : uuid,
    name,
    attrs,
  ]
  assert.deepEqual(ours.map(facts), theirs.map(facts))
  assert.equal(
    run('sgdisk', '--print', at('ours.raw')).match(/GUID\): (\S+)/)![1],
    run('sgdisk', '--print', at('theirs.raw')).match(/GUID\): (\S+)/)![1],
  )
  const contents = (path: string, { start }: Listed, name: string) => {
    const offset = start * 512
    const part = at(`${name}.part`)
    run('dd', `if=${path}`, `of=${part}`, 'bs=1M', `iflag=skip_bytes`, `skip=${offset}`, 'status=none')
    const out = at(name)
    rmSync(out, { recursive: true, force: true })
    if (name.includes('squashfs')) run('unsquashfs', '-quiet', '-no-progress', '-dest', out, part)
    else {
      mkdirSync(out)
      run('debugfs', '-R', `rdump / ${out}`, part)
    }
    return out
  }
  for (const [index, name] of [
    [1, 'squashfs'],
    [4, 'ext4'],
  ] as const)
    run(
      'diff',
      '--recursive',
      '--no-dereference',
      contents(at('ours.raw'), ours[index]!, `ours.${name}`),
      contents(at('theirs.raw'), theirs[index]!, `theirs.${name}`),
    )
  const [data, tree] = [1, 2].map((index) => {
    const part = at(`${index}.part`)
    const { start, size } = ours[index]!
    run('dd', `if=${at('ours.raw')}`, `of=${part}`, 'bs=512', `skip=${start}`, `count=${size}`, 'status=none')
    return part
  }) as [string, string]
  run('veritysetup', 'verify', data, tree, /^root hash (\w+)$/m.exec(built.stdout)![1]!)
  assert.match(run('sgdisk', '--verify', at('ours.raw')), /No problems found/)
  assert.match(run('systemd-dissect', '--no-pager', at('ours.raw')), /root/)
  // The signature is over the root hash, and the record's padding is that of systemd-repart.
  const bytes = readFileSync(at('ours.raw'))
  const { start, size } = ours[3]!
  const record = parseSignatureRecord(bytes.subarray(start * 512, (start + size) * 512))
  assert.equal(size * 512, 16384)
  await using image = await openImage(at('ours.raw'))
  const certificates = parseCertificates(readFileSync(certificate), certificate)
  const dissection = await dissect(image, { certificates, architectures: ['x86-64'] })
  const pair = dissection.verity.get('root')
  assert.ok(pair?.trusted && pair.signature && Buffer.from(pair.rootHash).equals(Buffer.from(record.rootHash)))
  const [verified] = await verify(dissection)
  assert.equal(verified!.badDataBlocks + verified!.badHashBlocks, 0)
})

test('every file system passes its own check, is filled, and comes out the same twice', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const root = makeRoot(folder.path)
  const copied = ['CopyFiles=/:/', 'ExcludeFiles=/usr/bin/', 'MakeDirectories=/srv/data']
  const formats: Record<string, { lines: string[]; check: (path: string) => void; reproducible: boolean }> = {
    ext4: { lines: ['SizeMinBytes=64M', ...copied], check: (path) => run('e2fsck', '-fn', path), reproducible: true },
    'ext4 minimized': {
      lines: ['Minimize=best', ...copied],
      check: (path) => run('e2fsck', '-fn', path),
      reproducible: true,
    },
    erofs: { lines: copied, check: (path) => run('fsck.erofs', path), reproducible: true },
    squashfs: { lines: copied, check: (path) => run('unsquashfs', '-lls', path), reproducible: true },
    vfat: { lines: ['SizeMinBytes=8M', ...copied], check: (path) => run('fsck.vfat', '-n', path), reproducible: true },
    btrfs: {
      lines: ['SizeMinBytes=300M', ...copied],
      check: (path) => run('btrfs', 'check', path),
      reproducible: false,
    },
    xfs: { lines: ['SizeMinBytes=320M'], check: (path) => run('xfs_repair', '-n', '-f', path), reproducible: false },
    swap: { lines: ['SizeMinBytes=1M'], check: (path) => run('swaplabel', path), reproducible: true },
  }
  for (const [name, { lines, check, reproducible }] of Object.entries(formats)) {
    const format = name.split(' ')[0]!
    const definitions = defineImage(folder.path, {
      one: [`Type=${format === 'swap' ? 'swap' : 'linux-generic'}`, `Format=${format}`, 'SplitName=part', ...lines],
    })
    const build = (output: string) =>
      buildImage(definitions, at(output), { root, seed, epoch, split: true, replace: true })
    const { partitions, size } = await build('image.raw')
    const part = partitions[0]!.splitPath!
    check(part)
    assert.equal(statSync(part).size, partitions[0]!.size, name)
    assert.equal(run('blkid', '--probe', '--output', 'value', '--match-tag', 'TYPE', part).trim(), format)
    assert.equal(statSync(at('image.raw')).size, size)
    if (!reproducible) continue
    // Read since, and at another time: access and change times are others.
    run(
      'sh',
      '-c',
      `cat '${root}'/etc/* > /dev/null; touch --reference=/etc/hostname '${root}/etc/empty'; chmod 644 '${root}/etc/empty'; touch -d @1600000000 '${root}/etc/empty'`,
    )
    await build('again.raw')
    run('touch', '-d', '@1600000000', join(root, 'etc/empty'))
    // The coarsest clock of a file system, that of FAT, has another time by then.
    await sleep(2000)
    await build('third.raw')
    assert.ok(readFileSync(at('third.raw')).equals(readFileSync(at('again.raw'))), `${name} differs`)
  }
})

test('a dynamic volume is laid out as a chain, verity and all, that attaches by its root hash', async () => {
  using folder = temporaryFolder()
  const root = makeRoot(folder.path)
  const output = join(folder.path, 'image.raw')
  const [rootLines, hashLines] = [verityRoot['10-root'], verityRoot['20-verity']]
  const definitions = defineImage(folder.path, {
    '10-root': [...rootLines, 'Dynamic=yes', 'MaxSegmentBytes=128K'],
    '20-verity': [...hashLines, 'Dynamic=yes', 'MaxSegmentBytes=4K'],
  })
  const { partitions } = await buildImage(definitions, output, { root, seed })
  assert.ok(partitions.every(({ extents }) => extents.length > 1))
  assert.match(run('sgdisk', '--verify', output), /No problems found/)
  await using image = await openImage(output)
  assert.deepEqual([image.volumes.length, image.orphans, image.table.problems], [2, [], []])
  const dissection = await dissect(image, { rootHash: partitions[0]!.rootHash! })
  const [verified] = await verify(dissection)
  assert.equal(verified!.badDataBlocks, 0)
  assert.equal(partitions[0]!.uuid.replaceAll('-', ''), partitions[0]!.rootHash!.slice(0, 32))
})

test('a signer that does not answer is stopped with the build', async () => {
  using folder = temporaryFolder()
  const { certificate } = makeIdentity(folder.path, 'signer')
  const [parsed] = parseCertificates(readFileSync(certificate), certificate)
  const definitions = defineImage(folder.path, {
    '10-root': ['Type=root', 'SizeMinBytes=64K', 'Verity=data', 'VerityMatchKey=r'],
    '20-verity': ['Type=root-verity', 'Verity=hash', 'VerityMatchKey=r'],
    '30-sig': ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=r'],
  })
  const started = join(folder.path, 'started')
  const stop = new AbortController()
  const built = buildImage(definitions, join(folder.path, 'image.raw'), {
    root: folder.path,
    signer: { kind: 'command', command: `echo $$ > ${started}; exec sleep 1000`, certificate: parsed! },
    signal: stop.signal,
  })
  const refused = assert.rejects(built, { code: 'ERR_DDI_ABORTED' })
  while (!existsSync(started) || readFileSync(started, 'utf8') === '') await sleep(20)
  stop.abort()
  await refused
  await sleep(100)
  assert.equal(existsSync(`/proc/${readFileSync(started, 'utf8').trim()}`), false)
  assert.equal(existsSync(join(folder.path, 'image.raw')), false)
})

test('progress is reported for each partition that is hashed or copied, to its end', async () => {
  using folder = temporaryFolder()
  const blocks = join(folder.path, 'blocks')
  writeFileSync(blocks, Buffer.alloc(6 * MiB, 'x'))
  const definitions = defineImage(folder.path, {
    '10-data': ['Type=root', 'Label=data', 'CopyBlocks=/blocks', 'Verity=data', 'VerityMatchKey=r', 'SplitName=data'],
    '20-tree': ['Type=root-verity', 'Label=tree', 'Verity=hash', 'VerityMatchKey=r'],
  })
  const reached = new Map<string, Progress[]>()
  const onProgress = (progress: Progress) => {
    const part = progress.part ?? ''
    reached.set(part, [...(reached.get(part) ?? []), progress])
  }
  await buildImage(definitions, join(folder.path, 'image.raw'), { root: folder.path, split: true, onProgress })
  // The tree may be moved to its place without a copy.
  assert.ok([...reached.keys()].every((part) => part === 'data' || part === 'tree'))
  const data = reached.get('data')!
  assert.ok(data.every(({ done, total }) => total !== null && done <= total))
  // Hashed, copied, and split off.
  assert.equal(data.filter(({ done, total }) => done === total).length, 3)
})

test('a tree with everything: devices, sockets, setuid, attributes, hard links, holes, odd names', () => {
  using folder = temporaryFolder()
  const root = join(folder.path, 'tree')
  mkdirSync(root)
  const at = (name: string) => join(root, name)
  writeFileSync(at('setuid'), 'x')
  chmodSync(at('setuid'), 0o4755)
  writeFileSync(at('one'), 'linked')
  linkSync(at('one'), at('two'))
  writeFileSync(at('name\nwith a line'), 'x')
  symlinkSync('/etc/shadow', at('link'))
  run('mkfifo', at('fifo'))
  run('mknod', at('null'), 'c', '1', '3')
  run('python3', '-c', `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(at('socket'))})`)
  run('truncate', '--size=8M', at('holes'))
  run('setfattr', '--name=user.note', '--value=yes', at('one'))
  for (let n = 0; n < 2000; n++) writeFileSync(at(`many-${n}`), String(n))
  for (const format of ['erofs', 'squashfs', 'ext4']) {
    const definitions = defineImage(folder.path, {
      one: ['Type=linux-generic', `Format=${format}`, 'CopyFiles=/', 'SplitName=part'],
    })
    const output = join(folder.path, `${format}.raw`)
    const { status, stderr } = cli(
      'build',
      `--definitions=${definitions}`,
      `--root=${root}`,
      `--output=${output}`,
      '--split',
    )
    assert.equal(status, 0, stderr)
    const mounted = join(folder.path, format)
    mkdirSync(mounted)
    run('mount', '-o', 'ro,loop', join(folder.path, `${format}.part.raw`), mounted)
    try {
      const facts = (tree: string) =>
        run(
          'sh',
          '-c',
          `cd "$1" && find . -path ./lost+found -prune -o -printf '%P %y %m %U %G %l\\n' | sed '1d' | sort && find . -type f -exec sha256sum {} + | sort -k2 && stat -c '%h %t %T' two null`,
          'sh',
          tree,
        )
      assert.equal(facts(mounted), facts(root), format)
      if (format !== 'squashfs')
        assert.match(run('getfattr', '--only-values', '--name=user.note', join(mounted, 'one')), /yes/)
    } finally {
      run('umount', mounted)
    }
  }
})

test('what is wrong in a definition is told with its line, and nothing is left', async () => {
  using folder = temporaryFolder()
  const root = makeRoot(folder.path)
  symlinkSync('/tmp', join(root, 'out'))
  const output = join(folder.path, 'image.raw')
  const refused = async (
    lines: readonly string[],
    message: RegExp,
    more: BuildOptions = {},
    code = 'ERR_DDI_DEFINITION',
  ) =>
    await assert.rejects(
      buildImage(defineImage(folder.path, { one: lines }), output, { root, ...more }),
      { code, message },
      lines.join(' '),
    )
  const before = () => readdirSync(folder.path).filter((name) => !name.startsWith('repart-'))
  const names = before()
  await refused(['Type=root', 'Encrypt=tpm2'], /one\.conf:3: Encrypt=: tpm2 is not supported/)
  await refused(['Type=root', 'Encrypt=key-file'], /one\.conf: Encrypt= needs a key file/)
  const keyFile = join(folder.path, 'empty-key')
  writeFileSync(keyFile, '')
  await refused(['Type=root', 'Encrypt=key-file'], /one\.conf: the key file .*empty-key is empty/, { keyFile })
  rmSync(keyFile)
  await refused(['Type=nothing'], /:2: Type=: unknown partition type/)
  await refused(['Type=root', 'Format=ntfs'], /:3: Format=: unknown file system "ntfs"/)
  await refused(['Type=root', `Label=${'x'.repeat(37)}`], /37 UTF-16 code units/)
  await refused(['Type=root', 'Label=%z'], /the specifier %z is not supported/)
  await refused(['Type=root', 'UUID=1'], /is not a UUID/)
  await refused(['Type=root', 'Weight=-1'], /is not a weight/)
  await refused(['Type=root', 'SizeMinBytes=large'], /invalid size "large"/)
  await refused(['Type=root', 'SizeMinBytes=8M', 'SizeMaxBytes=4M'], /is more than/)
  await refused(['Type=root', 'CopyFiles=etc'], /is not an absolute path/)
  await refused(['Type=root', 'Format=erofs', 'CopyFiles=/none'], /does not exist/)
  await refused(['Type=root', 'Format=ext4', 'CopyFiles=/', 'CopyFiles=/etc:/out/etc'], /leads through a symbolic link/)
  await refused(['Type=root', 'Format=ext4', 'CopyFiles=/', 'MakeDirectories=/out/x'], /leads through a symbolic link/)
  await refused(['Type=root', 'Format=xfs', 'CopyFiles=/'], /cannot be filled without mounting/)
  await refused(['Type=root', 'CopyBlocks=/etc/os-release', 'Format=ext4'], /CopyBlocks= excludes Format=/)
  await refused(['Type=root', 'CopyBlocks=auto'], /no partition of type root.* is mounted/)
  await refused(['Type=root', 'Verity=data', 'VerityMatchKey=x'], /has no partition with Verity=hash/)
  await refused(['Type=root', 'Verity=data'], /needs VerityMatchKey=/)
  await refused(['Type=root', 'Minimize=best'], /Minimize= is supported for/)
  await refused(
    ['Type=root', 'Format=erofs', 'CopyFiles=/', 'SizeMaxBytes=4K'],
    /take \d+ bytes, and SizeMaxBytes= is 4096/,
    {},
    'ERR_DDI_NO_SPACE',
  )
  await refused(
    ['Type=root', 'SizeMinBytes=1G'],
    /need at least 1073741824 bytes/,
    { size: 64 * MiB },
    'ERR_DDI_NO_SPACE',
  )
  await refused(
    ['Type=root', 'Format=ext4', 'SizeMinBytes=64M'],
    /aborted/,
    { signal: AbortSignal.abort() },
    'ERR_DDI_ABORTED',
  )
  await refused(['Type=root', 'nonsense'], /:3: "nonsense" is not NAME=VALUE/)
  await assert.rejects(buildImage(join(folder.path, 'none'), output, { root }), { code: 'ERR_DDI_NOT_FOUND' })
  const signed = { ...verityRoot, '30-sig': ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=r'] }
  await assert.rejects(buildImage(defineImage(folder.path, signed), output, { root }), {
    code: 'ERR_DDI_DEFINITION',
    message: /needs a key/,
  })
  assert.deepEqual(before(), names)
  writeFileSync(output, 'mine')
  await refused(['Type=root'], /exists/, {}, 'ERR_DDI_EXISTS')
  assert.equal(readFileSync(output, 'utf8'), 'mine')
})

test('options that no image can have are refused before anything is read or made', async () => {
  using folder = temporaryFolder()
  const definitions = defineImage(folder.path, { one: ['Type=root'] })
  const output = join(folder.path, 'image.raw')
  const wrong: readonly BuildOptions[] = [
    ...[0, 256, 513, 8192, Number.NaN].map((sectorSize) => ({ sectorSize })),
    ...[0, -4096, 4096.5, 64 * MiB + 1, 2 ** 60, Number.NaN].map((size) => ({ size })),
    { size: 64 * MiB + 512, sectorSize: 4096 },
    ...['', 'abc', `${seed}0`].map((seed) => ({ seed })),
    ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY].map((epoch) => ({ epoch })),
    { sektorSize: 4096 } as BuildOptions,
  ]
  for (const options of wrong)
    await assert.rejects(
      buildImage(definitions, output, { root: folder.path, ...options }),
      { code: 'ERR_DDI_USAGE' },
      JSON.stringify(options),
    )
  const before = process.env['SOURCE_DATE_EPOCH']
  try {
    for (const time of ['abc', '-1', '1.5', '1e3', '9'.repeat(20)]) {
      process.env['SOURCE_DATE_EPOCH'] = time
      await assert.rejects(
        buildImage(definitions, output, { root: folder.path }),
        { code: 'ERR_DDI_USAGE', message: /SOURCE_DATE_EPOCH/ },
        time,
      )
    }
    await buildImage(definitions, output, { root: folder.path, epoch })
  } finally {
    if (before === undefined) delete process.env['SOURCE_DATE_EPOCH']
    else process.env['SOURCE_DATE_EPOCH'] = before
  }
})

test('a full disk during a build, and a kill at any time, leave no image', () => {
  using folder = temporaryFolder()
  const mounted = join(folder.path, 'small')
  mkdirSync(mounted)
  const root = join(folder.path, 'tree')
  mkdirSync(root)
  writeFileSync(join(root, 'large'), Buffer.alloc(8 * MiB, 'x'))
  run('sh', '-c', `head -c 6M /dev/urandom > '${root}/random'`)
  const definitions = defineImage(folder.path, { one: ['Type=root', 'Format=erofs', 'CopyFiles=/'] })
  const arguments_ = (output: string) => ['build', `--definitions=${definitions}`, `--root=${root}`, '-o', output]
  run('mount', '-t', 'tmpfs', '-o', 'size=10M', 'tmpfs', mounted)
  try {
    const { status, stderr } = cli(...arguments_(join(mounted, 'image.raw')))
    assert.ok(status === 1 && /ERR_DDI_(NO_SPACE|TOOL)/.test(stderr), stderr)
    assert.deepEqual(readdirSync(mounted), [])
  } finally {
    run('umount', mounted)
  }
  const output = join(folder.path, 'killed.raw')
  for (const after of ['0.15', '0.3', '0.45', '0.6']) {
    attempt('timeout', '--signal=KILL', after, process.execPath, 'dist/cli/main.js', ...arguments_(output))
    // It has the name only when it is whole.
    if (readdirSync(folder.path).includes('killed.raw'))
      assert.match(run('sgdisk', '--verify', output), /No problems found/)
    rmSync(output, { force: true })
  }
})

test('an os-release and blocks to copy are those of the tree, wherever its links would lead on this machine', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  const outside = join(folder.path, 'outside')
  for (const [at, id] of [
    [outside, 'host'],
    [join(tree, outside), 'tree'],
  ] as const) {
    mkdirSync(at, { recursive: true })
    writeFileSync(join(at, 'os-release'), `ID=${id}\n`)
    writeFileSync(join(at, 'blocks'), Buffer.alloc(4096, id))
  }
  mkdirSync(join(tree, 'etc'))
  symlinkSync(join(outside, 'os-release'), join(tree, 'etc/os-release'))
  symlinkSync(join(outside, 'blocks'), join(tree, 'blocks'))
  const path = join(folder.path, 'image.raw')
  const definitions = defineImage(folder.path, { one: ['Type=root', 'Label=%o', 'CopyBlocks=/blocks'] })
  const built = await buildImage(definitions, path, { root: tree })
  assert.equal(built.partitions[0]!.label, 'tree')
  assert.ok(readFileSync(path).includes(Buffer.alloc(4096, 'tree')))
})

test('what FAT has no kind for is left out with a warning, and no link is followed out of the tree', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'efi/sub'), { recursive: true })
  writeFileSync(join(folder.path, 'secret'), 'of the host')
  writeFileSync(join(tree, 'efi/sub/file'), 'of the tree')
  run('mkfifo', join(tree, 'efi/fifo'))
  symlinkSync(join(folder.path, 'secret'), join(tree, 'efi/link'))
  symlinkSync(folder.path, join(tree, 'efi/sub/directory'))
  symlinkSync('nowhere', join(tree, 'efi/sub/*'))
  const definitions = defineImage(folder.path, {
    one: ['Type=esp', 'Format=vfat', 'CopyFiles=/efi:/', 'Minimize=yes', 'SplitName=esp'],
  })
  const output = join(folder.path, 'image.raw')
  const { warnings, partitions } = await buildImage(definitions, output, { root: tree, split: true })
  assert.deepEqual(warnings.map((one) => /: (\S+) is left out/.exec(one)?.[1]).sort(), [
    '/efi/fifo',
    '/efi/link',
    '/efi/sub/*',
    '/efi/sub/directory',
  ])
  const esp = partitions[0]!.splitPath!
  run('fsck.vfat', '-n', esp)
  assert.equal(run('mdir', '-/', '-b', '-i', esp), '::/sub/\n::/sub/file\n')
  assert.equal(run('mtype', '-i', esp, '::/sub/file'), 'of the tree')
})

test('names that FAT cannot have are refused, and not changed', () => {
  for (const names of [['a:b'], ['a*'], ['sub/x.'], ['a', 'A']]) {
    using folder = temporaryFolder()
    const root = join(folder.path, 'tree')
    mkdirSync(join(root, 'sub'), { recursive: true })
    for (const name of names) writeFileSync(join(root, name), name)
    const definitions = defineImage(folder.path, { esp: ['Type=esp', 'Format=vfat', 'CopyFiles=/'] })
    const output = join(folder.path, 'image.raw')
    const { stderr } = cli('build', `--definitions=${definitions}`, `--root=${root}`, `--output=${output}`)
    assert.match(stderr, /has no.*(names|two names).*ERR_DDI_DEFINITION/, names.join(' '))
    if (names.length === 2) assert.match(stderr, /rename or exclude (a or A|A or a)/)
    assert.ok(!existsSync(output))
  }
})

test('TEST-58 sector: sizes and places do not depend on the sector size, but where sectors are larger', async () => {
  using folder = temporaryFolder()
  const definitions = defineImage(folder.path, {
    a: ['Type=root', 'SizeMaxBytes=15M', 'SizeMinBytes=15M'],
    b: ['Type=linux-generic', 'Weight=250'],
    c: ['Type=linux-generic', 'Weight=750'],
  })
  for (const sectorSize of [512, 1024, 2048, 4096]) {
    const path = join(folder.path, `${sectorSize}.raw`)
    const { partitions } = await buildImage(definitions, path, { root: folder.path, seed, sectorSize, size: 100 * MiB })
    const runs = partitions.map(({ extents }) => [extents[0]!.start / 512, extents[0]!.length / 512])
    assert.deepEqual(runs, [
      [2048, 30720],
      [32768, 42992],
      [75760, 129000],
    ])
    await using image = await openImage(path)
    assert.deepEqual(image.table.problems, [])
  }
})

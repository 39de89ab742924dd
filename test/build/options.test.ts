// What options of repart.d(5) come to, as others read it.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { buildImage } from '../../lib/index.js'
import { defineImage, MiB } from '../support/images.js'
import { attempt, cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const seed = '6f1a7a9e-1111-4222-8333-123456789abc'

function write(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const definition = (...lines: string[]) => ['[Partition]', ...lines, ''].join('\n')
const dump = (path: string) => run('sfdisk', '--dump', path).replaceAll(path, 'DISK')

test('drop-ins, several directories, masks, specifiers and UUIDs are read as systemd-repart reads them', () => {
  using folder = temporaryFolder()
  const [one, two, tree] = ['one', 'two', 'tree'].map((name) => join(folder.path, name)) as [string, string, string]
  const machineId = '0123456789abcdef0123456789abcdef'
  write(tree, { 'etc/machine-id': `${machineId}\n`, 'etc/os-release': 'ID=acme\nIMAGE_ID=img\nIMAGE_VERSION=7\n' })
  write(one, {
    '10-root.conf': definition('Type=swap', 'SizeMaxBytes=64M', 'UUID=837c3d6721b3478ebe827e7f83bf96d3'),
    '10-root.conf.d/b.conf': definition('Label=label2'),
    '10-root.conf.d/a.conf': definition('Label=label1', 'SizeMaxBytes=32M'),
    '30-masked.conf': '',
    '50-later.conf': definition('Type=srv', 'Label=of-the-first', 'SizeMaxBytes=4M', 'SizeMinBytes=4M'),
    '60-null.conf': definition(
      'Type=var',
      'UUID=null',
      'Flags=0b1000000000000000000000000000000000000000000000000000',
      'SizeMinBytes=1M',
    ),
    '70-machine.conf': definition('Type=home', 'Label=%m', 'SizeMinBytes=1M'),
    '71-kernel.conf': definition('Type=home', 'Label=%M_%A-%a', 'SizeMinBytes=1M'),
    '72-host.conf': definition('Type=tmp', 'Label=%l-%%', 'SizeMinBytes=1M'),
    '73-boot.conf': definition('Type=linux-generic', 'Label=%b', 'SizeMinBytes=1M'),
    '74-version.conf': definition('Type=linux-generic', 'Label=%v', 'SizeMinBytes=1M'),
    '75-no-label.conf': definition('Type=11111111222243338444555555555555', 'SizeMinBytes=1M'),
  })
  write(two, {
    '10-root.conf.d/c.conf': definition('Weight=10'),
    '20-other.conf': definition('Type=usr-arm64', 'SizeMinBytes=1M'),
    '30-masked.conf': definition('Type=esp'),
    '40-null.conf': definition('Type=esp'),
    '50-later.conf': definition('Type=esp'),
  })
  symlinkSync('/dev/null', join(one, '40-null.conf'))
  const options = [`--definitions=${one}`, `--definitions=${two}`, `--root=${tree}`, `--seed=${seed}`, '--size=200M']
  const [theirs, ours] = [join(folder.path, 'theirs.raw'), join(folder.path, 'ours.raw')]
  run('systemd-repart', '--empty=create', '--dry-run=no', '--pretty=no', ...options, theirs)
  const built = cli('build', ...options, '--json=short', '-o', ours)
  assert.equal(built.status, 0, built.stderr)
  assert.equal(dump(ours), dump(theirs))
  const [first] = JSON.parse(built.stdout).partitions
  assert.deepEqual(
    first.dropIns.map((path: string) => path.slice(folder.path.length)),
    ['/one/10-root.conf.d/a.conf', '/one/10-root.conf.d/b.conf', '/two/10-root.conf.d/c.conf'],
  )
})

test('each partition is split off under the name that systemd-repart gives it', () => {
  using folder = temporaryFolder()
  const definitions = write(join(folder.path, 'definitions'), {
    '1.conf': definition('Type=esp', 'SizeMinBytes=1M', 'SizeMaxBytes=1M', 'SplitName=a-%t-%n-%U-%T'),
    '2.conf': definition('Type=root', 'SizeMinBytes=1M', 'SizeMaxBytes=1M'),
    '3.conf': definition('Type=home', 'SizeMinBytes=1M', 'SizeMaxBytes=1M', 'SplitName=-'),
  })
  const files = (name: string) => {
    const at = write(join(folder.path, name), {})
    mkdirSync(at)
    return join(at, 'image.raw')
  }
  const [theirs, ours] = [files('theirs'), files('ours')]
  const options = ['--split=yes', '--pretty=no', '--dry-run=no', '--empty=create', '--size=auto', `--seed=${seed}`]
  run('systemd-repart', `--definitions=${definitions}`, ...options, theirs)
  const { status, stderr } = cli('build', `--definitions=${definitions}`, '--split', `--seed=${seed}`, '-o', ours)
  assert.equal(status, 0, stderr)
  assert.deepEqual(readdirSync(dirname(ours)), readdirSync(dirname(theirs)))
  writeFileSync(join(definitions, '4.conf'), definition('Type=usr', 'SplitName=root-x86-64', 'SizeMinBytes=1M'))
  const clash = cli('build', `--definitions=${definitions}`, '--split', '--architecture=x86-64', '--force', '-o', ours)
  assert.match(clash.stderr, /4\.conf: SplitName=: "root-x86-64" is the name of another partition too/)
})

test('what is in the way of a file that is split off is found before the image is written', () => {
  using folder = temporaryFolder()
  const definitions = write(join(folder.path, 'definitions'), {
    '1.conf': definition('Type=root', 'SizeMinBytes=1M', 'SizeMaxBytes=1M', 'SplitName=one'),
  })
  const output = join(folder.path, 'image.raw')
  writeFileSync(join(folder.path, 'image.one.raw'), 'mine')
  const build = (...more: string[]) => cli('build', `--definitions=${definitions}`, '--split', ...more)
  const { status, stderr } = build('-o', output)
  assert.deepEqual([status, /image\.one\.raw exists/.test(stderr)], [2, true], stderr)
  assert.deepEqual(readdirSync(folder.path).sort(), ['definitions', 'image.one.raw'])
  assert.equal(build('-o', output, '--force').status, 0)
  assert.equal(statSync(join(folder.path, 'image.one.raw')).size, MiB)
  // On a disk that is there, its table stays as it is.
  const table = readFileSync(output)
  writeFileSync(join(definitions, '2.conf'), definition('Type=home', 'SizeMinBytes=1M', 'SplitName=two'))
  writeFileSync(join(folder.path, 'image.two.raw'), 'mine')
  const added = build('--image', output, '--size=8M')
  assert.match(added.stderr, /image\.(one|two)\.raw exists/)
  assert.deepEqual(readFileSync(output), table)
})

/** Paths in a squashfs. */
const listed = (image: string) =>
  run('unsquashfs', '-ls', '-d', '', image)
    .split('\n')
    .filter((line) => line !== '')
    .sort()

test('TEST-58 exclude_files and make_symlinks: what is excluded stays away, by its source, by its target, and for other partitions', async () => {
  using folder = temporaryFolder()
  const root = write(join(folder.path, 'tree'), {
    ...{ abc: '', 'usr/def': '', 'usr/qed': '', 'tmp/prs': '', 'proc/prs': '', 'zzz/usr/prs': '', 'zzz/proc/prs': '' },
    ...{ 'var/tmp/old': '', 'var/lib/kept': '' },
  })
  const definitions = defineImage(folder.path, {
    '00-root': [
      ...['Type=root', 'Format=squashfs', 'SplitName=root', 'CopyFiles=/', 'CopyFiles=/zzz:/', 'CopyFiles=/:/oiu'],
      ...['ExcludeFilesTarget=/oiu/usr', 'MakeDirectories=/dir', 'MakeSymlinks=/foo:/bar /dir/foo:../%M'],
    ],
    '10-usr': ['Type=usr', 'Format=squashfs', 'SplitName=usr', 'CopyFiles=/usr:/', 'ExcludeFiles=/usr/qed'],
  })
  const output = join(folder.path, 'image.raw')
  await buildImage(definitions, output, { root, split: true })
  const [ofRoot, ofUsr] = ['root', 'usr'].map((name) => listed(join(folder.path, `image.${name}.raw`)))
  assert.deepEqual(ofUsr, ['/def'])
  const kept = ['/abc', '/proc', '/tmp', '/usr', '/var', '/var/lib', '/var/lib/kept', '/var/tmp', '/zzz']
  const inside = ['/zzz/proc', '/zzz/proc/prs', '/zzz/usr', '/zzz/usr/prs']
  const under = [...kept, ...inside].filter((path) => path !== '/usr').map((path) => `/oiu${path}`)
  assert.deepEqual(ofRoot, [...kept, ...inside, '/dir', '/dir/foo', '/foo', '/oiu', ...under].sort())
  const all = run('unsquashfs', '-lls', '-d', '', join(folder.path, 'image.root.raw'))
  assert.match(all, / \/foo -> \/bar\n/)
  await buildImage(definitions, output, { root, split: true, replace: true, keepVolatile: true })
  const more = listed(join(folder.path, 'image.root.raw')).filter((path) => !ofRoot!.includes(path))
  assert.deepEqual(more, ['/oiu/proc/prs', '/oiu/tmp/prs', '/oiu/var/tmp/old', '/proc/prs', '/tmp/prs', '/var/tmp/old'])
})

test('files without Format= go to ext4, or FAT for the ESP; room for a later version is empty', async () => {
  using folder = temporaryFolder()
  const root = write(join(folder.path, 'tree'), { 'etc/file': 'x' })
  const definitions = defineImage(folder.path, {
    '1': ['Type=esp', 'CopyFiles=/etc:/EFI', 'Minimize=guess'],
    '2': ['Type=home', 'MakeSymlinks=/a/b:c', 'Minimize=guess'],
    '3': ['Type=root', 'Format=empty', 'SizeMinBytes=1M', 'SizeMaxBytes=1M'],
  })
  const { partitions } = await buildImage(definitions, join(folder.path, 'image.raw'), { root, split: true })
  const [esp, home] = partitions.map(({ splitPath }) => splitPath!) as [string, string]
  const type = (path: string) => run('blkid', '--probe', '--output', 'value', '--match-tag', 'TYPE', path).trim()
  assert.deepEqual([type(esp), type(home)], ['vfat', 'ext4'])
  assert.ok(statSync(esp).size <= 2 * MiB)
  assert.equal(run('mtype', '-i', esp, '::/EFI/file'), 'x')
  assert.match(run('debugfs', '-R', 'stat /a/b', home), /Fast link dest: "c"/)
  assert.match(dump(join(folder.path, 'image.raw')), /DISK3 : .*name="_empty", attrs="GUID:59,63"/)
})

test('what is encrypted, cryptsetup decrypts with the key, and crypttab and fstab name it', async () => {
  using folder = temporaryFolder()
  const root = write(join(folder.path, 'tree'), { 'etc/file': 'contents' })
  const [key, output] = [join(folder.path, 'key'), join(folder.path, 'image.raw')]
  writeFileSync(key, 'secret')
  const definitions = defineImage(folder.path, {
    '1': [
      ...[
        'Type=linux-generic',
        'Format=vfat',
        'Encrypt=key-file',
        'CopyFiles=/',
        'SizeMinBytes=20M',
        'SizeMaxBytes=20M',
      ],
      ...[`KeyFile=${key}`, 'VolumeLabel=schrupfel'],
      ...['EncryptedVolume=data:/etc/key:luks,discard', 'MountPoint=/data:ro', 'MountPoint=/also', 'SplitName=data'],
    ],
    '2': ['Type=esp', 'Format=vfat', 'SizeMinBytes=4M', 'SizeMaxBytes=4M', 'MountPoint=/boot'],
    '3': ['Type=root', 'Format=ext4', 'Minimize=yes', 'MountPoint=/', 'CopyFiles=/'],
  })
  const { partitions } = await buildImage(definitions, output, {
    ...{ root, split: true, keyFile: '/dev/null', fstab: '/etc/fstab', crypttab: '/etc/crypttab' },
  })
  const [data, esp, system] = partitions.map(({ splitPath }) => splitPath!) as [string, string, string]
  const uuid = (path: string) => run('blkid', '--probe', '--output', 'value', '--match-tag', 'UUID', path).trim()
  // Both are in the tree, and so in the image.
  const crypttab = run('debugfs', '-R', 'cat /etc/crypttab', system)
  assert.equal(crypttab, readFileSync(join(root, 'etc/crypttab'), 'utf8'))
  assert.match(crypttab, new RegExp(`^data UUID=${uuid(data)} /etc/key luks,discard$`, 'm'))
  assert.match(run('cryptsetup', 'luksDump', data), /^Label: +\tschrupfel$/m)
  run('cryptsetup', 'open', '--test-passphrase', `--key-file=${key}`, data)
  writeFileSync(join(folder.path, 'wrong'), 'wrong')
  assert.notEqual(
    attempt('cryptsetup', 'open', '--test-passphrase', `--key-file=${join(folder.path, 'wrong')}`, data).status,
    0,
  )
  run(
    'cryptsetup',
    'reencrypt',
    '--batch-mode',
    '--decrypt',
    '--force-offline-reencrypt',
    `--header=${data}.header`,
    `--key-file=${key}`,
    data,
  )
  run('fsck.vfat', '-n', data)
  assert.equal(run('mtype', '-i', data, '::/etc/file'), 'contents')
  const fstab = join(root, 'etc/fstab')
  const lines = readFileSync(fstab, 'utf8').split('\n').slice(1, -1)
  assert.deepEqual(lines, [
    `UUID=${uuid(data)} /data vfat discard,rw,nodev,suid,exec,ro 0 2`,
    `UUID=${uuid(data)} /also vfat discard,rw,nodev,suid,exec 0 2`,
    `UUID=${uuid(esp)} /boot vfat umask=0077,rw,nodev,nosuid,noexec,nosymfollow 0 2`,
    `UUID=${uuid(system)} / ext4 discard,rw,nodev,suid,exec 0 1`,
  ])
  assert.match(
    run('findmnt', '--tab-file', fstab, '--list', '--noheadings', '--output=TARGET'),
    /^\/data\n\/also\n\/boot\n\/\n$/,
  )
})

test('an fstab that is not ours stays, one of an earlier build is replaced, and a build that fails leaves none', async () => {
  using folder = temporaryFolder()
  const root = write(join(folder.path, 'tree'), { 'etc/hostname': 'name' })
  const victim = join(folder.path, 'victim')
  writeFileSync(victim, 'MINE')
  const fstab = join(root, 'etc/fstab')
  const build = async (output: string, ...lines: string[]) => {
    const definitions = defineImage(folder.path, { '1': ['Type=root', 'Format=ext4', 'CopyFiles=/', ...lines] })
    await buildImage(definitions, join(folder.path, output), { root, fstab: '/etc/fstab', seed })
  }
  for (const make of [() => writeFileSync(fstab, 'MINE'), () => symlinkSync(victim, fstab)]) {
    make()
    await assert.rejects(build('refused.raw', 'MountPoint=/'), { code: 'ERR_DDI_EXISTS' })
    assert.equal(readFileSync(fstab, 'utf8'), 'MINE')
    rmSync(fstab)
  }
  assert.equal(readFileSync(victim, 'utf8'), 'MINE')
  await assert.rejects(build('failed.raw', 'MountPoint=/', 'CopyFiles=/none:/x'), { code: 'ERR_DDI_DEFINITION' })
  assert.deepEqual(readdirSync(join(root, 'etc')), ['hostname'])
  await build('first.raw', 'MountPoint=/')
  await build('second.raw', 'MountPoint=/also')
  assert.match(readFileSync(fstab, 'utf8'), / \/also ext4 /)
  await assert.rejects(build('failed.raw', 'MountPoint=/', 'CopyFiles=/none:/x'), { code: 'ERR_DDI_DEFINITION' })
  assert.deepEqual(readdirSync(join(root, 'etc')), ['fstab', 'hostname'])
})

test('TEST-58 compression, verity_explicit_block_size and minimize: by the tools’ own reports', async () => {
  using folder = temporaryFolder()
  const root = write(join(folder.path, 'tree'), {
    ...{ large: 'ddi '.repeat(200_000), 'dev/.node': '', 'dev/[a]*': '', 'sub/kept': '', 'sub/out': '' },
  })
  const definitions = defineImage(folder.path, {
    '1': [
      ...['Type=root', 'Format=squashfs', 'Compression=zstd', 'CompressionLevel=3', 'CopyFiles=/', 'Minimize=best'],
      ...['Verity=data', 'VerityMatchKey=r', 'SplitName=root'],
    ],
    '2': [
      ...['Type=root-verity', 'Verity=hash', 'VerityMatchKey=r', 'VerityHashBlockSizeBytes=1024', 'Minimize=yes'],
      ...['VerityDataBlockSizeBytes=512', 'SplitName=verity'],
    ],
    '3': [
      'Type=usr',
      'Format=erofs',
      'Compression=lz4hc',
      'CompressionLevel=3',
      'CopyFiles=/',
      'SplitName=usr',
      'ExcludeFiles=/sub/out',
    ],
  })
  const { partitions } = await buildImage(definitions, join(folder.path, 'image.raw'), { root, split: true, seed })
  const [data, hash, usr] = partitions.map(({ splitPath }) => splitPath!) as [string, string, string]
  assert.match(run('unsquashfs', '-stat', data), /Compression zstd\n\s*compression-level 3\n/)
  assert.ok(statSync(usr).size < 100_000)
  run('fsck.erofs', `--extract=${join(folder.path, 'extracted')}`, usr)
  // Left out by mkfs.erofs and mksquashfs themselves, not by a copy of the tree.
  const paths = readdirSync(join(folder.path, 'extracted'), { recursive: true }) as string[]
  assert.deepEqual(paths.sort(), ['dev', 'large', 'sub', 'sub/kept'])
  assert.deepEqual(listed(data), ['/dev', '/large', '/sub', '/sub/kept', '/sub/out'])
  const report = run('veritysetup', 'dump', hash)
  assert.match(report, /Data block size:\s+512\n(.*\n)*Hash block size:\s+1024\n/)
  run('veritysetup', 'verify', data, hash, partitions[0]!.rootHash!)
})

test('subvolumes of btrfs take a tool that can make them', async () => {
  using folder = temporaryFolder()
  const definitions = defineImage(folder.path, {
    one: [
      'Type=home',
      'Format=btrfs',
      'MakeDirectories=/@home',
      'Subvolumes=/@home:ro',
      'DefaultSubvolume=/@home',
      'SplitName=home',
    ],
  })
  const built = buildImage(definitions, join(folder.path, 'image.raw'), { root: folder.path, split: true })
  if (!run('mkfs.btrfs', '--help').includes('--subvol'))
    return await assert.rejects(built, { code: 'ERR_DDI_TOOL', message: /Subvolumes= needs btrfs-progs 6\.11/ })
  const { partitions } = await built
  assert.match(run('btrfs', 'inspect-internal', 'dump-tree', partitions[0]!.splitPath!), /name: @home/)
})

test('TEST-58 btrfs and btrfs_compression: mkfs.btrfs gets subvolumes, their flags and the compression', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const definitions = defineImage(folder.path, {
    one: [
      ...['Type=home', 'Format=btrfs', 'MakeDirectories=/@ /@home /@var', 'Subvolumes=/@ /@home:ro /@var:nodatacow'],
      ...['DefaultSubvolume=/@', 'Compression=zstd', 'CompressionLevel=3', 'SplitName=home'],
    ],
  })
  // It stands in for a newer one: the older makes the file system without what it does not know.
  const real = run('sh', '-c', 'command -v mkfs.btrfs').trim()
  run('cp', real, at('real'))
  const standIn = `#!/bin/sh
case "$*" in *--help*) echo --subvol --inode-flags --compress; exit;; esac
printf '%s\\n' "$@" > '${at('given')}'
left=$#
while [ $left -gt 0 ]; do
  word=$1; shift; left=$((left - 1))
  case "$word" in --subvol|--inode-flags|--compress) shift; left=$((left - 1));; *) set -- "$@" "$word";; esac
done
exec '${at('real')}' "$@"
`
  writeFileSync(at('stand-in'), standIn, { mode: 0o755 })
  const build = `node '${join(packageRoot, 'dist/cli/main.js')}' build --definitions '${definitions}' --root '${folder.path}' --output '${at('image.raw')}' --split`
  run('unshare', '--mount', 'sh', '-ec', `mount --bind '${at('stand-in')}' '${real}'; ${build}`)
  const given = readFileSync(at('given'), 'utf8').split('\n')
  const values = (option: string) => given.flatMap((word, n) => (given[n - 1] === option ? [word] : []))
  assert.deepEqual(values('--subvol'), ['default:@', 'ro:@home', 'rw:@var'])
  assert.deepEqual(values('--inode-flags'), ['nodatacow:@var'])
  assert.deepEqual(values('--compress'), ['zstd:3'])
  run('btrfs', 'check', at('image.home.raw'))
})

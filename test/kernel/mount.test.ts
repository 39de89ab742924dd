// Images mounted: what goes where and how, and that nothing is left.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  buildImage,
  detachAll,
  type MountOptions,
  mountImage,
  parseImagePolicy,
  unmountImage,
  withTree,
} from '../../lib/index.js'
import { parseCertificates } from '../../lib/verity/index.js'
import { makeBeside, makePrograms, makeUsr } from '../support/beside.js'
import { defineImage, emptyFile, MiB, makeGptImage, typeUuids } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, cliPath, packageRoot, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'

afterEach(() => {
  assertNothingLeft()
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes('/ddi-test-'), 'a mount is left')
})

function makeTree(folder: string): string {
  const tree = join(folder, 'tree')
  for (const name of ['etc', 'usr/bin', 'usr/lib/systemd', 'home', 'var/tmp', 'efi', 'sbin'])
    mkdirSync(join(tree, name), { recursive: true })
  writeFileSync(join(tree, 'etc/os-release'), 'ID=acme\nVERSION_ID=7\nPORTABLE_PREFIXES=acme\n')
  writeFileSync(join(tree, 'etc/hostname'), 'box\n')
  writeFileSync(join(tree, 'usr/bin/hello'), '#!/bin/sh\necho hello from "$PWD", $1\nexit 7\n')
  chmodSync(join(tree, 'usr/bin/hello'), 0o755)
  symlinkSync('/usr/lib/systemd', join(tree, 'sbin/init'))
  return tree
}

/** A signed root and an ext4 home. */
async function makeImage(folder: string) {
  const { key, certificate } = makeIdentity(folder, 'signer')
  const definitions = defineImage(folder, {
    '10-root': ['Type=root', 'Label=os', 'Format=erofs', 'CopyFiles=/', 'Verity=data', 'VerityMatchKey=r'],
    '11-verity': ['Type=root-verity', 'Label=os', 'Verity=hash', 'VerityMatchKey=r'],
    '12-sig': ['Type=root-verity-sig', 'Label=os', 'Verity=signature', 'VerityMatchKey=r'],
    '20-home': ['Type=home', 'Format=ext4', 'SizeMinBytes=32M', 'SizeMaxBytes=32M', 'CopyFiles=/etc:/from-etc'],
  })
  const path = join(folder, 'image.raw')
  const built = await buildImage(definitions, path, {
    root: makeTree(folder),
    signer: {
      kind: 'key',
      key: readFileSync(key),
      certificate: parseCertificates(readFileSync(certificate), certificate)[0]!,
    },
  })
  return { path, certificate, rootHash: built.partitions.find(({ rootHash }) => rootHash)!.rootHash! }
}

test('examples/attach-and-mount mounts by a root hash, and leaves nothing', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = await makeImage(folder.path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  const said = run(process.execPath, join(packageRoot, 'dist/examples/attach-and-mount.js'), path, rootHash, at)
  assert.match(said, /^root \/dev\/mapper\/ddi-\S+ true\nhome \S+ false\nID=acme\n/)
})

/** Options of a mount, as the kernel shows them. */
function optionsAt(path: string): string[] {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((one) => one.split(' ')[4] === path)
    .at(-1)
  return line?.split(' ')[5]?.split(',') ?? []
}

test('a built, signed image: mounted, used, run with, unmounted', async () => {
  using folder = temporaryFolder()
  const { path, certificate } = await makeImage(folder.path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  const trust = [`--certificate=${certificate}`, '--image-policy=root=signed:home=unprotected']
  const { status, stdout, stderr } = cli('mount', path, at, '--writable', ...trust, '--json=short')
  assert.equal(status, 0, stderr)
  const { volumes } = JSON.parse(stdout)
  assert.deepEqual(
    volumes.map(({ designator, path, readOnly, verified }: Record<string, unknown>) => [
      designator,
      path,
      readOnly,
      verified,
    ]),
    [
      ['root', at, true, true],
      ['home', join(at, 'home'), false, false],
    ],
  )
  assert.equal(readFileSync(join(at, 'home/from-etc/hostname'), 'utf8'), 'box\n')
  writeFileSync(join(at, 'home/mine'), 'written')
  for (const option of ['ro', 'nodev']) assert.ok(optionsAt(at).includes(option), option)
  for (const option of ['rw', 'nodev', 'nosuid', 'noexec'])
    assert.ok(optionsAt(join(at, 'home')).includes(option), option)
  // Somebody uses it.
  const user = spawn('sleep', ['60'], { cwd: join(at, 'home') })
  await once(user, 'spawn')
  const busy = cli('umount', at)
  assert.match(busy.stderr, /ERR_DDI_BUSY/)
  user.kill()
  await once(user, 'exit')
  assert.equal(cli('umount', at, '--json=short').status, 0)
  assert.match(cli('umount', at).stderr, /ERR_DDI_NOT_ATTACHED/)

  const hello = cli('with', ...trust, path, 'sh', '-c', 'exec ./usr/bin/hello "$1"', 'sh', '--json=off')
  assert.equal(hello.status, 7, hello.stderr)
  assert.match(hello.stdout, /^hello from .*ddi-with\.\w+\.d, --json=off$/m)
  assert.equal(cli('with', path, 'none-such-program').status, 127)
  assert.equal(cli('with', path, 'sh', '-c', 'kill -TERM $$').status, 143)

  const shown = cli('inspect', path, '--contents', '--json=short')
  assert.equal(shown.status, 0, shown.stderr)
  const { contents } = JSON.parse(shown.stdout)
  assert.deepEqual(
    [contents.hostname, contents.osRelease.ID, contents.uses],
    ['box', 'acme', ['container', 'portable-service']],
  )
  assert.match(cli('copy-from', path, 'home/mine').stdout, /^written$/)
  assert.match(cli('list-files', path).stdout, /^home\/from-etc\/hostname$/m)
  const line = /^\.\/etc\/hostname type=file mode=0644 uid=0 gid=0 size=4 sha256digest=([0-9a-f]{64})$/m.exec(
    cli('digest', path).stdout,
  )
  assert.equal(line?.[1], run('sh', '-c', 'printf "box\\n" | sha256sum').slice(0, 64))
  assert.equal(cli('validate', path, ...trust).status, 0)
  // This kernel verifies no signatures: asked to, it is told so; not asked, the signature that we verified is enough.
  assert.match(cli('attach', path, '--signature=kernel').stderr, /ERR_DDI_SIGNATURE_KERNEL/)
  assert.match(cli('attach', path, '--signature=both', ...trust).stderr, /ERR_DDI_SIGNATURE_KERNEL/)
  assert.equal(cli('validate', path, '--image-policy=root=signed').status, 3)
})

test('inspect --contents tells of a Debian tree what systemd-dissect tells', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'debian')
  mkdirSync(join(tree, 'etc'), { recursive: true })
  mkdirSync(join(tree, 'usr/lib/systemd'), { recursive: true })
  run('cp', '/usr/lib/os-release', join(tree, 'usr/lib/os-release'))
  symlinkSync('../usr/lib/os-release', join(tree, 'etc/os-release'))
  writeFileSync(join(tree, 'etc/hostname'), 'debian\n')
  writeFileSync(join(tree, 'etc/machine-id'), `${'0123456789abcdef'.repeat(2)}\n`)
  writeFileSync(join(tree, 'etc/machine-info'), 'PRETTY_HOSTNAME="A box"\n')
  writeFileSync(join(tree, 'usr/lib/systemd/systemd'), '')
  const path = join(folder.path, 'debian.raw')
  await buildImage(
    defineImage(folder.path, { root: ['Type=root', 'Format=ext4', 'SizeMinBytes=32M', 'CopyFiles=/'] }),
    path,
    { root: tree },
  )
  const theirs = run('systemd-dissect', '--no-pager', path)
  const ours = JSON.parse(cli('inspect', path, '--contents', '--json=short').stdout).contents
  assert.match(theirs, new RegExp(`Hostname: ${ours.hostname}\n`))
  assert.equal(/Machine ID: (\S+)/.exec(theirs)![1]!.replaceAll('-', ''), ours.machineId)
  const lines = theirs.split('\n')
  const fields = (title: string) => {
    const first = lines.findIndex((line) => line.includes(`${title}: `))
    const rest = lines.slice(first + 1)
    const end = rest.findIndex((line) => !/^ {12,}\S+=/.test(line))
    return [lines[first]!.split(': ')[1]!, ...rest.slice(0, end)].map((line) => line.trim())
  }
  const listed = (group: object) => Object.entries(group).map(([name, value]) => `${name}=${value}`)
  assert.deepEqual(listed(ours.osRelease), fields('OS Release'))
  assert.deepEqual(listed(ours.machineInfo), fields('Mach. Info'))
  assert.equal(/✓ bootable system for container/.test(theirs), ours.uses.includes('container'))
})

test('writes to memory, owners, policies of writing and executing', async () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  const path = join(folder.path, 'image.raw')
  const definitions = defineImage(folder.path, {
    root: ['Type=root', 'Format=ext4', 'SizeMinBytes=32M', 'CopyFiles=/'],
  })
  await buildImage(definitions, path, { root: tree })
  const before = readFileSync(path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  {
    await using _ = await mountImage(path, at, { inMemoryOverlay: true })
    writeFileSync(join(at, 'etc/new'), 'in memory')
    assert.equal(readFileSync(join(at, 'etc/new'), 'utf8'), 'in memory')
    for (const option of ['rw', 'noexec', 'nosuid', 'nodev']) assert.ok(optionsAt(at).includes(option), option)
    assert.equal(attempt('sh', '-c', '"$1"', 'sh', join(at, 'usr/bin/hello')).status, 126)
  }
  assert.ok(readFileSync(path).equals(before))
  {
    await using _ = await mountImage(path, at, { owners: { inside: 0, outside: 100_000, count: 65_536 } })
    assert.equal(statSync(join(at, 'etc/hostname')).uid, 100_000)
  }
  const wx = { writable: true, writeXorExecute: true, mountOptions: { root: 'exec' } } as const
  await assert.rejects(mountImage(path, at, wx), { code: 'ERR_DDI_WRITABLE_EXECUTABLE' })
  const covered = { ...wx, writable: false, inMemoryOverlay: true }
  await assert.rejects(mountImage(path, at, covered), { code: 'ERR_DDI_WRITABLE_EXECUTABLE' })
  {
    await using _ = await mountImage(path, at, {
      writable: true,
      writeXorExecute: true,
      mountOptions: { root: 'noatime' },
    })
    for (const option of ['rw', 'noexec', 'noatime']) assert.ok(optionsAt(at).includes(option), option)
    assert.equal(attempt('sh', '-c', '"$1"', 'sh', join(at, 'usr/bin/hello')).status, 126)
  }
  assert.equal(cli('copy-to', path, '/etc/hostname', 'etc/copied').status, 0)
  assert.equal(cli('copy-from', path, 'etc/copied', join(folder.path, 'back')).status, 0)
  assert.equal(readFileSync(join(folder.path, 'back'), 'utf8'), readFileSync('/etc/hostname', 'utf8'))
  assert.match(cli('copy-from', path, 'none').stderr, /ERR_DDI_NOT_FOUND/)
  assert.match(cli('copy-to', path, '/etc/hostname', 'none/x').stderr, /ERR_DDI_NOT_FOUND/)
  assert.equal(attempt('e2fsck', '-fn', `${path}?offset=${MiB}`).status, 0)
})

test('links in an image lead nowhere out of it, and what has no place or no file system is refused', async () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  const outside = join(folder.path, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), 'SECRET=1\n')
  run(
    'sh',
    '-c',
    `cd '${tree}' && rm -r home etc/os-release && ln -s '${outside}' home && ln -s '${outside}/secret' etc/os-release && ln -s ../../../../../..${outside} up && ln -s '${outside}/secret' usr/lib/os-release`,
  )
  const path = join(folder.path, 'image.raw')
  const definitions = defineImage(folder.path, {
    '10-root': ['Type=root', 'Format=ext4', 'SizeMinBytes=32M', 'CopyFiles=/'],
    '20-home': ['Type=home', 'Format=ext4', 'SizeMinBytes=32M'],
  })
  await buildImage(definitions, path, { root: tree })
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  await assert.rejects(mountImage(path, at), { code: 'ERR_DDI_MOUNT_POINT', message: /no directory \/home/ })
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(outside))
  const policy = '--image-policy=root=unprotected:=ignore'
  const shown = cli('inspect', path, '--contents', '--json=short', policy)
  assert.equal(shown.status, 0, shown.stderr)
  assert.deepEqual(JSON.parse(shown.stdout).contents.osRelease, {})
  for (const name of ['etc/os-release', 'up/secret', 'home/secret'])
    assert.match(cli('copy-from', path, name, policy).stderr, /ERR_DDI_NOT_FOUND/)
  assert.match(cli('copy-to', path, '/etc/hostname', 'home/x', policy).stderr, /ERR_DDI_NOT_FOUND/)
  assert.ok(!existsSync(join(outside, 'x')))
  await assert.rejects(mountImage(path, join(folder.path, 'none')), { code: 'ERR_DDI_NOT_FOUND' })
  const blank = join(folder.path, 'blank.raw')
  makeGptImage(blank, 16 * MiB, [{ type: typeUuids.root, size: MiB }])
  await assert.rejects(mountImage(blank, at), { code: 'ERR_DDI_FILE_SYSTEM' })
})

test('what no root hash covers is mounted on, in and above nothing that one covers, by no link and no second name', async () => {
  using folder = temporaryFolder()
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  const usr = makeUsr(folder.path)
  const home = makePrograms(join(folder.path, 'home'), 'way/evil')
  const roots = {
    below: 'mkdir usr; ln -s usr/bin home',
    above: 'mkdir -p home/usr; ln -s home/usr usr',
    through: 'mkdir home real; ln -s ../real home/way; ln -s home/way usr',
    twin: 'mkdir usr',
    'twin-above': 'mkdir -p data/usr; ln -s data/usr usr',
  }
  for (const [name, commands] of Object.entries(roots)) {
    const root = join(folder.path, name)
    mkdirSync(root)
    run('sh', '-euc', `cd "$1"; ${commands}`, 'sh', root)
    const path = makeBeside(usr, `${root}.raw`, { root, home })
    // One directory under two names, which only a hostile file system has.
    const start = Number(/First sector: (\d+)/.exec(run('sgdisk', '--info=3', path))![1]) * 512
    const twin = { twin: '/usr', 'twin-above': '/data' }[name]
    if (twin) run('debugfs', '-w', '-R', `link ${twin} /home`, `${path}?offset=${start}`)
    const refused = mountImage(path, at, { usrHash: usr.rootHash, inMemoryOverlay: name === 'above' })
    const message =
      name === 'through'
        ? /usr leads to "\/home\/way", and not to its usr volume/
        : /\/home leads to "\/.*", which is, lies in or holds the place of its usr volume/
    await assert.rejects(refused, { code: 'ERR_DDI_MOUNT_POINT', message }, name)
    assertNothingLeft()
  }
})

test('beside a covered /usr, nothing else can be executed unless that is asked for', async () => {
  using folder = temporaryFolder()
  const at = join(folder.path, 'mounted')
  const root = makePrograms(join(folder.path, 'root'), 'bin/x')
  for (const name of [at, join(root, 'usr'), join(root, 'home'), join(root, 'var')]) mkdirSync(name)
  const home = makePrograms(join(folder.path, 'homes'), 'x')
  const usr = makeUsr(folder.path)
  const usrHash = usr.rootHash
  const path = makeBeside(usr, join(folder.path, 'image.raw'), { root, home, var: home })
  const status = (name: string) => attempt('sh', '-c', '"$1"', 'sh', join(at, name)).status
  const options: readonly MountOptions[] = [{ usrHash }, { usrHash, inMemoryOverlay: true }, {}]
  for (const one of options) {
    const isCovered = one.usrHash !== undefined
    await using mounted = await mountImage(path, at, one)
    const noExec = mounted.volumes.map(({ designator, noExec }) => [designator, noExec])
    const data = ['root', 'home', 'var'].map((name) => [name, isCovered])
    // What is writable is not executable, covered or not.
    assert.deepEqual(noExec, [data[0], ['usr', one.inMemoryOverlay ?? false], data[1], data[2]])
    for (const name of ['bin/x', 'home/x', 'var/x']) assert.equal(status(name), isCovered ? 126 : 0, name)
  }
  {
    await using _ = await mountImage(path, at, { usrHash, mountOptions: { home: 'exec' } })
    assert.deepEqual([status('home/x'), status('var/x')], [0, 126])
  }
  const shown = cli('mount', path, at, `--usr-hash=${usrHash}`)
  assert.match(shown.stdout, /^VOLUME .* RO +NOEXEC +VERIFIED$/m)
  assert.match(shown.stdout, /^home .* yes +yes +no$/m)
  assert.equal(cli('umount', at).status, 0)
  const attached = cli('attach', path, `--usr-hash=${usrHash}`, '--name=beside')
  assert.match(attached.stderr, /no root hash covers root, home, var of .* mount with noexec/)
  assert.equal(cli('detach', 'beside').status, 0)
  // Not offered is not there: a root in memory has a place for everything else.
  await using strict = await mountImage(path, at, { usrHash, strict: true })
  assert.deepEqual(
    strict.volumes.map(({ designator }) => designator),
    ['usr', 'home', 'var'],
  )
})

test('what an image without a root has is mounted in one in memory, where systemd-dissect mounts it', async () => {
  using folder = temporaryFolder()
  const at = join(folder.path, 'mounted')
  const tree = join(folder.path, 'tree')
  for (const name of [at, join(tree, 'tmp')]) mkdirSync(name, { recursive: true })
  const usr = makeUsr(folder.path)
  const path = makeBeside(usr, join(folder.path, 'image.raw'), { home: tree, var: tree })
  const mounts = () =>
    run('findmnt', '--list', '--noheadings', '--output', 'TARGET,FSTYPE', '--submounts', '--target', at)
  run('systemd-dissect', '--mount', path, at)
  const theirs = mounts()
  run('umount', '--recursive', at)
  await using _ = await mountImage(path, at, { usrHash: usr.rootHash })
  assert.equal(mounts(), theirs)
})

test('a usr image has a root in memory', async () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  const path = join(folder.path, 'usr.raw')
  await buildImage(defineImage(folder.path, { usr: ['Type=usr', 'Format=squashfs', 'CopyFiles=/usr:/'] }), path, {
    root: tree,
  })
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  await mountImage(path, at)
  assert.ok(existsSync(join(at, 'usr/bin/hello')))
  assert.equal((await unmountImage(path)).length, 1)
  assert.ok(!existsSync(join(at, 'usr')))
  // Somebody’s own file system in memory there stays.
  run('mount', '-t', 'tmpfs', 'tmpfs', at)
  try {
    await mountImage(path, at)
    assert.equal((await unmountImage(at)).length, 1)
    assert.match(run('findmnt', '--noheadings', '--output', 'SOURCE', at), /^tmpfs$/m)
  } finally {
    run('umount', at)
  }
})

function formatLuks(path: string, passphrase: string, ...options: string[]): void {
  run('truncate', '--size=48M', path)
  const derivation = ['--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000']
  run('cryptsetup', 'luksFormat', '--batch-mode', '--type=luks2', ...derivation, ...options, path, passphrase)
}

test('a LUKS volume under the null cipher is not opened, whatever the passphrase', () => {
  using folder = temporaryFolder()
  const [path, passphrase, locked] = ['image.raw', 'passphrase', 'locked'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(passphrase, 'secret')
  formatLuks(locked, passphrase, '--cipher=null', '--key-size=128')
  makeGptImage(path, 64 * MiB, [{ type: typeUuids.home, size: 48 * MiB, from: locked }])
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  const refused = cli('mount', path, at, `--key-file=${passphrase}`)
  assert.match(refused.stderr, /encrypts nothing.*ERR_DDI_FILE_SYSTEM/)
  assertNothingLeft()
})

test('a LUKS volume that asks for more than opening one may cost is refused before, and one that takes long ends at a signal', async () => {
  using folder = temporaryFolder()
  const [path, passphrase, locked, at] = ['image.raw', 'passphrase', 'locked', 'mounted'].map((name) =>
    join(folder.path, name),
  ) as [string, string, string, string]
  writeFileSync(passphrase, 'secret')
  mkdirSync(at)
  formatLuks(locked, passphrase)
  const image = (iterations: number) => {
    const bytes = readFileSync(locked)
    for (const start of [0, 16384]) {
      const text = bytes.toString('utf8', start + 4096, start + 16384).replace(/\0.*$/s, '')
      const metadata = JSON.parse(text)
      metadata.keyslots[0].kdf.iterations = iterations
      bytes.fill(0, start + 4096, start + 16384).write(JSON.stringify(metadata), start + 4096)
      // The checksum is over the header with zeros in its place.
      bytes.fill(0, start + 448, start + 512)
      createHash('sha256')
        .update(bytes.subarray(start, start + 16384))
        .digest()
        .copy(bytes, start + 448)
    }
    writeFileSync(`${locked}.changed`, bytes)
    makeGptImage(path, 64 * MiB, [{ type: typeUuids.home, size: 48 * MiB, from: `${locked}.changed` }])
  }
  image(2_000_000_000)
  const refused = cli('mount', path, at, `--key-file=${passphrase}`)
  assert.match(refused.stderr, /too long to open.*iterations 2000\d+.*ERR_DDI_FILE_SYSTEM/)
  assertNothingLeft()

  image(90_000_000)
  const controller = new AbortController()
  const unlock = async () => {
    setTimeout(() => controller.abort(), 100)
    return readFileSync(passphrase)
  }
  await assert.rejects(mountImage(path, at, { unlock, signal: controller.signal }), { code: 'ERR_DDI_ABORTED' })
  assertNothingLeft()
})

test('an ext4 that asks for a panic at the first error does not get it', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'broken'), { recursive: true })
  writeFileSync(join(tree, 'broken/file'), 'x')
  for (const options of [[], ['-E', 'mount_opts=errors=panic']]) {
    const path = join(folder.path, `image${options.length}.raw`)
    run('truncate', '--size=8M', path)
    run('mkfs.ext4', '-q', '-b', '4096', '-d', tree, path)
    run('tune2fs', '-e', 'panic', ...options, path)
    const block = Number(run('debugfs', '-R', 'blocks /broken', path))
    const bytes = readFileSync(path)
    bytes.fill(0xff, block * 4096, block * 4096 + 64)
    writeFileSync(path, bytes)
    // This kernel goes on.
    assert.match(cli('list-files', path).stderr, /ERR_DDI_FILE_SYSTEM/)
    assertNothingLeft()
  }
})

test('a LUKS volume opens by passphrase and key file, and closes with its image', async () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  const path = join(folder.path, 'image.raw')
  const passphrase = join(folder.path, 'passphrase')
  const locked = join(folder.path, 'locked')
  writeFileSync(passphrase, 'secret')
  formatLuks(locked, passphrase)
  run('cryptsetup', 'open', '--key-file', passphrase, locked, 'to-fill')
  run('mkfs.ext4', '-q', '/dev/mapper/to-fill')
  run('cryptsetup', 'close', 'to-fill')
  run('cp', locked, join(tree, 'locked'))
  await buildImage(
    defineImage(folder.path, {
      '10-root': ['Type=root', 'Format=erofs', 'CopyFiles=/'],
      '20-home': ['Type=home', `CopyBlocks=/locked`],
    }),
    path,
    { root: tree },
  )
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  assert.match(cli('mount', path, at).stderr, /ERR_DDI_LOCKED/)
  const wrong = join(folder.path, 'wrong')
  writeFileSync(wrong, 'none')
  assert.match(cli('mount', path, at, `--passphrase-file=${wrong}`).stderr, /ERR_DDI_PASSPHRASE/)
  for (const option of ['--passphrase-file', '--key-file']) {
    const { status, stderr, stdout } = cli('mount', path, at, `${option}=${passphrase}`, '--writable')
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^home +\S+ +\/dev\/mapper\/ddi-image@\w+-home-luks +ext4 +no/m)
    writeFileSync(join(at, 'home/file'), 'x')
    assert.match(cli('list').stdout, /home-luks/)
    assert.equal(cli('umount', at).status, 0)
  }
  const unlocked = [`--key-file=${passphrase}`, '--writable', '--mount-options=home:exec']
  assert.match(cli('mount', path, at, ...unlocked, '--policy=wx').stderr, /ERR_DDI_WRITABLE_EXECUTABLE/)
  assertNothingLeft()
})

test('a btrfs, whose mounts have numbers of no device, grows as its flag asks, and is unmounted', async () => {
  using folder = temporaryFolder()
  const [path, fileSystem, at] = ['image.raw', 'btrfs', 'mounted'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  mkdirSync(at)
  // The kernel resizes none to less than 256 MiB.
  makeGptImage(path, 300 * MiB, [{ type: typeUuids.root, size: 288 * MiB, attributes: [59] }])
  emptyFile(fileSystem, 120 * MiB)
  run('mkfs.btrfs', '--quiet', fileSystem)
  run('dd', `if=${fileSystem}`, `of=${path}`, 'bs=1M', 'seek=1', 'conv=notrunc,sparse', 'status=none')
  await mountImage(path, at, { writable: true, architectures: ['x86-64'] })
  assert.match(run('btrfs', 'filesystem', 'usage', '--raw', at), new RegExp(`Device size:\\s*${288 * MiB}$`, 'm'))
  await assert.rejects(detachAll(), { code: 'ERR_DDI_BUSY', message: /is mounted on .*mounted: unmount it first/ })
  const [copy, other] = [join(folder.path, 'copy.raw'), join(folder.path, 'other')]
  run('cp', '--sparse=always', path, copy)
  mkdirSync(other)
  // A kernel knows a btrfs by its UUID.
  await assert.rejects(mountImage(copy, other, { architectures: ['x86-64'] }), {
    code: 'ERR_DDI_BUSY',
    message: /mounted is of a btrfs with the same UUID [-0-9a-f]{36}: unmount it first/,
  })
  await unmountImage(at)
  assertNothingLeft()
})

test('a LUKS volume with integrity is mounted under a policy that wants it, and closed with its image', async () => {
  using folder = temporaryFolder()
  const [path, passphrase, at] = ['locked.img', 'passphrase', 'mounted'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(passphrase, 'secret')
  mkdirSync(at)
  emptyFile(path, 4 * MiB)
  run(
    ...(['cryptsetup', 'luksFormat', '--batch-mode', '--type=luks2', '--integrity=hmac-sha256'] as const),
    ...['--luks2-metadata-size=16k', '--luks2-keyslots-size=512k'],
    ...['--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000', path, passphrase],
  )
  run('cryptsetup', 'open', '--key-file', passphrase, path, 'to-fill')
  run('mkfs.ext4', '-q', '/dev/mapper/to-fill')
  run('cryptsetup', 'close', 'to-fill')
  const policy = parseImagePolicy('root=encryptedwithintegrity')
  const mounted = await mountImage(path, at, { policy, unlock: async () => Buffer.from('secret') })
  assert.match(mounted.volumes[0]!.device, /ddi-locked@\w+-root-luks$/)
  await mounted.unmount()
  assertNothingLeft()
})

test('killed at any time, a mount leaves nothing that umount does not undo', async () => {
  using folder = temporaryFolder()
  const { path } = await makeImage(folder.path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  for (let round = 0; round < 10; round++) {
    const child = spawn(process.execPath, [cliPath, 'mount', path, at, '--writable'], { stdio: 'ignore' })
    const ended = once(child, 'exit')
    await sleep(300 + 150 * round)
    child.kill('SIGKILL')
    await ended
    const { status, stderr } = cli('umount', at)
    assert.ok(status === 0 || /ERR_DDI_NOT_ATTACHED/.test(stderr), stderr)
    assertNothingLeft()
  }
})

test('who looks into an image exposes nothing of it, to nobody', async () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  run('cp', '/usr/bin/id', join(tree, 'usr/bin/privileged'))
  chmodSync(join(tree, 'usr/bin/privileged'), 0o4755)
  writeFileSync(join(tree, 'large'), Buffer.alloc(8 * MiB, 'large '))
  const path = join(folder.path, 'image.raw')
  const root = ['Type=root', 'Format=erofs', 'CopyFiles=/']
  await buildImage(defineImage(folder.path, { root }), path, { root: tree })
  // The library: others cannot get there, nor run what they find.
  await withTree(path, { mountOptions: { root: 'suid,exec,dev' } }, async ({ root }) => {
    for (const option of ['ro', 'nosuid', 'nodev', 'noexec']) assert.ok(optionsAt(root.path).includes(option), option)
    const program = join(root.path, 'usr/bin/privileged')
    assert.equal(statSync(program).mode & 0o7777, 0o4755)
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
    assert.notEqual(attempt('setpriv', ...asNobody, 'test', '-e', program).status, 0)
    assert.equal(attempt('sh', '-c', '"$1"', 'sh', program).status, 126)
  })
  // The command: nobody sees where it is mounted. A reader that does not read keeps it mounted.
  const command = [cliPath, 'copy-from', path, 'large']
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'readable')
  assert.match(run('losetup', '--list', '--noheadings'), /image\.raw|loop/)
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes('ddi-tree'))
  // Killed, it takes what it started with it.
  child.kill('SIGKILL')
  child.stdout.destroy()
  for (let waits = 0; waits < 100 && !run('dmsetup', 'ls').includes('No devices'); waits++) await sleep(100)
})

test('a file system of smaller blocks than the sectors of its disk is mounted from a file, and from such a disk refused by name', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  mkdirSync(tree)
  writeFileSync(join(tree, 'file'), 'text')
  const path = join(folder.path, 'image.raw')
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  const lines = ['Type=root', 'Format=vfat', 'FileSystemSectorSize=512', 'CopyFiles=/', 'SizeMinBytes=4M']
  await buildImage(defineImage(folder.path, { root: lines }), path, { root: tree, sectorSize: 4096 })
  await mountImage(path, at)
  assert.equal(readFileSync(join(at, 'file'), 'utf8'), 'text')
  await unmountImage(at)
  const device = run('losetup', '--find', '--show', '--sector-size', '4096', path).trim()
  try {
    await assert.rejects(mountImage(device, at), {
      code: 'ERR_DDI_FILE_SYSTEM',
      message: /^root of \S+ is vfat with blocks of 512 bytes, and its disk has sectors of 4096/,
    })
  } finally {
    run('losetup', '--detach', device)
  }
  assertNothingLeft()
})

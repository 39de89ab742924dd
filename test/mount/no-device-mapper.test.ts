// Images mounted by a kernel that has loop devices and no device-mapper: each volume is a loop device.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { basename, join, relative } from 'node:path'
import { test } from 'node:test'
import {
  attach,
  buildImage,
  copyFrom,
  type DdiError,
  type ListedAttachment,
  list,
  mountImage,
  unmountImage,
  withTree,
} from '../../lib/index.js'
import { listLoops } from '../../lib/kernel/loop.js'
import { openRoot, type Root } from '../../lib/mount/root.js'
import { defineImage, MiB } from '../support/images.js'
import { cli, cliPath, run, temporaryFolder } from '../support/run.js'

const skip =
  process.getuid?.() === 0 &&
  existsSync('/dev/loop-control') &&
  !readFileSync('/proc/misc', 'utf8').includes('device-mapper')
    ? false
    : 'needs root, loop devices, and a kernel without device-mapper'

/** Asserts that no loop device or mount of a test is left: others of this machine may have theirs. */
function assertNothingLeft(folder: string): void {
  const files = run('losetup', '--noheadings', '--list', '--output', 'BACK-FILE')
  assert.ok(!files.includes(folder), files)
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(folder), 'a mount is left')
}

async function makeImage(folder: string): Promise<string> {
  const tree = join(folder, 'tree')
  for (const name of ['etc', 'home', 'usr/lib']) mkdirSync(join(tree, name), { recursive: true })
  writeFileSync(join(tree, 'etc/hostname'), 'box\n')
  const path = join(folder, 'image.raw')
  const definitions = defineImage(folder, {
    '10-root': ['Type=root', 'Format=erofs', 'CopyFiles=/'],
    '20-home': ['Type=home', 'Format=ext4', 'SizeMinBytes=32M', 'CopyFiles=/etc:/from-etc'],
  })
  await buildImage(definitions, path, { root: tree })
  return path
}

test('what is attached is listed without privileges too, as udev has written it down', { skip }, async () => {
  using folder = temporaryFolder()
  const path = await makeImage(folder.path)
  await using attachment = await attach(path, { name: 'udev_knows' })
  const devices = attachment.volumes.map(({ device }) => device)
  const loops = await listLoops()
  // Of systemd 254 and later, udev-builtin-blkid.c: what it was named by who made it, of each loop device.
  const record = (device: string) => {
    const number = readFileSync(`/sys/block/${basename(device)}/dev`, 'utf8').trim()
    const { reference } = loops.find((loop) => loop.device === device)!
    return `echo 'E:ID_LOOP_BACKING_FILENAME=${reference}' >/run/udev/data/b${number}`
  }
  const script = [
    'mount -t tmpfs tmpfs /run && mkdir -p /run/udev/data',
    ...devices.map(record),
    `exec setpriv --reuid=65534 --regid=65534 --clear-groups '${process.execPath}' '${cliPath}' list --json=short`,
  ].join(' && ')
  const { attachments } = JSON.parse(run('unshare', '--mount', 'sh', '-c', script)) as {
    readonly attachments: readonly ListedAttachment[]
  }
  const privileged = (await list()).find(({ name }) => name === 'udev_knows')
  assert.equal(privileged?.volumes.length, 2)
  assert.deepEqual(
    attachments.find(({ name }) => name === 'udev_knows'),
    privileged,
  )
})

test('every verb that mounts does so', { skip }, async () => {
  using folder = temporaryFolder()
  const path = await makeImage(folder.path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  const { status, stdout, stderr } = cli('mount', path, at, '--writable', '--json=short')
  assert.equal(status, 0, stderr)
  for (const { device } of JSON.parse(stdout).volumes) assert.match(device, /^\/dev\/loop\d+$/)
  assert.equal(readFileSync(join(at, 'home/from-etc/hostname'), 'utf8'), 'box\n')
  writeFileSync(join(at, 'home/mine'), 'written')
  assert.equal(cli('umount', at).status, 0)
  const copied = cli('copy-from', path, 'home/mine')
  assert.equal(copied.stdout, 'written', `status ${copied.status}: ${copied.stderr}`)
  assert.equal(copied.status, 0)
  assert.match(cli('list-files', path).stdout, /^home\/mine$/m)
  assert.match(cli('digest', path).stdout, /^\.\/home\/mine type=file /m)
  assert.equal(cli('with', path, 'sh', '-c', 'exit "$(cat home/mine | wc -c)"').status, 7)
  assert.equal(JSON.parse(cli('inspect', path, '--contents', '--json=short').stdout).contents.hostname, 'box')
  assertNothingLeft(folder.path)
})

test('a mount is undone by its directory and by its image, and what fails leaves nothing', { skip }, async () => {
  using folder = temporaryFolder()
  const path = await makeImage(folder.path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  for (const what of [at, path]) {
    await mountImage(path, at)
    assert.ok(existsSync(join(at, 'home/from-etc')))
    assert.equal((await unmountImage(what)).length, 1)
    assert.ok(!existsSync(join(at, 'etc')))
  }
  await assert.rejects(mountImage(path, at, { mountOptions: { home: 'no-such-option' } }), { code: 'ERR_DDI_KERNEL' })
  assertNothingLeft(folder.path)
})

test('a volume is written through one device only, and read through any number', { skip }, async () => {
  using folder = temporaryFolder()
  const path = await makeImage(folder.path)
  const [one, two] = [{ name: 'ddi-test-one' }, { name: 'ddi-test-two' }]
  const written = { volumes: ['home'], writable: true }
  {
    await using _ = await attach(path, { ...one, ...written })
    await assert.rejects(attach(path, { ...two, ...written }), { code: 'ERR_DDI_BUSY', message: /detach ddi-test-one/ })
    await using _read = await attach(path, { ...two, volumes: ['home', 'root-x86-64'] })
  }
  assertNothingLeft(folder.path)
})

test('who looks into an image follows its links as the kernel would in a root, and nobody else does', {
  skip,
}, async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  for (const name of ['etc/deep', 'usr/lib']) mkdirSync(join(tree, name), { recursive: true })
  writeFileSync(join(tree, 'usr/lib/os-release'), 'ID=acme\n')
  const links = {
    'etc/os-release': '../usr/lib/os-release',
    absolute: '/etc/os-release',
    outside: '../../../../../etc/deep/.././os-release',
    etc2: 'etc',
    through: '/etc2/deep/../../outside',
    dangling: 'usr/none',
    loop: 'pool',
    pool: 'loop',
    file: 'usr/lib/os-release/x',
    ...Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`n${n}`, n === 0 ? 'absolute' : `n${n - 1}`])),
  }
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(tree, name))
  const path = join(folder.path, 'image.raw')
  run('mkfs.erofs', path, tree)
  await withTree(path, {}, async ({ source, root }) => {
    assert.equal(source.kind, 'mount')
    assert.match(run('findmnt', '--noheadings', '--output', 'OPTIONS', root.path), /nosymfollow/)
    await using plain = await openRoot(tree)
    const ways = [...Object.keys(links), 'etc2/os-release', '/through', 'etc2', 'etc2/..', 'n0/', '.', '/', 'none/x']
    for (const way of ways) {
      const leadsTo = async (within: Root) => {
        await using opened = await within.open(way)
        return relative(within.path, await opened.realPath())
      }
      const [one, other] = await Promise.allSettled([leadsTo(root), leadsTo(plain)])
      if (other!.status === 'fulfilled') assert.deepEqual(one, other, way)
      else assert.equal((one as PromiseRejectedResult).reason?.code, other!.reason.code, way)
    }
  })
  assert.equal(cli('copy-from', path, 'through').stdout, 'ID=acme\n')
  assertNothingLeft(folder.path)
})

test('a walk of a mounted tree ends at a signal', { skip }, async () => {
  using folder = temporaryFolder()
  const path = await makeImage(folder.path)
  const controller = new AbortController()
  const walking = withTree(path, { signal: controller.signal }, async (tree) => {
    assert.equal(tree.source.kind, 'mount')
    for await (const { path } of tree.entries()) if (path === 'etc') controller.abort()
  })
  await assert.rejects(walking, { code: 'ERR_DDI_ABORTED' })
  assertNothingLeft(folder.path)
})

test('who may write where a file is copied to does not turn that into a copy elsewhere', { skip }, async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  const out = join(folder.path, 'out')
  const private_ = join(folder.path, 'private')
  for (const one of [tree, out, private_]) mkdirSync(one)
  writeFileSync(join(tree, 'file'), 'of the image')
  const path = join(folder.path, 'image.raw')
  run('mkfs.erofs', '--quiet', path, tree)
  await withTree(path, {}, async (tree) => {
    // As soon as the copy has a place, it is swapped for a link: if that is seen, the copy fails.
    const watcher = watch(out, (_, name) => {
      if (!name?.endsWith('.d') || existsSync(join(out, 'moved'))) return
      renameSync(join(out, name), join(out, 'moved'))
      symlinkSync(private_, join(out, name))
    })
    const copied = await copyFrom(tree, 'file', join(out, 'target')).then(
      () => readFileSync(join(out, 'target'), 'utf8'),
      (error: DdiError) => error.code,
    )
    watcher.close()
    assert.ok(['of the image', 'ERR_DDI_NOT_FOUND', 'ERR_DDI_EXISTS'].includes(copied), copied)
    assert.ok(existsSync(join(out, 'moved')))
    assert.deepEqual(readdirSync(private_), [])
  })
})

test('what somebody else mounted on an image is not unmounted with it', { skip }, async () => {
  using folder = temporaryFolder()
  const path = await makeImage(folder.path)
  const at = join(folder.path, 'mounted')
  mkdirSync(at)
  await mountImage(path, at)
  run('mount', '-t', 'tmpfs', 'none', at)
  writeFileSync(join(at, 'precious'), 'x')
  await assert.rejects(unmountImage(path), { code: 'ERR_DDI_BUSY', message: /something else is mounted/ })
  assert.equal(readFileSync(join(at, 'precious'), 'utf8'), 'x')
  run('umount', at)
  await unmountImage(at)
  assertNothingLeft(folder.path)
})

test('a LUKS volume is refused before anything is made', { skip }, async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'locked.raw')
  const key = join(folder.path, 'key')
  writeFileSync(key, 'secret')
  run('truncate', '--size=20M', path)
  const cheap = ['--type=luks2', '--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000']
  run('cryptsetup', 'luksFormat', '--batch-mode', ...cheap, path, key)
  const unlock = async () => readFileSync(key)
  await assert.rejects(mountImage(path, folder.path, { unlock }), { code: 'ERR_DDI_NO_DEVICE_MAPPER' })
  assertNothingLeft(folder.path)
})

test('what copy-to replaces is lost only once the new file is whole', { skip }, async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  mkdirSync(tree)
  const old = randomBytes(3 * MiB)
  writeFileSync(join(tree, 'f'), old)
  run('mkfifo', join(tree, 'fifo'))
  const path = join(folder.path, 'image.raw')
  run('mkfs.ext4', '-q', '-d', tree, path, '8M')
  const large = join(folder.path, 'large')
  writeFileSync(large, randomBytes(12 * MiB))
  const text = join(folder.path, 'text')
  writeFileSync(text, 'new\n')
  const read = (name: string) => run('debugfs', '-R', `cat ${name}`, path)
  const listed = () => cli('list-files', path).stdout
  const before = listed()
  assert.notEqual(cli('copy-to', path, large, '/f').status, 0)
  assert.ok(cli('digest', path).stdout.includes(createHash('sha256').update(old).digest('hex')))
  assert.equal(listed(), before)
  assert.match(cli('copy-to', path, text, '/fifo').stderr, /ERR_DDI_EXISTS/)
  assert.equal(cli('copy-to', path, text, '/f').status, 0)
  assert.equal(read('/f'), 'new\n')
  assert.equal(listed(), before)
  assertNothingLeft(folder.path)
})

// Stages of a boot that change the kernel: modules, its clock, the file systems that it offers. Needs a kernel that is ours.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon } from '../../bindings/addon.js'
import { openBootLog } from '../../lib/boot/boot-log.js'
import { advanceClock } from '../../lib/boot/clock.js'
import { mountKernelFileSystems } from '../../lib/boot/kernel-file-systems.js'
import { loadModules } from '../../lib/boot/modules.js'
import { parseBootParameters } from '../../lib/boot/parameters.js'
import { detachAll } from '../../lib/index.js'
import { moveMount, syncFileSystem } from '../../lib/kernel/file-systems.js'
import { loadModule } from '../../lib/kernel/modules.js'
import { makeVerityImage } from '../support/images.js'
import { cli, cliPath, run, temporaryFolder } from '../support/run.js'

const inUml = process.env['DDI_IN_UML'] === '1'
const options = inUml ? {} : { skip: 'this machine’s own kernel: its modules and its clock are not ours' }
const modules = `/run/modules/lib/modules/${release()}`
const isLoaded = (name: string) => new RegExp(`^${name} `, 'm').test(readFileSync('/proc/modules', 'utf8'))
const fileOf = (name: string) => run('find', '-L', modules, '-name', `${name}.ko`).trim()
const unload = (name: string) => run('modprobe', '-d', '/run/modules', '-r', name)

/** A root directory that has the kernel's file systems, and its modules. */
function contextIn(folder: string, commandLine: string) {
  for (const name of ['lib', 'usr/lib', 'dev', 'run']) mkdirSync(join(folder, name), { recursive: true })
  for (const name of ['proc', 'sys']) symlinkSync(`/${name}`, join(folder, name))
  symlinkSync('/run/modules/lib/modules', join(folder, 'lib/modules'))
  return { root: folder, log: openBootLog(folder), parameters: parseBootParameters(commandLine) }
}
const said = (folder: string) => readFileSync(join(folder, 'run/ddi/boot.log'), 'utf8')

test('a module is loaded once, with parameters', options, async () => {
  const path = fileOf('brd')
  await loadModule(path, 'rd_nr=3')
  try {
    assert.ok(isLoaded('brd'))
    assert.equal(readFileSync('/sys/module/brd/parameters/rd_nr', 'utf8').trim(), '3')
    await loadModule(path)
  } finally {
    unload('brd')
  }
  await assert.rejects(loadModule('/none.ko'), { code: 'ERR_DDI_NOT_FOUND' })
  using folder = temporaryFolder()
  const garbage = join(folder.path, 'garbage.ko')
  writeFileSync(garbage, 'no module')
  await assert.rejects(loadModule(garbage), { code: 'ERR_DDI_KERNEL', syscall: 'finit_module', message: /ENOEXEC/ })
})

test('what images need is loaded in order, with what the command line says of it', options, async () => {
  for (const name of ['dm-verity', 'dm-zero', 'dm-crypt', 'dm-log-writes', 'dm-mod', 'erofs', 'overlay', 'loop'])
    unload(name)
  using folder = temporaryFolder()
  await using _ = await loadModules(contextIn(folder.path, 'loop.max_part=3 quiet'))
  for (const name of ['loop', 'dm_mod', 'dm_verity', 'erofs', 'overlay']) assert.ok(isLoaded(name), name)
  assert.equal(readFileSync('/sys/module/loop/parameters/max_part', 'utf8').trim(), '3')
  assert.match(said(folder.path), /ddi: modules: \d+ loaded\n$/)
  unload('loop')
  run('modprobe', '-d', '/run/modules', 'loop')
})

test('a device that comes later gets its module', options, async () => {
  using folder = temporaryFolder()
  const context = contextIn(folder.path, '')
  const own = join(folder.path, 'own')
  const [directory, device] = [join(own, 'lib/modules', release()), join(own, 'sys/bus/acme/devices/0')]
  for (const path of [directory, join(own, 'sys/kernel')]) mkdirSync(path, { recursive: true })
  writeFileSync(join(directory, 'modules.alias'), 'alias acme:v[0-3]* brd\n')
  writeFileSync(join(directory, 'modules.dep'), 'brd.ko:\n')
  symlinkSync(fileOf('brd'), join(directory, 'brd.ko'))
  writeFileSync(join(own, 'sys/kernel/uevent_seqnum'), '7\n')
  {
    await using _ = await loadModules({ ...context, root: own })
    assert.ok(!isLoaded('brd'))
    mkdirSync(device, { recursive: true })
    writeFileSync(join(device, 'modalias'), 'acme:v2\n')
    writeFileSync(join(own, 'sys/kernel/uevent_seqnum'), '8\n')
    while (!isLoaded('brd')) await sleep(20)
  }
  unload('brd')
})

test('modules that are missing are told', options, async () => {
  using folder = temporaryFolder()
  const context = contextIn(folder.path, '')
  const own = { ...context, root: join(folder.path, 'own') }
  mkdirSync(join(own.root, 'lib/modules', release()), { recursive: true })
  await using _ = await loadModules(own)
  assert.match(said(folder.path), /no modules of Linux \S+ for loop, dm_mod, dm_verity, erofs, squashfs, overlay/)
})

test('a clock behind the build is set to it, and one before it is left', options, async () => {
  using folder = temporaryFolder()
  const context = contextIn(folder.path, '')
  const epoch = join(folder.path, 'usr/lib/clock-epoch')
  const [day, now] = [24 * 3600, Math.floor(Date.now() / 1000)]
  writeFileSync(epoch, '')
  try {
    utimesSync(epoch, now - day, now - day)
    await advanceClock(context)
    assert.ok(Math.abs(Date.now() / 1000 - now) < day / 2)
    utimesSync(epoch, now + day, now + day)
    await advanceClock(context)
    assert.ok(Math.abs(Date.now() / 1000 - now - day) < day / 2)
    assert.match(said(folder.path), /the clock was behind the build/)
  } finally {
    await addon().setClock(now)
  }
})

test('the kernel’s file systems are mounted once each', options, async () => {
  using folder = temporaryFolder()
  try {
    await mountKernelFileSystems(folder.path)
    await mountKernelFileSystems(folder.path)
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(folder.path))
    assert.deepEqual(
      mounts.map((line) => line.split(' ').slice(1, 3).join(' ').replace(folder.path, '')),
      ['/proc proc', '/sys sysfs', '/dev devtmpfs', '/run tmpfs'],
    )
  } finally {
    for (const name of ['run', 'dev', 'sys', 'proc']) run('umount', join(folder.path, name))
  }
})

test('a mount is moved, and a file system written to its disk', options, async () => {
  using folder = temporaryFolder()
  const [from, to] = ['from', 'to'].map((name) => join(folder.path, name))
  for (const path of [from!, to!]) mkdirSync(path)
  run('mount', '-t', 'tmpfs', 'none', from!)
  writeFileSync(join(from!, 'file'), 'text')
  await moveMount(from!, to!)
  assert.equal(readFileSync(join(to!, 'file'), 'utf8'), 'text')
  await syncFileSystem(join(to!, 'file'))
  run('umount', to!)
  await assert.rejects(syncFileSystem(join(to!, 'file')), { syscall: 'open' })
  await assert.rejects(moveMount(from!, to!), { code: 'ERR_DDI_KERNEL', message: /EINVAL/ })
})

test(
  'the verb boots up to the hand-over, for another program to do that, and in an initrd alone',
  options,
  async () => {
    assert.match(cli('boot', '--no-switch').stderr, /this is not an initrd.*ERR_DDI_USAGE/)
    using folder = temporaryFolder()
    // What has no first program is no root.
    mkdirSync(join(folder.path, 'tree/sbin'), { recursive: true })
    writeFileSync(join(folder.path, 'tree/sbin/init'), '')
    const { path, rootHash } = makeVerityImage(folder.path)
    const [commandLine, sysroot] = ['cmdline', 'sysroot'].map((name) => join(folder.path, name))
    writeFileSync(commandLine!, `rd.systemd.pull=raw,machine,verify=no:root:file://${path} roothash=${rootHash}\n`)
    const script = `mount -t tmpfs none /etc; touch /etc/initrd-release
    mount --bind '${commandLine}' /proc/cmdline
    "$@" boot && exit 1
    "$@" boot --sysroot '${sysroot}' --no-switch --json=short
    findmnt --noheadings --output SOURCE,OPTIONS '${sysroot}'; cat '${sysroot}/etc/os-release'`
    try {
      const said = run('unshare', '--mount', 'sh', '-ec', script, 'sh', process.execPath, cliPath).split('\n')
      assert.deepEqual(JSON.parse(said[0]!), { image: '/run/machines/root.raw', sysroot })
      assert.match(said[1]!, /^\/dev\/mapper\/\S+ ro,/)
      assert.equal(said[2], 'ID=ddi-test')
    } finally {
      await detachAll()
      rmSync('/run/machines', { recursive: true, force: true })
    }
  },
)

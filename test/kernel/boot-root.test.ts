// What a boot mounts as its root, with a real device-mapper.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { findImageKernel } from '../../lib/boot/image-kernel.js'
import { kexecImage } from '../../lib/boot/kexec.js'
import { mountRoot, obtainRoot } from '../../lib/boot/root.js'
import { detachAll } from '../../lib/index.js'
import { makeBeside, makePrograms, makeUsr } from '../support/beside.js'
import { bootIn, type TestBoot } from '../support/boot.js'
import { makeTree, makeVerityImage } from '../support/images.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

/** A root is obtained and mounted as a command line says; `look` sees it. */
async function mounted(
  folder: string,
  commandLine: string,
  look: (sysroot: string, context: TestBoot) => void | Promise<void>,
) {
  const context = bootIn(join(folder, 'initrd'), commandLine)
  const sysroot = join(folder, 'sysroot')
  mkdirSync(sysroot, { recursive: true })
  const image = await obtainRoot(context)
  assert.ok(image)
  await mountRoot(context, image, sysroot)
  try {
    await look(sysroot, context)
  } finally {
    // One may cover another.
    while (attempt('umount', '--recursive', sysroot).status === 0);
    await detachAll()
    rmSync(join(folder, 'initrd'), { recursive: true })
  }
}

const optionsOf = (path: string) => run('findmnt', '--noheadings', '--output', 'OPTIONS', path).trim().split(',')

test('a raw root is verified as it is read, and volatile as the command line says', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const line = `rd.systemd.pull=raw,machine,verify=no:root:file://${path} roothash=${rootHash}`
  await mounted(folder.path, `${line} systemd.verity_root_options=panic-on-corruption rootflags=noatime`, (sysroot) => {
    assert.equal(readFileSync(join(sysroot, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
    const [, name] = /\/dev\/mapper\/(\S+)/.exec(run('findmnt', '-no', 'SOURCE', sysroot))!
    assert.match(dmTable(name!), new RegExp(`verity .*${rootHash}.*panic_on_corruption`))
    for (const option of ['ro', 'noatime', 'nodev']) assert.ok(optionsOf(sysroot).includes(option), option)
    for (const option of ['nosuid', 'noexec']) assert.ok(!optionsOf(sysroot).includes(option), option)
  })
  await mounted(folder.path, `${line} ddi.volatile=overlay`, (sysroot) => {
    writeFileSync(join(sysroot, 'program'), '#!/bin/sh\necho runs\n', { mode: 0o755 })
    assert.equal(run(join(sysroot, 'program')), 'runs\n')
    assert.ok(!optionsOf(sysroot).includes('nosuid'))
  })
})

test('a layer in memory is executable over what a root hash covers, and over nothing beside that', async () => {
  using folder = temporaryFolder()
  const tree = makePrograms(join(folder.path, 'tree'), 'program')
  const usr = makeUsr(folder.path)
  const path = makeBeside(usr, join(folder.path, 'image.raw'), { home: tree })
  const line = `rd.systemd.pull=raw,machine,verify=no:root:file://${path} usrhash=${usr.rootHash} ddi.volatile=overlay`
  await mounted(folder.path, `${line} systemd.image_policy=usr=verity:home=unprotected`, (sysroot) => {
    const noExec = ['usr', 'home'].filter((name) => optionsOf(join(sysroot, name)).includes('noexec'))
    assert.deepEqual(noExec, ['home'])
  })
})

test('a kernel is taken of what the root hash covers alone, and one that cannot be started is told', async () => {
  using folder = temporaryFolder()
  const modules = join(folder.path, 'tree/usr/lib/modules/9.9.9')
  mkdirSync(modules, { recursive: true })
  writeFileSync(join(modules, 'vmlinuz'), 'no kernel\n')
  writeFileSync(join(modules, 'modules.dep'), '')
  writeFileSync(join(modules, 'modules.builtin'), 'kernel/drivers/block/loop.ko\nkernel/fs/squashfs/squashfs.ko\n')
  mkdirSync(join(folder.path, 'tree/tmp'))
  const { path, rootHash } = makeVerityImage(folder.path)
  const line = `rd.systemd.pull=raw,machine,verify=no:root:file://${path} roothash=${rootHash}`
  for (const volatile of ['no', 'overlay'])
    await mounted(folder.path, `${line} ddi.volatile=${volatile}`, async (sysroot, context) => {
      const place = join(sysroot, 'usr/lib/modules/9.9.9')
      const found = {
        version: '9.9.9',
        path: join(place, 'vmlinuz'),
        kind: 'kernel',
        hasInitrd: false,
        modulesFrom: place,
      }
      assert.deepEqual(await findImageKernel(sysroot, false), found)
      await kexecImage(context, 'acme_1', sysroot)
      assert.match(context.said.at(-1)!, /kernel of acme_1 is not started, Linux \S+ goes on: .*ERR_DDI_KEXEC/)
      run('mount', '--bind', modules, place)
      assert.equal(await findImageKernel(sysroot, false), undefined)
      assert.deepEqual(await findImageKernel(sysroot, true), found)
    })
})

test('of a volatile root, only /usr is of the image', async () => {
  using folder = temporaryFolder()
  const tree = makeTree(folder.path)
  mkdirSync(join(tree, 'usr/bin'), { recursive: true })
  writeFileSync(join(tree, 'usr/bin/program'), '#!/bin/sh\necho runs\n', { mode: 0o755 })
  const tar = join(folder.path, 'os.tar')
  run('tar', '-C', tree, '-cf', tar, '.')
  const [sha256] = run('sha256sum', tar).split(' ')
  const line = `rd.systemd.pull=tar,machine,ro,verify=${sha256}:root:file://${tar}`
  await mounted(folder.path, line, (sysroot) => {
    assert.equal(readFileSync(join(sysroot, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
    assert.notEqual(attempt('touch', join(sysroot, 'new')).status, 0)
    run('chattr', '-i', join(folder.path, 'initrd/run/machines/root'))
  })
  const writable = line.replace(',ro', '')
  await mounted(folder.path, `${writable} ddi.volatile=overlay`, (sysroot) => {
    writeFileSync(join(sysroot, 'etc/new'), '')
    assert.ok(!existsSync(join(folder.path, 'initrd/run/machines/root/etc/new')))
  })
  await mounted(folder.path, `${writable} ddi.volatile=yes`, (sysroot) => {
    assert.ok(!existsSync(join(sysroot, 'etc/os-release')))
    assert.equal(run(join(sysroot, 'bin/program')), 'runs\n')
    writeFileSync(join(sysroot, 'etc/new'), '')
  })
  mkdirSync(join(folder.path, 'bare'))
  const bare = makeVerityImage(join(folder.path, 'bare')).path
  await assert.rejects(
    mounted(
      folder.path,
      `rd.systemd.pull=raw,machine,verify=no:root:file://${bare} ddi.insecure ddi.volatile=yes`,
      () => {},
    ),
    { code: 'ERR_DDI_MOUNT_POINT' },
  )
  rmSync(join(folder.path, 'initrd'), { recursive: true })
})

test('what nothing vouches for is mounted only if the command line says so, and it is told', async () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  const line = `rd.systemd.pull=raw,machine,verify=no:root:file://${path}`
  await assert.rejects(
    mounted(folder.path, line, () => {}),
    { code: 'ERR_DDI_UNTRUSTED' },
  )
  await mounted(folder.path, `${line} ddi.insecure`, (sysroot, { said }) => {
    assert.match(said.join('\n'), /INSECURE: nothing vouches for .*root\.raw/)
    assert.equal(readFileSync(join(sysroot, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
  })
})

test('pull --from-cmdline --sysroot mounts a raw root, and attaches no image that nothing vouches for', () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const [commandLine, sysroot] = [join(folder.path, 'cmdline'), join(folder.path, 'sysroot')]
  mkdirSync(sysroot)
  const pull = (line: string, ...options: string[]) => {
    writeFileSync(commandLine, `${line}\n`)
    run('mount', '--bind', commandLine, '/proc/cmdline')
    try {
      return cli('pull', '--from-cmdline', '--initrd', ...options)
    } finally {
      run('umount', '/proc/cmdline')
      rmSync('/run/machines', { recursive: true, force: true })
    }
  }
  const request = (options: string) => `rd.systemd.pull=raw,machine,verify=no${options}:root:file://${path}`
  for (const [options, ...more] of [[',blockdev'], ['', '--sysroot', sysroot]] as const) {
    const { status, stderr } = pull(request(options), ...more)
    assert.equal(status, 3)
    assert.match(stderr, /ERR_DDI_UNTRUSTED/)
  }
  assert.equal(pull(`${request('')} roothash=${rootHash}`, '--sysroot', sysroot).status, 0)
  assert.equal(readFileSync(join(sysroot, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
  cli('umount', sysroot)
})

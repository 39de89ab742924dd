import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { findImageKernel } from '../../lib/boot/image-kernel.js'
import { nextCommandLine } from '../../lib/boot/kexec.js'
import { initrdForKernel } from '../../lib/boot/kexec-initrd.js'
import { parseBootParameters } from '../../lib/boot/parameters.js'
import { DdiError } from '../../lib/errors.js'
import { loadKernel } from '../../lib/kernel/kexec.js'
import { parameterValue } from '../../lib/kernel-command-line.js'
import { bootIn } from '../support/boot.js'
import { run, temporaryFolder } from '../support/run.js'
import { makeSmallUki } from '../support/uki.js'
import { debianKernel } from './machine/uki.js'

test('a kernel that is started boots the image that was chosen, and starts no other', () => {
  const line = 'console=ttyS0 ddi.product=acme ddi.kexec=always'
  const next = nextCommandLine(line, '', 'acme_2')
  assert.ok(next.startsWith(line))
  assert.equal(parameterValue(next, 'ddi.image'), 'acme_2')
  assert.equal(parseBootParameters(next).kexec, 'never')
  const ours = `quiet roothash=${'0'.repeat(64)} ddi.url="http://a/b c" root=/dev/sda`
  const own = nextCommandLine('own=1', ours, 'acme_2')
  assert.equal(own, `own=1 roothash=${'0'.repeat(64)} "ddi.url=http://a/b c" ddi.image=acme_2 ddi.kexec=never`)
  assert.equal(parameterValue(own, 'ddi.url'), 'http://a/b c')
  assert.equal(parameterValue(nextCommandLine('title="half', '', 'acme_2'), 'ddi.image'), 'acme_2')
  assert.throws(() => parseBootParameters('ddi.kexec=perhaps'), { code: 'ERR_DDI_USAGE' })
})

test('of the kernels of an image, the newest is taken; a UKI where it has no other; and none of what no root hash covers', async () => {
  using folder = temporaryFolder()
  const { put } = bootIn(folder.path, '')
  const version = async () => (await findImageKernel(folder.path, true))?.version
  assert.equal(await version(), undefined)
  put('boot/EFI/Linux/.keep', '')
  await makeSmallUki(join(folder.path, 'boot/EFI/Linux/a.efi'), { '.uname': '6.9.0', '.linux': 'k' })
  await makeSmallUki(join(folder.path, 'boot/EFI/Linux/b.efi'), { '.uname': '6.10.0', '.linux': 'k', '.initrd': 'i' })
  await makeSmallUki(join(folder.path, 'boot/EFI/Linux/c.efi'), { '.uname': '6.11.0' })
  assert.deepEqual(await findImageKernel(folder.path, true), {
    ...{ version: '6.10.0', path: join(folder.path, 'boot/EFI/Linux/b.efi'), kind: 'uki', hasInitrd: true },
    modulesFrom: null,
  })
  put('usr/lib/modules/6.2.0/vmlinuz', 'k')
  put('usr/lib/modules/6.12.0/modules.dep', '')
  put('usr/lib/modules/6.1.0/vmlinuz', 'k')
  assert.equal(await version(), '6.2.0')
  assert.equal(await findImageKernel(folder.path, false), undefined)
})

test('an initrd for another kernel has all that the first has, with modules of that one', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { put } = bootIn(at('root'), '')
  for (const path of [
    'init',
    'm/loop.ko',
    'modules/6.0.0/modules.dep',
    'bin/busybox',
    'etc/initrd-release',
    'usr.squashfs',
  ])
    put(path, `old ${path}`)
  const kernel = debianKernel('linux-image-6.12-cloud-amd64')
  const archive = await initrdForKernel(at('root'), kernel.modules, ['configfs', 'no_such_module'])
  writeFileSync(at('initrd'), await archive.read(0, archive.size))
  run(
    'sh',
    '-c',
    `mkdir '${at('new')}' && cd '${at('new')}' && cpio --quiet -idm --no-absolute-filenames <'${at('initrd')}'`,
  )
  const read = (path: string) => readFileSync(join(at('new'), path))
  for (const path of ['bin/busybox', 'etc/initrd-release', 'usr.squashfs'])
    assert.equal(read(path).toString(), `old ${path}`)
  assert.deepEqual(readdirSync(at('new/modules')), [kernel.version])
  assert.ok((statSync(at('new/init')).mode & 0o111) !== 0)

  // modprobe finds the same modules in the same order, and xz the same bytes.
  const needed = (directory: string, name: string) =>
    run('modprobe', '--dirname', directory, '--set-version', kernel.version, '--show-depends', name)
      .split('\n')
      .flatMap((line) => /^insmod (\S+)/.exec(line)?.slice(1) ?? [])
  const early = ['loop', 'squashfs'].flatMap((name) => needed(join(kernel.modules, '../../..'), name))
  const inserted = [
    ...read('init')
      .toString()
      .matchAll(/^insmod \/m\/(\S+) /gm),
  ].map(([, name]) => name!)
  assert.deepEqual(inserted.toSorted(), early.map((path) => path.replace(/^.*\//, '').replace(/\.xz$/, '')).toSorted())
  for (const path of early) {
    const unpacked = run('sh', '-c', `xz -dc '${path}' | sha256sum`)
    const name = path.replace(/^.*\//, '').replace(/\.xz$/, '')
    assert.equal(run('sh', '-c', `sha256sum <'${at(`new/m/${name}`)}'`), unpacked)
  }
  assert.match(read(`modules/${kernel.version}/modules.dep`).toString(), /dm-verity\.ko: .*dm-bufio\.ko/)
})

test('what a kernel says of another one that it is to start is an error of its own', async () => {
  using folder = temporaryFolder()
  const text = join(folder.path, 'text')
  writeFileSync(text, 'neither kernel nor initrd\n')
  // Nothing is loaded: this is no kernel. Which refusal comes first is this kernel's to say.
  const error = await loadKernel({ kernel: text, initrd: text, commandLine: 'quiet' }).then(
    () => assert.fail('a text was loaded'),
    (error: unknown) => error as DdiError,
  )
  assert.ok(error instanceof DdiError)
  assert.equal(error.code, 'ERR_DDI_KEXEC')
  assert.equal(error.syscall, 'kexec_file_load')
  assert.ok(
    ['ENOSYS', 'EPERM', 'ENOEXEC', 'EOPNOTSUPP', 'EBADMSG'].some((name) => error.message.includes(name)),
    error.message,
  )
  const missing = join(folder.path, 'missing')
  await assert.rejects(loadKernel({ kernel: missing, initrd: text, commandLine: '' }), { code: 'ERR_DDI_NOT_FOUND' })
})

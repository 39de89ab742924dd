import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { inspectUki } from '../../lib/uki/inspect.js'
import { buildUki, type UkiOptions } from '../../lib/uki/uki.js'
import { certificateFingerprint } from '../../lib/verity/signature.js'
import { makeIdentity } from '../support/keys.js'
import { cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const cloud = run('bash', join(packageRoot, 'test/kernel/cloud-kernel.sh')).trim()
const version = readdirSync(join(cloud, 'lib/modules'))[0]!
const kernel = join(cloud, `boot/vmlinuz-${version}`)
const modulesFrom = join(cloud, 'lib/modules', version)
const MB = 1_000_000
const epoch = 1_750_000_000

function section(uki: Buffer, { offset, size }: { readonly offset: number; readonly size: number }): Buffer {
  return uki.subarray(offset, offset + size)
}

/** The package as npm packs it, with its dependencies, and without what builds it. */
function installPackage(folder: string): string {
  run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder, packageRoot)
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
  run('tar', '--extract', '--file', join(folder, archive), '--directory', folder)
  const installed = join(folder, 'package')
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(installed, 'node_modules', name)), { recursive: true })
    symlinkSync(join(packageRoot, 'node_modules', name), join(installed, 'node_modules', name))
  }
  // As scripts/build.mjs --prebuild puts it there.
  const prebuild = join(installed, 'prebuilds/linux-x64/ddi.node')
  mkdirSync(dirname(prebuild), { recursive: true })
  if (!existsSync(prebuild)) copyFileSync(join(packageRoot, 'build/Release/ddi.node'), prebuild)
  return installed
}

test('a UKI has what it was made of, and the same bytes elsewhere and later', async () => {
  using folder = temporaryFolder()
  const owner = makeIdentity(folder.path, 'owner')
  const [path, other] = [join(folder.path, 'a.efi'), join(folder.path, 'elsewhere/b.efi')]
  mkdirSync(join(folder.path, 'elsewhere'))
  const certificates = [new X509Certificate(readFileSync(owner.certificate))]
  const options: UkiOptions = { kernel, modulesFrom, certificates, image: 'a.raw.xz', network: 'dhcp', epoch }
  const built = await buildUki(path, options)
  assert.equal(built.kernelVersion, version)
  const facts = await inspectUki(path)
  assert.equal(facts.commandLine, 'rd.systemd.pull=raw,machine,verify=no,bootorigin:root:a.raw.xz ip=dhcp')
  assert.deepEqual([facts.kernelVersion, facts.architecture, facts.signatures], [version, 'x86-64', []])
  assert.ok(facts.size <= 45 * MB, `${facts.size} bytes`)
  const bytes = readFileSync(path)
  const find = (name: string) => facts.sections.find((one) => one.name === name)!
  assert.ok(section(bytes, find('.linux')).subarray(0, readFileSync(kernel).length).equals(readFileSync(kernel)))

  // systemd's own reader of UKIs, of version 252; `bootctl kernel-inspect` came with 253.
  const bootctl = join(
    run('bash', join(packageRoot, 'test/support/unpacked-package.sh'), 'systemd-boot').trim(),
    'usr/bin/bootctl',
  )
  const listed = run(
    ...(['env', 'SYSTEMD_RELAX_ESP_CHECKS=1', 'unshare', '--mount', 'sh', '-c'] as const),
    `mount -t tmpfs esp /mnt && mkdir -p /mnt/EFI/Linux && cp '${path}' /mnt/EFI/Linux/ && '${bootctl}' --esp-path=/mnt list`,
  )
  assert.match(
    listed,
    new RegExp(`title: ddi, Linux ${version}[^]*version: ${version}[^]*options: ${facts.commandLine}`),
  )

  // The initrd, as cpio and unsquashfs unpack it.
  const [archive, tree] = [join(folder.path, 'initrd'), join(folder.path, 'tree')]
  writeFileSync(archive, section(bytes, find('.initrd')))
  mkdirSync(tree)
  run('sh', '-c', `cd '${tree}' && cpio --extract --quiet <'${archive}'`)
  const pinned = readFileSync(join(tree, 'etc/verity.d', `${certificateFingerprint(certificates[0]!)}.crt`))
  assert.ok(new X509Certificate(pinned).raw.equals(certificates[0]!.raw))
  rmSync(join(tree, 'usr'), { recursive: true })
  run('unsquashfs', '-no-progress', '-dest', join(tree, 'usr'), join(tree, 'usr.squashfs'))
  assert.equal(
    readFileSync(join(tree, 'usr/lib/modules', version, 'modules.dep'), 'utf8').includes('virtio_net.ko'),
    true,
  )
  run(
    'depmod',
    '--basedir',
    tree,
    '--dry-run',
    '--errsyms',
    '--filesyms',
    join(cloud, `boot/System.map-${version}`),
    version,
  )
  // Its Node.js runs with what is there, and nothing else of this machine.
  for (const name of ['proc', 'dev']) mkdirSync(join(tree, name), { recursive: true })
  const script = 'new Intl.DateTimeFormat().format() && "b".localeCompare("a") + new URL("http://bücher.de").host'
  assert.equal(run('chroot', tree, '/usr/bin/node', '--print', script).trim(), '1xn--bcher-kva.de')
  const addons = `require('/usr/lib/ddi/prebuilds/linux-x64/ddi.node').sha256Implementations().length > 0 &&
    typeof require('/usr/lib/ddi/prebuilds/linux-x64/ddi.node').blkidOpen(true) +
    typeof require('/usr/lib/ddi/prebuilds/linux-x64/ddi.node').zstdOpen(27)`
  assert.equal(run('chroot', tree, '/usr/bin/node', '--print', addons).trim(), 'objectobject')

  // By an installed package, whose command line is all that it has.
  const installed = installPackage(folder.path)
  const secureBoot = ['--secure-boot-key', owner.key, '--secure-boot-certificate', owner.certificate]
  run(
    ...([
      'sh',
      '-c',
      `umask 077; SOURCE_DATE_EPOCH=${epoch} exec "$@"`,
      'sh',
      process.execPath,
      join(installed, 'dist/cli/main.js'),
      'uki',
      'build',
    ] as const),
    ...['--output', other, '--kernel', kernel, '--modules-from', modulesFrom, '--certificate', owner.certificate],
    ...['--image', 'a.raw.xz', '--network', 'dhcp', ...secureBoot],
  )
  run('sbverify', '--cert', owner.certificate, other)
  const [signer] = (await inspectUki(other)).signatures
  assert.equal(signer!.fingerprint, certificateFingerprint(certificates[0]!))
  assert.match(cli('uki', 'inspect', other).stdout, /signed by: CN=owner/)
  // Without its signature, it is the same.
  const signed = readFileSync(other).subarray(0, bytes.length)
  const changed = [...signed.keys()].filter((at) => signed[at] !== bytes[at])
  assert.ok(changed.every((at) => at < 1024) && changed.length <= 12, `bytes ${changed.slice(0, 20).join()} differ`)
})

test('bad input has an error of its own each, and leaves no file', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'a.efi')
  const refused = async (options: Partial<UkiOptions>, code: string, message: RegExp) => {
    await assert.rejects(buildUki(path, { kernel, modulesFrom, ...options }), { code, message })
    assert.ok(readdirSync(folder.path).every((name) => !name.includes('a.efi')))
  }
  const text = join(folder.path, 'text')
  writeFileSync(text, 'no program, and no kernel. '.repeat(1000))
  await refused({ kernel: text }, 'ERR_DDI_KERNEL_IMAGE', /no EFI stub/)
  await refused({ kernel: join(folder.path, 'none') }, 'ERR_DDI_NOT_FOUND', /none/)
  await refused({ stub: text }, 'ERR_DDI_PE_FORMAT', /no MZ header/)
  await refused({ uname: '1.2.3' }, 'ERR_DDI_KERNEL_VERSION', /not 1\.2\.3/)
  const otherModules = join(folder.path, '6.6.6')
  mkdirSync(otherModules)
  await refused({ modulesFrom: otherModules }, 'ERR_DDI_KERNEL_VERSION', /modules of .* are for 6\.6\.6/)
  const noIndex = join(folder.path, version)
  mkdirSync(noIndex)
  await refused({ modulesFrom: noIndex }, 'ERR_DDI_MODULES', /no modules\.dep/)
  await refused({ modules: ['no_such_module'] }, 'ERR_DDI_NO_MODULE', /no_such_module/)
  await refused({ authorities: text }, 'ERR_DDI_CERTIFICATE', /not an X\.509 certificate/)
  const { key } = makeIdentity(folder.path, 'owner')
  await refused({ authorities: key }, 'ERR_DDI_CERTIFICATE', /holds a private key/)
  await refused({ image: 'a.raw' }, 'ERR_DDI_USAGE', /nothing says whose image/)
  const arm = join(folder.path, 'arm')
  const bytes = readFileSync(kernel)
  bytes.writeUInt16LE(0xaa64, bytes.readUInt32LE(60) + 4)
  writeFileSync(arm, bytes)
  await refused({ kernel: arm }, 'ERR_DDI_ARCHITECTURE', /the kernel is for arm64/)
  const stub = readFileSync('/usr/lib/systemd/boot/efi/linuxx64.efi.stub')
  stub.writeUInt16LE(0xaa64, stub.readUInt32LE(60) + 4)
  writeFileSync(arm, stub)
  await refused({ stub: arm }, 'ERR_DDI_ARCHITECTURE', /is for arm64, and the kernel for x86-64/)
  writeFileSync(path, 'mine')
  await assert.rejects(buildUki(path, { kernel, modulesFrom }), { code: 'ERR_DDI_EXISTS' })
  assert.equal(readFileSync(path, 'utf8'), 'mine')
  renameSync(path, text)
  // What it is made from is not replaced by it, whatever is forced.
  const own = join(folder.path, 'own')
  copyFileSync(kernel, own)
  await assert.rejects(buildUki(own, { kernel: own, modulesFrom, replace: true }), { code: 'ERR_DDI_USAGE' })
  const forced = ['uki', 'build', '--kernel', kernel, '--modules-from', modulesFrom, '--force']
  const { certificate } = makeIdentity(folder.path, 'owner')
  assert.equal(cli(...forced, '--certificate', certificate, '-o', certificate).status, 2)
  assert.match(readFileSync(certificate, 'utf8'), /BEGIN CERTIFICATE/)
  assert.equal(cli(...forced, '--certificate', certificate, '-o', own, '--cmdline=quiet', '--json=short').status, 0)
})

test('what is no UKI is refused by inspect', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'a.efi')
  writeFileSync(path, 'text')
  const { status, stderr } = cli('uki', 'inspect', path)
  assert.equal(status, 3)
  assert.match(stderr, /no MZ header \(ERR_DDI_PE_FORMAT\)/)
})

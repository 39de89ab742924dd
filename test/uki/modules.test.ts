import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { moduleName } from '../../lib/kernel/module-dependencies.js'
import { partialIndex, readModuleIndex, unpackModule } from '../../lib/uki/kernel-modules.js'
import { type IndexFiles, moduleClosure, parseModuleIndex } from '../../lib/uki/module-index.js'
import { squashfsCompression } from '../../lib/uki/squashfs.js'
import { run, temporaryFolder } from '../support/run.js'

const installed = '/usr/lib/uml/modules'
const version = readdirSync(installed)[0]!
const directory = join(installed, version)

const files = (given: Partial<IndexFiles>): IndexFiles => ({ dep: '', builtin: '', alias: '', softdep: '', ...given })
const pathsOf = (modules: readonly { readonly path: string }[]) => modules.map(({ path }) => path)

/** The names of a module and of what modprobe loads for it, in its order. */
function modprobe(root: string, name: string): string[] {
  const lines = run('modprobe', '--dirname', root, '--set-version', version, '--ignore-install', '--show-depends', name)
  return [...lines.matchAll(/^insmod (\S+)/gm)].map(([, path]) => moduleName(path!))
}

/** A place where modprobe and depmod look for modules. */
function placeFor(folder: string, modules: string): string {
  mkdirSync(join(folder, 'lib/modules'), { recursive: true })
  symlinkSync(modules, join(folder, 'lib/modules', version))
  return folder
}

test('what a module needs is what modprobe loads', async () => {
  using folder = temporaryFolder()
  const root = placeFor(folder.path, directory)
  const index = await readModuleIndex(directory)
  const names = [...index.modules.keys()].filter((_, position) => position % 9 === 0)
  assert.ok(names.length > 40)
  for (const name of names) {
    const ours = moduleClosure({ ...index, soft: new Map() }, [name], []).map(({ path }) => moduleName(path))
    assert.deepEqual(ours.toSorted(), [...new Set(modprobe(root, name))].toSorted(), name)
    for (const [position, path] of pathsOf(moduleClosure(index, [name], [])).entries())
      for (const needed of index.modules.get(moduleName(path))!.needs)
        assert.ok(pathsOf(moduleClosure(index, [name], [])).indexOf(needed) < position)
  }
})

test('the index of some modules is the one that depmod makes of them', async () => {
  using folder = temporaryFolder()
  const chosen = moduleClosure(await readModuleIndex(directory), ['ext4', 'dm-verity', 'virtio_net'], [])
  const target = join(folder.path, 'lib/modules', version)
  for (const module of chosen) {
    mkdirSync(dirname(join(target, module.path)), { recursive: true })
    await unpackModule(directory, module, join(target, module.path))
  }
  run('cp', join(directory, 'modules.builtin'), join(directory, 'modules.order'), target)
  run('depmod', '--basedir', folder.path, version)
  const ours = await partialIndex(directory, chosen)
  const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const sortedNeeds = (line: string) => line.split(' ').toSorted().join(' ')
  for (const name of ['modules.dep', 'modules.alias', 'modules.softdep', 'modules.builtin'])
    assert.deepEqual(
      lines(ours.get(name)!).map(sortedNeeds).toSorted(),
      lines(readFileSync(join(target, name), 'utf8'))
        .map(sortedNeeds)
        .toSorted(),
      name,
    )
})

test('compressed modules are unpacked', async () => {
  using folder = temporaryFolder()
  const plain = Buffer.from('a module '.repeat(5000))
  writeFileSync(join(folder.path, 'm.ko'), plain)
  writeFileSync(join(folder.path, 'm.ko.gz'), gzipSync(plain))
  run('xz', '--keep', join(folder.path, 'm.ko'))
  run('zstd', '--quiet', join(folder.path, 'm.ko'))
  for (const path of ['m.ko', 'm.ko.gz', 'm.ko.xz', 'm.ko.zst']) {
    await unpackModule(folder.path, { path, needs: [] }, join(folder.path, 'out'))
    assert.deepEqual(readFileSync(join(folder.path, 'out')), plain, path)
  }
  for (const path of ['bad.ko.gz', 'bad.ko.xz', 'bad.ko.zst']) {
    writeFileSync(join(folder.path, path), 'not compressed')
    const code = path.endsWith('gz') ? 'ERR_DDI_MODULES' : 'ERR_DDI_TOOL'
    await assert.rejects(unpackModule(folder.path, { path, needs: [] }, join(folder.path, 'out')), { code })
  }
})

test('what is built in counts as there, aliases lead to modules, and soft needs come along', () => {
  const index = parseModuleIndex(
    files({
      dep: 'kernel/ext4.ko.xz: kernel/jbd2.ko.xz\nkernel/jbd2.ko.xz:\nkernel/crc32c-intel.ko:\n',
      builtin: 'kernel/squashfs.ko\n',
      alias: '# made by depmod\nalias crc32c crc32c_intel\nalias pci:v* ext4\n',
      softdep: 'softdep ext4 pre: crc32c post: no_such_module\n',
    }),
  )
  assert.deepEqual(pathsOf(moduleClosure(index, ['ext4', 'squashfs'], ['no_such_module'])), [
    'kernel/crc32c-intel.ko',
    'kernel/jbd2.ko.xz',
    'kernel/ext4.ko.xz',
  ])
  assert.deepEqual(pathsOf(moduleClosure(index, ['crc32c'], [])), ['kernel/crc32c-intel.ko'])
  assert.throws(() => moduleClosure(index, ['no-such-module'], []), {
    code: 'ERR_DDI_NO_MODULE',
    message: /no-such-module/,
  })
})

test('circles, missing modules and malformed lines are refused', async () => {
  const closure = (dep: string) => moduleClosure(parseModuleIndex(files({ dep })), ['a'], [])
  const code = 'ERR_DDI_MODULES'
  assert.throws(() => closure('a.ko: b.ko\nb.ko: c.ko\nc.ko: b.ko\n'), { code, message: /circle: a, b, c/ })
  assert.throws(() => closure('a.ko: a.ko\n'), { code, message: /circle/ })
  assert.throws(() => closure('a.ko: b.ko\n'), { code, message: /a\.ko needs b\.ko, which modules\.dep does not have/ })
  for (const dep of ['a.ko b.ko\n', '../a.ko:\n', '/a.ko:\n', 'a.ko: x/../../b.ko\n'])
    assert.throws(() => closure(dep), { code, message: /malformed line/ })
  using folder = temporaryFolder()
  await assert.rejects(readModuleIndex(folder.path), { code, message: /no modules\.dep/ })
  await assert.rejects(unpackModule(folder.path, { path: 'a.ko', needs: [] }, join(folder.path, 'b')), {
    code,
    message: /cannot read the module a\.ko of modules\.dep/,
  })
})

test('squashfs is compressed as the kernel reads it', () => {
  const configuration = (...options: string[]) => options.map((one) => `CONFIG_${one}\n`).join('')
  assert.equal(squashfsCompression(null), 'zstd')
  assert.equal(squashfsCompression(configuration('SQUASHFS=m', 'SQUASHFS_ZSTD=y', 'SQUASHFS_XZ=y')), 'zstd')
  assert.equal(squashfsCompression(configuration('SQUASHFS=y', 'SQUASHFS_XZ=y', 'SQUASHFS_ZLIB=y')), 'xz')
  assert.equal(squashfsCompression(configuration('SQUASHFS=y', 'SQUASHFS_ZLIB=y')), 'gzip')
  assert.throws(() => squashfsCompression(configuration('SQUASHFS_ZSTD=y')), { code: 'ERR_DDI_KERNEL_IMAGE' })
})

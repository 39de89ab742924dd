// Reading the files of images without privileges.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildImage } from '../../lib/index.js'
import { defineImage } from '../support/images.js'
import { cliAsNobody, run, temporaryFolder } from '../support/run.js'

test('erofs, squashfs and ext4 are read by their own tools, which is said; others need privileges', async () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o777)
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'etc'), { recursive: true })
  mkdirSync(join(tree, 'usr/lib/extension-release.d'), { recursive: true })
  writeFileSync(join(tree, 'usr/lib/os-release'), 'ID=acme\nNAME="Acme \\"OS\\""\n')
  writeFileSync(join(tree, 'usr/lib/extension-release.d/extension-release.erofs'), 'ID=acme\nSYSEXT_SCOPE=initrd\n')
  writeFileSync(join(tree, 'etc/hostname'), '# a box\nbox\n')
  symlinkSync('/etc/shadow', join(tree, 'etc/os-release'))
  const tools = { erofs: 'fsck.erofs', squashfs: 'unsquashfs', ext4: 'debugfs' }
  for (const [format, tool] of Object.entries(tools)) {
    const definitions = defineImage(folder.path, { root: ['Type=root', `Format=${format}`, 'CopyFiles=/'] })
    const path = join(folder.path, `${format}.raw`)
    await buildImage(definitions, path, { root: tree })
    const shown = cliAsNobody('inspect', path, '--contents', '--json=short')
    assert.equal(shown.status, 0, shown.stderr)
    assert.match(shown.stderr, new RegExp(`read by ${tool}`))
    const { contents } = JSON.parse(shown.stdout)
    assert.deepEqual([contents.hostname, contents.osRelease.NAME ?? null], ['box', 'Acme "OS"'])
    assert.deepEqual(contents.uses, format === 'erofs' ? ['sysext-initrd'] : [])
    assert.match(cliAsNobody('list-files', path).stdout, /^etc\/hostname$/m)
    assert.equal(cliAsNobody('copy-from', path, 'etc/hostname').stdout, '# a box\nbox\n')
    assert.match(cliAsNobody('copy-from', path, 'etc/os-release').stderr, /ERR_DDI_NOT_FOUND/)
    assert.match(cliAsNobody('copy-to', path, '/etc/hostname', 'etc/x').stderr, /ERR_DDI_PERMISSION/)
  }
  assert.equal(run('ls', '-A', folder.path).includes('.new'), false)
})

test('an ext4 whose folder has twins and paths for names writes nowhere but where it is to', async () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o777)
  const victim = join(folder.path, 'victim')
  writeFileSync(victim, 'mine')
  chmodSync(victim, 0o666)
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'aa'), { recursive: true })
  symlinkSync(victim, join(tree, 'twin1'))
  symlinkSync(`${'x'.repeat(80)}/../${victim}`, join(tree, 'long'))
  writeFileSync(join(tree, 'twin2'), 'evil')
  writeFileSync(join(tree, 'aa/file'), 'good')
  const path = join(folder.path, 'ext4.raw')
  // Without checksums, which debugfs would see to be wrong.
  run('truncate', '-s', '8M', path)
  run('mkfs.ext4', '-q', '-O', '^metadata_csum,^dir_index', '-d', tree, path)
  const bytes = readFileSync(path)
  const spoiled = (from: string, to: string) => {
    const copy = Buffer.from(bytes)
    const at = copy.indexOf(from, 0, 'latin1')
    assert.ok(at > 0)
    copy.write(to, at, 'latin1')
    const name = join(folder.path, `${to.replaceAll('/', '_')}.raw`)
    writeFileSync(name, copy)
    chmodSync(name, 0o644)
    return name
  }
  // Both are named twin1, and the file would be written through the link.
  const twins = cliAsNobody('list-files', spoiled('twin2', 'twin1'))
  assert.match(twins.stderr, /two entries are named "twin1".*ERR_DDI_FILE_SYSTEM/)
  assert.match(cliAsNobody('list-files', spoiled('twin2', '../vi')).stderr, /ERR_DDI_FILE_SYSTEM/)
  assert.equal(readFileSync(victim, 'utf8'), 'mine')
  assert.equal(cliAsNobody('copy-from', path, 'aa/file').stdout, 'good')
  assert.match(cliAsNobody('copy-from', path, 'twin1').stderr, /ERR_DDI_NOT_FOUND/)
})

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'

const unit = 'usr/lib/systemd/system/ddi-boot.service'

test('what is appended to another initrd runs by itself, and is in nobody’s way', () => {
  using folder = temporaryFolder()
  const { certificate } = makeIdentity(folder.path, 'owner')
  const [archive, tree, unpacked] = ['extra.cpio', 'tree', 'unpacked'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  const build = (output: string, ...more: string[]) =>
    cli('uki', 'initrd', '--no-init', '-o', output, '--certificate', certificate, '--with-tar', ...more)
  assert.equal(build(archive).stderr, '')
  assert.equal(build(tree, '--format=directory').stderr, '')
  mkdirSync(unpacked)
  run('sh', '-c', `cd '${unpacked}' && cpio --extract --quiet <'${archive}'`)
  run('diff', '--recursive', '--no-dereference', unpacked, tree)

  const paths = run('find', tree, '-not', '-type', 'd', '-printf', '%P\n').trim().split('\n')
  const strangers = paths.filter((path) => !/^(usr\/lib\/ddi|usr\/lib\/systemd\/system|etc\/verity\.d)\//.test(path))
  assert.deepEqual(strangers, [])
  const wants = join(tree, 'usr/lib/systemd/system/initrd-root-fs.target.wants/ddi-boot.service')
  assert.equal(readlinkSync(wants), '../ddi-boot.service')

  // Another initrd has units of systemd, and no library of ours.
  run('cp', '--recursive', '/usr/lib/systemd/system/.', join(unpacked, 'usr/lib/systemd/system'))
  const verified = attempt(
    'systemd-analyze',
    'verify',
    '--man=no',
    '--recursive-errors=no',
    `--root=${unpacked}`,
    'ddi-boot.service',
  )
  assert.deepEqual([verified.status, verified.stderr], [0, ''])

  const command = /^ExecStart=(.*) \S+service\.js$/m.exec(readFileSync(join(tree, unit), 'utf8'))![1]!.split(' ')
  const script = `require('/usr/lib/ddi/prebuilds/linux-x64/ddi.node').sha256Implementations().length > 0 &&
    (require('/usr/lib/ddi/prebuilds/linux-x64/ddi.node').blkidOpen(true), 'all of it')`
  assert.equal(run('chroot', tree, ...command, '--print', script).trim(), 'all of it')

  // The program itself says that there is nothing for it to boot.
  for (const name of ['proc', 'run', 'dev', 'sysroot']) mkdirSync(join(tree, name))
  const commandLine = join(folder.path, 'cmdline')
  writeFileSync(commandLine, 'quiet\n')
  const inside = join(folder.path, 'inside.sh')
  writeFileSync(
    inside,
    `set -e
mount -t proc proc '${tree}/proc'
mount --bind '${commandLine}' '${tree}/proc/cmdline'
chroot '${tree}' ${command.join(' ')} /usr/lib/ddi/boot/service.js
cat '${tree}/run/ddi/boot.log'
`,
  )
  chmodSync(inside, 0o755)
  assert.match(run('unshare', '--mount', 'sh', inside), /ddi: no root was pulled: it is left to this initrd/)
})

test('a directory is not replaced, and a kernel’s modules belong to an initrd of ours', () => {
  using folder = temporaryFolder()
  const output = join(folder.path, 'it')
  for (const options of [
    [],
    ['--no-init', '--modules-from', '/lib/modules/1'],
    ['--no-init', '--format=directory', '--force'],
    ['--modules-from', '/lib/modules/1', '--format=directory'],
  ])
    assert.equal(cli('uki', 'initrd', '-o', output, ...options).status, 2, options.join(' '))
})

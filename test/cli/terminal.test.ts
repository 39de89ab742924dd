import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { emptyFile, MiB } from '../support/images.js'
import { attempt, cli, cliPath, run, temporaryFolder } from '../support/run.js'

/** Runs `ddi-attach` on a terminal of 60 columns. @param typed what is typed there */
function onTerminal(typed: string, ...args: readonly string[]) {
  const command = [process.execPath, cliPath, ...args].map((word) => `'${word}'`).join(' ')
  const script = `printf '${typed}' | script --quiet --return --command "stty cols 60; ${command}" /dev/null`
  return attempt('sh', '-c', script)
}

test('on a terminal, what would be lost is asked for first, and nowhere else', () => {
  using folder = temporaryFolder()
  const disk = emptyFile(join(folder.path, 'disk.raw'), 16 * MiB)
  assert.equal(cli('volume', 'init', disk).status, 0)
  const create = (label: string) =>
    assert.equal(cli('volume', 'create', disk, '--type=home', '--size=1M', `--label=${label}`).status, 0)
  const partitions = () => run('sfdisk', '--list', disk).match(/Linux home/g)?.length ?? 0
  for (const label of ['one', 'two', 'three']) create(label)
  const refused = onTerminal('n\\n', 'volume', 'remove', disk, 'one')
  assert.match(refused.stdout, /Remove the volume one of .*\[y\/N\]/)
  assert.match(refused.stdout, /nothing was changed \(ERR_DDI_ABORTED\)/)
  assert.deepEqual([refused.status, partitions()], [1, 3])
  assert.equal(onTerminal('y\\n', 'volume', 'remove', disk, 'one').status, 0)
  assert.equal(onTerminal('', 'volume', 'remove', disk, 'two', '--yes').status, 0)
  assert.equal(cli('volume', 'remove', disk, 'three').status, 0)
  assert.equal(partitions(), 0)
})

test('work that takes long says how far it has come, in bytes, and how long it takes yet', () => {
  using folder = temporaryFolder()
  const disk = emptyFile(join(folder.path, 'disk.raw'), 64 * MiB)
  writeFileSync(join(folder.path, 'data'), Buffer.alloc(16 * MiB, 'x'))
  assert.equal(cli('volume', 'init', disk).status, 0)
  const create = ['volume', 'create', disk, '--type=home', `--from=${join(folder.path, 'data')}`] as const
  assert.match(onTerminal('', ...create).stdout, /copying \[.*\] \d+% {2}\S+ of 16M/)
  assert.doesNotMatch(onTerminal('', ...create, '--quiet').stdout, /copying/)
})

test('a table fits the terminal, and is whole where a program reads it', () => {
  using folder = temporaryFolder()
  const disk = emptyFile(join(folder.path, 'disk.raw'), 16 * MiB)
  assert.equal(cli('volume', 'init', disk).status, 0)
  const label = 'a-label-of-thirty-characters-x'
  assert.equal(cli('volume', 'create', disk, '--type=home', '--size=1M', `--label=${label}`).status, 0)
  const [head, row] = onTerminal('', 'volume', 'list', disk).stdout.split(/\r?\n/) as [string, string]
  assert.match(head, /^VOLUME +LABEL +SIZE/)
  for (const line of [head, row]) assert.ok(line.length <= 60, line)
  assert.match(row, /…/)
  assert.ok(cli('volume', 'list', disk).stdout.includes(label))
})

test('--quiet leaves errors alone, and --verbose says what is run', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'fs.raw')
  run('mke2fs', '-q', '-t', 'ext4', path, '4M')
  const nobody = (...args: string[]) =>
    attempt('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, cliPath, ...args)
  run('chmod', '755', folder.path)
  assert.match(nobody('list-files', path).stderr, /read by/)
  assert.equal(nobody('list-files', path, '--quiet').stderr, '')
  assert.match(nobody('list-files', path, '--verbose').stderr, /^ddi-attach: run debugfs /m)
  const failed = cli('verify', path, '--quiet')
  assert.match(failed.stderr, /^ddi-attach: no root hash is known.*\(ERR_DDI_NO_ROOT_HASH\)\n$/)
  assert.equal(cli('verify', path, '--quiet', '--verbose').status, 2)
})

test('errors are red and notes yellow, where the terminal shows colours and nobody minds', () => {
  const stderrOf = (...environment: string[]) =>
    attempt('env', ...environment, process.execPath, cliPath, 'inspect', '/none/such').stderr
  const plain = /^ddi-attach: cannot open/
  const red = '\u001b[31mddi-attach:\u001b[39m cannot open'
  assert.ok(stderrOf('FORCE_COLOR=1').startsWith(red))
  for (const one of ['FORCE_COLOR=0', 'NO_COLOR=1', 'TERM=xterm']) assert.match(stderrOf(one), plain)
  const onTty = (setting: string) =>
    attempt(
      ...(['env', '--unset=CI', 'TERM=xterm-256color', setting, 'script', '--quiet', '--command'] as const),
      `${process.execPath} ${cliPath} inspect /none/such`,
      '/dev/null',
    ).stdout
  assert.ok(onTty('DDI_TEST=1').includes(red))
  assert.match(onTty('NO_COLOR=1'), plain)
})

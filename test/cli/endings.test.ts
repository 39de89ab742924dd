// Whatever ends a command: one line says so, without a stack trace.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../support/images.js'
import { attempt, cli, cliPath, packageRoot, run, temporaryFolder } from '../support/run.js'

const oneLine = /^ddi-attach: [^\n]+\n$/

async function interrupt(signal: NodeJS.Signals, after: number, ...args: readonly string[]) {
  const child = spawn(process.execPath, [cliPath, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said = text(child.stderr)
  const exit = once(child, 'exit') as Promise<[number | null]>
  await new Promise((resolve) => setTimeout(resolve, after))
  child.kill(signal)
  const [status] = await exit
  return { status, said: await said }
}

test('a full disk at the other end of stdout is an error of one line, a reader that stops reading is none', () => {
  using folder = temporaryFolder()
  const image = join(folder.path, 'image.raw')
  makeGptImage(image, 8 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'data' }])
  const verbs = [`inspect ${image}`, `inspect ${image} --json=short`, `volume list ${image}`, '--help', `plan ${image}`]
  for (const verb of verbs) {
    const full = attempt('sh', '-c', `exec "$0" "$1" ${verb} >/dev/full`, process.execPath, cliPath)
    assert.match(
      full.stderr,
      /^(ddi-attach: [^\n]*\n)*ddi-attach: cannot write to standard output: ENOSPC[^\n]*\n$/,
      verb,
    )
    assert.equal(full.status, 1, verb)
    const closed = attempt('bash', '-c', `set -o pipefail; "$0" "$1" ${verb} | true`, process.execPath, cliPath)
    assert.doesNotMatch(closed.stderr, /EPIPE|\n {4}at /, verb)
    assert.equal(closed.status, 0, verb)
  }
})

test('an interrupt ends with 129, 130 or 143 and one line, and leaves nothing', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder()
  const data = join(folder.path, 'data')
  emptyFile(data, 64 * 1024 * MiB)
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const ended = await interrupt(signal, 800, 'verity', 'format', data, join(folder.path, 'tree'))
    assert.deepEqual(ended, { status, said: 'ddi-attach: interrupted\n' })
  }
  assert.deepEqual(readdirSync(folder.path), ['data'])
})

test('a verb that waits for a pipe can be interrupted', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder()
  run('mkfifo', join(folder.path, 'pipe'))
  const writer = openSync(join(folder.path, 'pipe'), 'r+')
  const args = ['verity', 'sign', '00'.repeat(32), join(folder.path, 'out'), '--certificate', join(folder.path, 'pipe')]
  const ended = await interrupt('SIGTERM', 800, ...args, '--key', join(folder.path, 'pipe'))
  closeSync(writer)
  assert.deepEqual(ended, { status: 143, said: 'ddi-attach: interrupted\n' })
})

test('an error is one line; DDI_DEBUG shows where it comes from', () => {
  const path = join(packageRoot, 'x'.repeat(300))
  const { stderr } = cli('inspect', path)
  assert.match(stderr, oneLine)
  const debug = attempt('env', 'DDI_DEBUG=1', process.execPath, cliPath, 'inspect', path)
  assert.match(debug.stderr, / at /)
})

test('a FIFO, socket or device in a tree for vfat is left out and told, and not waited for', {
  timeout: 60_000,
}, () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('defs'))
  mkdirSync(at('tree/sub'), { recursive: true })
  writeFileSync(at('defs/1.conf'), '[Partition]\nType=esp\nFormat=vfat\nCopyFiles=/\n')
  run('mkfifo', at('tree/sub/fifo'))
  const build = () => cli('build', '--definitions', at('defs'), '--root', at('tree'), '-o', at('out.raw'))
  run('ln', '-s', '/dev/zero', at('tree/sub/zero'))
  writeFileSync(at('tree/sub/file'), 'x')
  const { status, stderr } = build()
  assert.match(stderr, /sub\/fifo/)
  assert.match(stderr, /sub\/zero/)
  assert.equal(status, 0, stderr)
  const [{ start }] = JSON.parse(run('sfdisk', '--json', at('out.raw'))).partitiontable.partitions
  assert.equal(run('mdir', '-b', '-i', `${at('out.raw')}@@${start * 512}`, '::sub').trim(), '::/sub/file')
})

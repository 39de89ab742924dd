import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot, temporaryFolder } from '../support/run.js'

/** @returns how the PID namespace ended, and what was said */
function failWith(commandLine: string) {
  using folder = temporaryFolder()
  for (const name of ['dev', 'run']) mkdirSync(join(folder.path, name))
  writeFileSync(join(folder.path, 'dev/console'), '')
  const worker = join(packageRoot, 'dist/test/boot/failure-worker.js')
  const words = [readlinkSync('/proc/self/ns/pid'), folder.path, commandLine]
  const { status, signal, stderr } = spawnSync(
    'unshare',
    ['--pid', '--fork', '--mount-proc', process.execPath, worker, ...words],
    { encoding: 'utf8' },
  )
  assert.doesNotMatch(stderr, /not in a PID namespace/)
  const said = readFileSync(join(folder.path, 'run/ddi/boot.log'), 'utf8')
  return { end: signal ?? status, said: said.replaceAll(/^\[ *\d+\.\d{3}\] /gm, '') }
}

test('a failure is told, and the machine ends as failure_action says: the kernel, in a namespace, by a signal', () => {
  const ends = {
    none: 0,
    reboot: 'SIGHUP',
    'reboot-force': 'SIGHUP',
    poweroff: 'SIGINT',
    exit: 'SIGINT',
    halt: 'SIGINT',
  }
  for (const [action, end] of Object.entries(ends)) {
    const outcome = failWith(`quiet rd.systemd.pull.failure_action=${action}`)
    assert.equal(outcome.end, end, action)
    assert.match(
      outcome.said,
      /^ddi: FAILED: no \\u\{1b\}\[31mserver \(ERR_DDI_NETWORK\)\nddi: this machine boots nothing/,
    )
  }
  assert.equal(failWith('systemd.pull.failure_action=poweroff').end, 'SIGINT')
  assert.equal(failWith('systemd.pull.failure_action=poweroff rd.systemd.pull.failure_action=none').end, 0)
})

test('what is wrong with the action, or with a shell, ends in the same: nothing is booted', () => {
  const unknown = failWith('rd.systemd.pull.failure_action=explode')
  assert.deepEqual([unknown.end, /failure_action=explode.*one of none, reboot/.test(unknown.said)], [0, true])
  const shell = failWith('rd.shell rd.systemd.pull.failure_action=poweroff')
  assert.deepEqual([shell.end, /the boot failed; a shell on the console/.test(shell.said)], ['SIGINT', true])
})

test('an error that nobody foresaw is told with its stack', () => {
  assert.match(failWith('unforeseen').said, /FAILED: no .*server\n(ddi: +at .*\n)+/)
})

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openBootLog } from '../../lib/boot/boot-log.js'
import { temporaryFolder } from '../support/run.js'

test('each line is on the console and in the file, with the time of the kernel, and cannot act on a terminal', () => {
  using folder = temporaryFolder()
  for (const name of ['dev', 'run']) mkdirSync(join(folder.path, name))
  writeFileSync(join(folder.path, 'dev/console'), '')
  const log = openBootLog(folder.path)
  const before = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  log.say('one\u001b[2J')
  log.say('two\nthree')
  const said = readFileSync(join(folder.path, 'dev/console'), 'utf8')
  assert.equal(readFileSync(join(folder.path, 'run/ddi/boot.log'), 'utf8'), said)
  const [, time] = /^\[ *(\d+\.\d{3})\] ddi: one\\u\{1b\}\[2J\n\[.*\] ddi: two\\u\{a\}three\n$/.exec(said) ?? []
  assert.ok(Number(time) >= before - 1, said)
})

test('progress is a line now and then, and one at the end, however often it is told', () => {
  using folder = temporaryFolder()
  mkdirSync(join(folder.path, 'run'))
  const log = openBootLog(folder.path)
  for (let done = 0; done <= 5000; done++) log.progress({ done: done * 2 ** 20, total: 5000 * 2 ** 20, part: 'os' })
  const lines = readFileSync(join(folder.path, 'run/ddi/boot.log'), 'utf8').trim().split('\n')
  assert.match(lines.at(-1)!, /ddi: os: 5000\.0 of 5000\.0 MiB, 100 %, \d+\.\d MiB\/s$/)
  assert.ok(lines.length <= 3, lines.join('\n'))
})

test('a machine without a console and with a full memory boots', () => {
  using folder = temporaryFolder()
  writeFileSync(join(folder.path, 'run'), '')
  openBootLog(folder.path).say('nobody hears it')
})

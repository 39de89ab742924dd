import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readGiven } from '../../lib/cli/given-file.js'
import { run, temporaryFolder } from '../support/run.js'

test('a given file may be a pipe; one that nobody writes is empty, and not waited for', {
  timeout: 20_000,
}, async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('file'), 'key')
  assert.equal(String(await readGiven(at('file'))), 'key')
  run('mkfifo', at('fifo'))
  assert.equal((await readGiven(at('fifo'))).length, 0)
  const writer = openSync(at('fifo'), 'r+')
  writeSync(writer, 'k')
  setTimeout(() => {
    writeSync(writer, 'ey')
    closeSync(writer)
  }, 200)
  assert.equal(String(await readGiven(at('fifo'))), 'key')
})

test('whatever has more than 8 MiB is refused, also if it never ends', { timeout: 20_000 }, async () => {
  using folder = temporaryFolder()
  const fifo = join(folder.path, 'fifo')
  run('mkfifo', fifo)
  const writer = openSync(fifo, 'r+')
  const endless = spawn('yes', { stdio: ['ignore', writer, 'ignore'] })
  closeSync(writer)
  try {
    await assert.rejects(readGiven(fifo), { code: 'ERR_DDI_FILE_KIND' })
  } finally {
    endless.kill()
  }
  await assert.rejects(readGiven('/dev/zero'), { code: 'ERR_DDI_FILE_KIND' })
})

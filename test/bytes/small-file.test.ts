import assert from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { largestSmallFile, readIfThere, readSmallFile } from '../../lib/bytes/small-file.js'
import { run, temporaryFolder } from '../support/run.js'

test('a missing file is none, and any other failure is an error', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'file')
  writeFileSync(path, 'content')
  assert.equal(String(await readIfThere(path)), 'content')
  assert.equal(await readIfThere(join(folder.path, 'none')), undefined)
  assert.equal(await readIfThere(join(path, 'below')), undefined)
  await assert.rejects(readIfThere(folder.path), { code: 'ERR_DDI_FILE_KIND' })
})

test('what is no regular file is refused, and nothing waits for it', { timeout: 10_000 }, async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  run('mkfifo', at('fifo'))
  const server = createServer().listen(at('socket'))
  try {
    await new Promise((resolve) => server.once('listening', resolve))
    for (const path of [at('fifo'), at('socket'), '/dev/zero', '/dev/tty', folder.path])
      await assert.rejects(readSmallFile(path), { code: 'ERR_DDI_FILE_KIND' })
  } finally {
    server.close()
  }
})

test('a file is read up to 8 MiB, and files of /proc, which have no size, too', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'file')
  writeFileSync(path, '')
  truncateSync(path, largestSmallFile)
  assert.equal((await readSmallFile(path)).length, largestSmallFile)
  truncateSync(path, 2 ** 40)
  await assert.rejects(readSmallFile(path), { code: 'ERR_DDI_FILE_KIND', message: /more than 8388608 bytes/ })
  assert.ok((await readSmallFile('/proc/self/stat')).length > 0)
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { watchRoom } from '../../lib/bytes/room.js'
import { pull } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'

test('what does not fit into memory is refused before it is downloaded, if its size is known', async () => {
  using folder = temporaryFolder()
  const memory = join(folder.path, 'memory')
  const image = join(folder.path, 'image.raw')
  writeFileSync(image, randomBytes(4 * MiB))
  run('xz', '-0', '--keep', image)
  mkdirSync(memory)
  run('mount', '-t', 'tmpfs', '-o', 'size=2M', 'tmpfs', memory)
  try {
    const path = join(memory, 'image.raw')
    for (const size of [4 * MiB, 100 * MiB]) {
      // It says how much there is, and sends the first bytes only.
      const slow: Handler = (_, response) => {
        response.writeHead(200, { 'content-length': size, etag: '"one"' })
        response.write(randomBytes(64 * 1024))
      }
      await using server = await serve({ '/image.raw': slow })
      await assert.rejects(pull(`${server.url}/image.raw`, { kind: 'raw', path }, { verify: 'no' }), {
        code: 'ERR_DDI_NO_SPACE',
        message: /takes .* bytes at least, and only \d+ of this machine’s memory are free/,
      })
    }
    await assert.rejects(pull(`file://${image}.xz`, { kind: 'raw', path }, { verify: 'no' }), {
      code: 'ERR_DDI_NO_SPACE',
    })
    assert.deepEqual(
      readdirSync(memory).filter((name) => !name.startsWith('.')),
      [],
    )
  } finally {
    run('umount', memory)
  }
})

test('memory is looked at while an image is unpacked', async () => {
  let free = 3
  const look = watchRoom(new URL('http://h/x'), { inMemory: true, free: async () => free-- })
  for (let size = MiB; size <= 24 * MiB; size += MiB) await look(size)
  await look(31 * MiB)
  await assert.rejects(look(32 * MiB), { code: 'ERR_DDI_NO_SPACE' })
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { copyFromFile } from '../../lib/bytes/copy-file.js'
import { extentTarget, linear } from '../../lib/bytes/extents.js'
import { openFile, openFileForWriting } from '../../lib/bytes/file.js'
import { emptyFile, MiB, writeAt } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { temporaryFolder } from '../support/run.js'

/** A file with data, holes, and written zeroes. */
function makeSource(path: string): Buffer {
  emptyFile(path, 40 * MiB)
  writeAt(path, 3 * MiB, randomBytes(MiB + 1234))
  writeAt(path, 10 * MiB, Buffer.alloc(MiB))
  writeAt(path, 12 * MiB + 77, randomBytes(20 * MiB))
  return readFileSync(path)
}

test('a file is copied as it reads, in the kernel or not, over what was there; its holes stay holes', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const bytes = makeSource(at('from'))
  writeFileSync(at('to'), Buffer.alloc(80 * MiB, 0xee))
  const runs = [
    { start: 50 * MiB, length: 8 * MiB },
    { start: 4096, length: 22 * MiB },
    { start: 30 * MiB, length: 10 * MiB },
  ]
  await using from = await openFile(at('from'))
  {
    await using to = await openFileForWriting(at('to'))
    const target = extentTarget(to, linear(runs))
    await copyFromFile(from, target, bytes.length - 5)
    const written = Buffer.from(await target.read(0, target.size))
    assert.ok(written.subarray(0, -5).equals(bytes.subarray(0, -5)))
    assert.ok(
      written.subarray(-5).every((byte) => byte === 0xee),
      'and not a byte more',
    )
  }
  assert.ok(statSync(at('to')).blocks * 512 < 80 * MiB - 10 * MiB, 'holes take no space')
  assert.ok(
    readFileSync(at('to'))
      .subarray(60 * MiB)
      .every((byte) => byte === 0xee),
  )
  const memory = recordingTarget(Buffer.alloc(bytes.length, 0xee))
  await copyFromFile(from, memory, bytes.length)
  assert.ok(memory.bytes.equals(bytes))
})

test('a file that was truncated is not taken for whole, and copying can be aborted', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('from'), randomBytes(40 * MiB))
  emptyFile(at('to'), 40 * MiB)
  await using from = await openFile(at('from'))
  await using to = await openFileForWriting(at('to'))
  const stop = new AbortController()
  const onProgress = () => stop.abort()
  await assert.rejects(copyFromFile(from, to, from.size, { signal: stop.signal, onProgress }), {
    code: 'ERR_DDI_ABORTED',
  })
  truncateSync(at('from'), 20 * MiB)
  await assert.rejects(copyFromFile(from, to, 20 * MiB + 1), { code: 'ERR_DDI_SHORT_READ' })
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { openSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { addon } from '../../bindings/addon.js'
import { batchesOf } from '../../lib/pull/batches.js'
import { decompress } from '../../lib/pull/decompress.js'
import { SparseWriter } from '../../lib/pull/sparse-writer.js'
import { MiB } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

/** Chunks as a network cuts them: some of zeroes, some empty. */
const chunks = fc.array(
  fc
    .record({ length: fc.integer({ min: 0, max: 9000 }), byte: fc.constantFrom(0, 0, 7) })
    .map(({ length, byte }) => Buffer.alloc(length, byte)),
  { maxLength: 40 },
)

test('the SHA-256 of a stream is that of OpenSSL, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 })), async (parts) => {
      const state = addon().sha256Begin()
      for (const part of parts) await addon().sha256Update(state, [part, part])
      const twice = Buffer.concat(parts.flatMap((part) => [part, part]))
      assert.deepEqual(Buffer.from(addon().sha256Digest(state)), createHash('sha256').update(twice).digest())
    }),
  )
})

test('a stream is written unchanged, with holes for pages of zeroes', async () => {
  using folder = temporaryFolder()
  let count = 0
  await fc.assert(
    fc.asyncProperty(fc.array(chunks, { maxLength: 4 }), async (batches) => {
      const path = join(folder.path, `${count++}`)
      const writer = new SparseWriter(openSync(path, 'w'), path, 0)
      for (const batch of batches) await writer.write(batch, count % 2 === 0)
      await writer.end()
      assert.deepEqual(readFileSync(path), Buffer.concat(batches.flat()))
    }),
  )
  const path = join(folder.path, 'zeroes')
  const writer = new SparseWriter(openSync(path, 'w'), path, 0)
  // Cut anywhere, they are holes all the same.
  await writer.write([Buffer.alloc(5000), Buffer.alloc(60_000), Buffer.alloc(400_000), Buffer.from('end')], true)
  await writer.end()
  assert.equal(statSync(path).size, 465_003)
  assert.equal(statSync(path).blocks * 512, 4096)
})

/** TMPFS_MAGIC of <linux/magic.h>. */
const tmpfsMagic = 0x01021994

test('what is not kept leaves the page cache after it was flushed', async (t) => {
  using folder = temporaryFolder()
  if (statfsSync(folder.path).type === tmpfsMagic) return t.skip(`${folder.path} is memory: set TMPDIR to a disk`)
  const path = join(folder.path, 'file')
  const batch = [Buffer.alloc(16 * MiB, 1)]
  const cached = () => Number(run('fincore', '--bytes', '--noheadings', '--output=RES', path))
  for (const [kept, most] of [
    [true, 80 * MiB],
    [false, 16 * MiB],
  ] as const) {
    const writer = new SparseWriter(openSync(path, 'w'), path, 0)
    for (let count = 0; count < 5; count++) await writer.write(batch, kept)
    await writer.end()
    assert.ok(cached() <= most && cached() > most - 32 * MiB, `${cached()} bytes in memory`)
  }
})

test('a flush that fails is an error', async () => {
  const writer = new SparseWriter(openSync('/dev/null', 'w'), '/dev/null', 0)
  await assert.rejects(
    async () => {
      for (let count = 0; count < 5; count++) await writer.write([Buffer.alloc(16 * MiB, 1)], true)
      await writer.end()
    },
    { syscall: 'fdatasync' },
  )
})

test('an error that comes when nobody reads any more ends nothing', async () => {
  const stream = new PassThrough()
  stream.write('bytes')
  for await (const batch of batchesOf(stream)) {
    assert.equal(String(batch[0]), 'bytes')
    break
  }
  stream.destroy(new Error('late'))
  await new Promise((resolve) => stream.once('close', resolve))
  // A second member that is none, of which nobody waits for the error.
  const packed = Buffer.concat([gzipSync(Buffer.alloc(8 * MiB)), gzipSync('x').subarray(0, 10), Buffer.alloc(9)])
  const pieces = async function* () {
    yield [packed]
  }
  for await (const batch of decompress(pieces(), 'gzip')) {
    assert.ok(batch.length > 0)
    break
  }
})

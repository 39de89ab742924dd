import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { addon } from '../../bindings/addon.js'
import { SparseWriter } from '../../lib/pull/sparse-writer.js'
import { temporaryFolder } from '../support/run.js'

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

test('a stream is written as it is, whatever pages of zeroes are in it', async () => {
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

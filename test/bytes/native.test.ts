// What browsers get in the place of Node's native code gives the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blobSource } from '../../lib/bytes/blob.js'
import * as browser from '../../lib/bytes/native.browser.js'
import * as native from '../../lib/bytes/native.js'

const bytes = fc.uint8Array({ maxLength: 300 })

test('SHA-256 and CRC-32 of any bytes, in any parts', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 3 }), (parts) => {
      assert.deepEqual(browser.sha256(...parts), native.sha256(...parts))
      const crc = (crc32: typeof browser.crc32) => parts.reduce((value, part) => crc32(part, value), 0)
      assert.equal(crc(browser.crc32), crc(native.crc32))
    }),
  )
})

test('equality of bytes', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      assert.equal(browser.equalOctets(a, b), native.equalOctets(a, b))
      assert.ok(browser.equalOctets(a, Uint8Array.from(a)))
    }),
  )
})

test('a blob is a source of its bytes, and of no others', async () => {
  const source = blobSource(new Blob([Uint8Array.of(1, 2, 3, 4)]))
  assert.equal(source.size, 4)
  assert.deepEqual(await source.read(1, 2), Uint8Array.of(2, 3))
  await assert.rejects(source.read(3, 2), { code: 'ERR_DDI_SHORT_READ' })
})

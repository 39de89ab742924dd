import assert from 'node:assert/strict'
import { findChecksum } from '../../../lib/pull/checksum-list.js'
import type { Target } from '../target.js'

const hash = 'a'.repeat(64)

export default {
  seeds: [Buffer.from(`${hash}  os.raw\n${hash} *x/os.raw\r\nSHA256 (os.raw) = ${hash}\n`)],
  large: [
    () => Buffer.from(`${hash}  ${' '.repeat(1_000_000)}x`),
    () => Buffer.from('SHA256 ('.repeat(500_000)),
    () => Buffer.from(`${hash}  os.raw\n`.repeat(50_000)),
  ],
  words: [hash, '  ', ' *', 'os.raw', 'SHA256 (', ') = ', '\r\n', '.'],
  run(bytes) {
    const found = findChecksum(bytes.toString('utf8'), 'os.raw')
    if (found !== undefined) assert.match(found, /^[0-9a-f]{64}$/)
  },
} satisfies Target

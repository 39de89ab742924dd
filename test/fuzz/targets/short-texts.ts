import assert from 'node:assert/strict'
import { parseSize } from '../../../lib/size.js'
import { printable } from '../../../lib/text.js'
import { parseRootHash } from '../../../lib/verity/index.js'
import type { Target } from '../target.js'

/** Root hashes and sizes; and what any text becomes before a terminal sees it. */
export default {
  seeds: ['a'.repeat(64), 'B'.repeat(128), '1.5G', '+4096', '8PiB'].map((text) => Buffer.from(text)),
  words: ['f'.repeat(64), 'K', 'iB', '.', '9'],
  run(bytes) {
    const text = bytes.toString('utf8')
    assert.doesNotMatch(printable(text), /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u)
    if (/^[0-9.+]{0,30}[KMGTPiB]{0,3}$/i.test(text)) assert.ok(Number.isSafeInteger(parseSize(text)))
    const hash = parseRootHash(text)
    assert.ok(hash.length === 32 || hash.length === 64)
  },
} satisfies Target

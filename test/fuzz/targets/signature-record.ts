import { encodeSignatureRecord, parseSignatureRecord } from '../../../lib/verity/index.js'
import type { Target } from '../target.js'

export default {
  seeds: [
    encodeSignatureRecord({
      rootHash: Buffer.alloc(32, 7),
      signature: Buffer.alloc(100, 9),
      certificateFingerprint: 'ab'.repeat(32),
    }).subarray(0, 400),
  ],
  large: [
    () => Buffer.from(JSON.stringify({ rootHash: 'ab'.repeat(32), signature: `A${' '.repeat(1_000_000)}!` })),
    () => Buffer.from('['.repeat(1_000_000)),
    () => Buffer.from(`{"a":${'1'.repeat(1_000_000)}}`),
  ],
  words: [
    '{"rootHash":"',
    'ab'.repeat(32),
    '","signature":"',
    'AAAA',
    '==',
    '"}',
    'null',
    '[',
    '{',
    '\\u0000',
    '1e999',
  ],
  run: parseSignatureRecord,
} satisfies Target

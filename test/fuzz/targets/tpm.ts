import assert from 'node:assert/strict'
import { parseSelections } from '../../../lib/boot/tpm.js'
import type { Target } from '../target.js'

/** What swtpm answers when it is asked for its PCRs: banks of sha1, sha256, sha384 and sha512. */
const answer = Buffer.from(
  '80010000002b000000000000000005000000040004030000000' + '00b03ffffff000c03ffffff000d03000000',
  'hex',
)

export default {
  seeds: [answer],
  large: [() => Buffer.concat([answer.subarray(0, 15), Buffer.alloc(4, 255), Buffer.alloc(200_000)])],
  mend(bytes) {
    if (bytes.length >= 10) {
      bytes.writeUInt32BE(bytes.length, 2)
      bytes.writeUInt32BE(0, 6)
    }
  },
  run(bytes) {
    for (const { selected } of parseSelections(bytes)) assert.ok(selected.length <= bytes.length)
  },
} satisfies Target

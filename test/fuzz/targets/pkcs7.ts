import assert from 'node:assert/strict'
import { parseCertificates, verifyRootHashSignature } from '../../../lib/verity/index.js'
import { corpusOf, type Target } from '../target.js'

const trusted = corpusOf('certificates').flatMap((bytes) => parseCertificates(bytes, 'corpus'))
const [signed, another] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)]
const now = new Date('2027-01-01')

export default {
  seeds: [],
  async run(bytes) {
    // Whatever it becomes, it is a signature of no other root hash.
    await assert.rejects(verifyRootHashSignature(another, bytes, trusted, now), { name: 'DdiError' })
    await verifyRootHashSignature(signed, bytes, trusted, now)
  },
} satisfies Target

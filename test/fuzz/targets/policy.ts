import assert from 'node:assert/strict'
import {
  equivalentPolicies,
  formatImagePolicy,
  intersectPolicies,
  parseImagePolicy,
} from '../../../lib/image/policy.js'
import type { Target } from '../target.js'

const other = parseImagePolicy('root=verity+signed+unprotected+absent:=open')

export default {
  seeds: ['root=verity+signed:usr=absent:=ignore', '*', '-', '~'].map((text) => Buffer.from(text)),
  large: ['root=', ':', '+', 'a=b:'].map((text) => () => Buffer.from(text.repeat(100_000))),
  words: [
    ...[
      'root',
      'usr',
      'home',
      'root-verity',
      'usr-verity-sig',
      'verity',
      'signed',
      'encrypted',
      'unprotected',
      'unused',
    ],
    ...['absent', 'open', 'ignore', 'read-only-on', 'growfs-off', 'erofs', 'host', 'sysext'],
  ],
  run(bytes) {
    const policy = parseImagePolicy(bytes.toString('utf8'))
    assert.ok(equivalentPolicies(parseImagePolicy(formatImagePolicy(policy)), policy), 'it reads back as what it is')
    intersectPolicies(policy, other)
  },
} satisfies Target

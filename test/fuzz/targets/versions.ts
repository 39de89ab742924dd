import assert from 'node:assert/strict'
import { compareVersions } from '../../../lib/version.js'
import type { Target } from '../target.js'

/** Three versions, a line each. */
export default {
  seeds: [Buffer.from('1.2.3-4~rc1^x\n1.2.3\n122.1'), Buffer.from('os_1.0\nos_1.0.1\nos_01')],
  large: ['.', '1', 'a', '~', '_', '.1'].map(
    (text) => () => Buffer.from(`${text.repeat(100_000)}\n${text.repeat(100_000)}`),
  ),
  words: ['~', '-', '^', '.', '0', '00', '1', '10', 'a', 'B', '_', '\n'],
  run(bytes) {
    const [a = '', b = '', c = ''] = bytes.toString('utf8').split('\n')
    const order = (x: string, y: string) => Math.sign(compareVersions(x, y))
    assert.equal(order(a, a), 0)
    assert.equal(order(a, b) + order(b, a), 0)
    if (order(a, b) <= 0 && order(b, c) <= 0) assert.ok(order(a, c) <= 0, 'the order is one')
  },
} satisfies Target

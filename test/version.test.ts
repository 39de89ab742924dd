import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareVersions } from '../lib/version.js'
import { attempt } from './support/run.js'

/** systemd-analyze says by its exit status: 0 equal, 11 left newer, 12 right newer. */
function bySystemd(a: string, b: string): number {
  const { status } = attempt('systemd-analyze', 'compare-versions', a, b)
  assert.ok(status === 0 || status === 11 || status === 12, `exit status ${status}`)
  return status === 0 ? 0 : status === 11 ? 1 : -1
}

test('versions compare as systemd compares them', () => {
  const part = fc.constantFrom(
    '0',
    '1',
    '2',
    '10',
    '007',
    'a',
    'B',
    'rc',
    '~',
    '-',
    '^',
    '.',
    '_',
    '+',
    '123456789012345678901234567890',
  )
  const version = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => `v${parts.join('')}`)
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.equal(Math.sign(compareVersions(a, b)), bySystemd(a, b), `${a} ${b}`)
    }),
    {
      numRuns: 400,
      examples: [
        ['os_9', 'os_10'],
        ['os_1.0~rc1', 'os_1.0'],
        ['os_1.0', 'os_1.0-2'],
        ['v', 'v0'],
        ['v~', 'v~~0'],
      ],
    },
  )
})

test('the order is one', () => {
  const any = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(any, any, any, (a, b, c) => {
      assert.equal(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a)), 0)
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) assert.ok(compareVersions(a, c) <= 0)
    }),
    { numRuns: 5000 },
  )
})

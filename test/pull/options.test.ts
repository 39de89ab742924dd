import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DdiError, type PullOptions, pull, pullAtBoot } from '../../lib/index.js'
import { settingsOf } from '../../lib/pull/options.js'
import { cli } from '../support/run.js'

test('numbers out of their range are refused before anything is done', async () => {
  const bad: readonly (readonly [string, unknown])[] = [
    ['connections', 0],
    ['connections', 1.5],
    ['connections', Number.NaN],
    ['retries', -1],
    ['retries', Number.POSITIVE_INFINITY],
    ['rateLimit', 0],
    ['rateLimit', Number.NaN],
    ['rateLimit', '5M'],
    ['maxSize', Number.NaN],
    ['maxSize', -1],
    ['timeouts', { connect: Number.NaN }],
    ['timeouts', { headers: -1 }],
    ['timeouts', { stall: Number.POSITIVE_INFINITY }],
    ['verify', 'maybe'],
    ['verify', null],
    ['verify', { sha256: 'abc' }],
    ['verfy', 'signature'],
  ]
  for (const [name, value] of bad) {
    const options = { [name]: value } as PullOptions
    const names = (error: unknown) =>
      error instanceof DdiError && error.code === 'ERR_DDI_USAGE' && error.message.includes(name)
    const target = { kind: 'raw', path: '/nowhere/x' } as const
    await assert.rejects(pull('http://127.0.0.1:9/x', target, options), names, `${name} ${String(value)}`)
    if (name !== 'verify') await assert.rejects(pullAtBoot(options), names, `${name} ${String(value)} at boot`)
  }
  for (const bad of ['--connections=0', '--retries=-1', '--rate-limit=0', '--max-size=x'])
    assert.equal(cli('pull', 'http://127.0.0.1:9/x', '--output=/nowhere/x', bad).status, 2, bad)
})

test('misspelt names in a target are refused', async () => {
  for (const target of [
    { kind: 'raw', path: '/nowhere/x', roothash: 'zz' },
    { kind: 'tar', path: '/nowhere/x', readonly: true },
    { kind: 'volume', disk: '/nowhere/x', label: 'x', roothash: 'zz' },
  ] as const)
    await assert.rejects(pull('http://127.0.0.1:9/x', target), { code: 'ERR_DDI_USAGE', message: /readonly|roothash/ })
})

test('options that are not given have defaults', () => {
  assert.deepEqual(settingsOf({}), {
    verify: 'signature',
    maxSize: 64 * 1024 ** 3,
    maxMemory: 128 * 1024 ** 2,
    headers: {},
    timeouts: { connect: 30_000, headers: 60_000, stall: 60_000 },
    retries: 5,
    retryTime: 0,
    connections: 1,
    rateLimit: Number.POSITIVE_INFINITY,
  })
  const given = { retries: 0, timeouts: { stall: 0 }, verify: { sha256: 'A'.repeat(64) }, rateLimit: 0.5 } as const
  const { retries, timeouts, verify, rateLimit } = settingsOf(given)
  assert.deepEqual(
    { retries, timeouts, verify, rateLimit },
    {
      retries: 0,
      timeouts: { connect: 30_000, headers: 60_000, stall: 0 },
      verify: { sha256: 'a'.repeat(64) },
      rateLimit: 0.5,
    },
  )
})

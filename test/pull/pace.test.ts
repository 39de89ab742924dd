import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { atRate, type Clock, retryDelay, systemClock } from '../../lib/pull/pace.js'

/** Time that passes only when somebody sleeps. */
function fakeClock(): Clock & { passed: number } {
  return {
    passed: 0,
    now() {
      return this.passed
    },
    async sleep(duration) {
      assert.ok(duration > 0)
      this.passed += duration
    },
  }
}

test('each attempt waits twice as long as the one before it, up to 8 s, and up to half less', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 100].map((attempt) => retryDelay(attempt, 1))
  assert.deepEqual(longest, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000])
  fc.assert(
    fc.property(fc.nat(50), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const [delay, most] = [retryDelay(attempt, random), retryDelay(attempt, 1)]
      assert.ok(delay >= most / 2 && delay <= most)
    }),
  )
})

test('bytes come at their rate and not faster, however they are cut, and as they are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.uint8Array({ minLength: 1, maxLength: 5000 }), { minLength: 1, maxLength: 3 })),
      fc.integer({ min: 1, max: 100_000 }),
      async (batches, rate) => {
        const clock = fakeClock()
        const source = async function* () {
          yield* batches
        }
        const chunks: Uint8Array[] = []
        let before = 0
        for await (const batch of atRate(source(), rate, clock)) {
          // What came before this was not too early, but for what a timer is not worth.
          assert.ok(clock.passed >= (before / rate) * 1000 - 5 - 1e-6)
          for (const chunk of batch) {
            before += chunk.length
            chunks.push(chunk)
          }
        }
        assert.deepEqual(Buffer.concat(chunks), Buffer.concat(batches.flat()))
        assert.ok(clock.passed <= (before / rate) * 1000 + 1e-6)
      },
    ),
  )
})

test('without a limit nothing is cut and nobody sleeps', async () => {
  const batches = [[Buffer.from('a'), Buffer.from('b')], [Buffer.from('c')]]
  const source = async function* () {
    yield* batches
  }
  const clock = fakeClock()
  const seen = []
  for await (const batch of atRate(source(), Number.POSITIVE_INFINITY, clock)) seen.push(batch)
  assert.deepEqual(seen, batches)
  assert.equal(clock.passed, 0)
})

test('a sleep ends when it is aborted', async () => {
  const stop = new AbortController()
  const sleeping = systemClock(stop.signal).sleep(1e6)
  stop.abort()
  await assert.rejects(sleeping, { code: 'ERR_DDI_ABORTED' })
  await assert.rejects(systemClock(stop.signal).sleep(1e6), { code: 'ERR_DDI_ABORTED' })
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { withoutBreaks } from '../../lib/pull/resume.js'
import { requestedDelay, unavailable } from '../../lib/pull/unavailable.js'
import { type Behaviour, collect, fakeServer, url } from './fake-server.js'

function part(content: Buffer, more: Partial<Parameters<typeof withoutBreaks>[1]> = {}) {
  return { url, verified: false, from: 0, until: content.length, size: content.length, validator: '"tag"', ...more }
}

test('bytes are whole wherever connections break, with ranges and without, for any part', async () => {
  const content = randomBytes(20_000)
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { maxLength: 5 }),
      async (ranges, one, other, cuts) => {
        const [from, until] = [Math.min(one, other), Math.max(one, other)]
        const server = fakeServer(
          {
            content,
            ranges,
            breaks: (count) => cuts[count - 1] ?? Number.POSITIVE_INFINITY,
          },
          5,
        )
        const bytes = await collect(withoutBreaks(server, part(content, { from, until })))
        assert.ok(bytes.equals(content.subarray(from, until)))
        assert.equal(server.open, 0)
        // With ranges nothing comes twice.
        if (ranges)
          for (const [index, request] of server.requests.entries())
            assert.ok(index === 0 || request.from >= server.requests[index - 1]!.from)
      },
    ),
  )
})

test('a break continues at the byte where it was, under the condition that the file is the same', async () => {
  const content = randomBytes(10_000)
  const server = fakeServer({
    content,
    ranges: true,
    breaks: (count) => (count === 1 ? 2500 : Number.POSITIVE_INFINITY),
  })
  assert.ok((await collect(withoutBreaks(server, part(content)))).equals(content))
  assert.deepEqual(
    server.requests.map(({ from, until, validator }) => [from, until, validator]),
    [
      [0, null, '"tag"'],
      [2500, null, '"tag"'],
    ],
  )
  assert.equal(server.sleeps.length, 1)
})

test('attempts without progress are counted, those with progress are not', async () => {
  const content = randomBytes(30_000)
  const steady = fakeServer({ content, ranges: true, breaks: () => 1000 }, 1)
  assert.ok((await collect(withoutBreaks(steady, part(content)))).equals(content))
  assert.equal(steady.requests.length, 30)
  const dead = fakeServer({ content, ranges: true, breaks: (count) => (count === 1 ? 5000 : 0) }, 2)
  await assert.rejects(collect(withoutBreaks(dead, part(content))), { code: 'ERR_DDI_PULL_BROKEN' })
  assert.equal(dead.open, 0)
  assert.ok(dead.sleeps.length > 0)
})

test('much progress before a break costs no wait', async () => {
  const content = Buffer.alloc(3 * 1024 * 1024, 'x')
  const server = fakeServer({ content, ranges: true, breaks: () => 2 * 1024 * 1024 })
  assert.ok((await collect(withoutBreaks(server, part(content)))).equals(content))
  assert.deepEqual([server.requests.length, server.sleeps.length], [2, 0])
})

test('a file that changes is not continued, unless a known SHA-256 settles what it is: mirrors differ in their validators', async () => {
  const content = randomBytes(10_000)
  const breaks = (count: number) => (count < 4 ? 2500 : Number.POSITIVE_INFINITY)
  for (const ranges of [true, false]) {
    const mirrors = { content, ranges, breaks, validator: (count: number) => `"${count}"` }
    await assert.rejects(collect(withoutBreaks(fakeServer(mirrors), part(content, { validator: '"1"' }))), {
      code: 'ERR_DDI_PULL_CHANGED',
    })
    const verified = part(content, { validator: '"1"', verified: true })
    assert.ok((await collect(withoutBreaks(fakeServer(mirrors), verified))).equals(content))
    // Not even its size, or a validator.
    const unknown = { ...verified, until: null, size: null, validator: null }
    const nameless = { ...mirrors, sizeKnown: false, validator: () => null }
    assert.ok((await collect(withoutBreaks(fakeServer(nameless), unknown))).equals(content))
    const longer = { ...mirrors, other: (count: number) => (count > 1 ? Buffer.alloc(10_001) : undefined) }
    await assert.rejects(collect(withoutBreaks(fakeServer(longer), verified)), { code: 'ERR_DDI_PULL_CHANGED' })
  }
})

test('what nothing identifies begins anew, and has to begin with the same bytes', async () => {
  const content = randomBytes(10_000)
  const changed = Buffer.from(content)
  changed[100]! ^= 1
  const unknown = { until: null, size: null, validator: null }
  const pullIt = async (more: Partial<Behaviour>, cuts: readonly number[]) => {
    const breaks = (count: number) => cuts[count - 1] ?? Number.POSITIVE_INFINITY
    const server = fakeServer({ content, ranges: true, sizeKnown: false, validator: () => null, breaks, ...more }, 5)
    const bytes = collect(withoutBreaks(server, part(content, unknown)))
    await bytes.catch(() => {})
    assert.equal(server.open, 0)
    return await bytes
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 10_000 }), { maxLength: 4 }), async (cuts) => {
      assert.ok((await pullIt({}, cuts)).equals(content))
    }),
    { numRuns: 30 },
  )
  for (const other of [changed, content.subarray(0, 2000)])
    await assert.rejects(pullIt({ other: (count) => (count === 2 ? other : undefined) }, [2500]), {
      code: 'ERR_DDI_PULL_CHANGED',
    })
})

test('a server is left alone as long as it wants, and asked for as long as the caller wants', async () => {
  const content = randomBytes(1000)
  let now = 0
  const busy = (times: number, field?: string, retryTime = 0) => {
    const server = fakeServer({ content, ranges: true }, 2)
    const answer = server.get
    const clock = {
      now: () => now,
      async sleep(duration: number) {
        now += duration
        server.sleeps.push(duration)
      },
    }
    const get: typeof answer = async (request) =>
      server.sleeps.length < times ? Promise.reject(unavailable(url, 503, field, 0)) : await answer(request)
    return { ...server, clock, get, retryTime }
  }
  const slow = busy(2, '120')
  assert.ok((await collect(withoutBreaks(slow, part(content)))).equals(content))
  assert.deepEqual(slow.sleeps, [120_000, 120_000])
  await assert.rejects(collect(withoutBreaks(busy(20), part(content))), { code: 'ERR_DDI_PULL_BROKEN' })
  assert.ok((await collect(withoutBreaks(busy(20, undefined, 600_000), part(content)))).equals(content))
  const delays = [
    ['7', 7000],
    ['Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
    ['99999999', 300_000],
    ['-1', 0],
    ['soon', 0],
  ] as const
  for (const [field, delay] of delays) assert.equal(requestedDelay(unavailable(url, 429, field, 0)), delay, field)
})

test('a server that sends more than it announced is refused', async () => {
  const content = randomBytes(10_000)
  const server = fakeServer({ content, ranges: true, sizeKnown: false })
  const short = { size: 9000, until: 9000 }
  await assert.rejects(collect(withoutBreaks(server, part(content, short))), { code: 'ERR_DDI_PULL_RESPONSE' })
  assert.equal(server.open, 0)
})

test('what has come whole before a connection breaks is not requested again', async () => {
  const content = randomBytes(4000)
  const server = fakeServer({ content: Buffer.concat([content, Buffer.alloc(1000)]), ranges: true, breaks: () => 4000 })
  const bytes = withoutBreaks(server, part(content, { until: 4000, size: 5000 }))
  assert.ok((await collect(bytes)).equals(content))
  assert.equal(server.requests.length, 1)
})

test('whoever stops reading ends the request', async () => {
  const content = randomBytes(10_000)
  const server = fakeServer({ content, ranges: true })
  for await (const _ of withoutBreaks(server, part(content))) break
  assert.equal(server.open, 0)
})

test('what follows a part is not read from a server that sends all of the file', async () => {
  const content = randomBytes(20_000)
  const server = fakeServer({ content, ranges: false })
  const bytes = await collect(withoutBreaks(server, part(content, { from: 3000, until: 5000 })))
  assert.ok(bytes.equals(content.subarray(3000, 5000)))
  assert.equal(server.sent, 5000)
})

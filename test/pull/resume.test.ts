import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { DdiError } from '../../lib/index.js'
import type { OpenAnswer, PartRequest } from '../../lib/pull/answer.js'
import type { Batch } from '../../lib/pull/batches.js'
import { type Server, withoutBreaks } from '../../lib/pull/resume.js'
import { downloadFrom, segmentSize } from '../../lib/pull/segments.js'

const url = new URL('http://h/image.raw')
const broken = () => new DdiError('ERR_DDI_PULL_BROKEN', 'the connection broke')

/** How a server that is not there behaves. */
interface Behaviour {
  readonly content: Buffer
  readonly ranges: boolean
  readonly sizeKnown?: boolean
  /** By the number of the request. */
  readonly validator?: (count: number) => string | null
  /** After how many bytes the answer of a request breaks; 0: there is none. */
  readonly breaks?: (count: number) => number
}

interface Fake extends Server {
  readonly requests: PartRequest[]
  readonly sleeps: number[]
  open: number
}

function fakeServer(behaviour: Behaviour, retries = 3): Fake {
  const {
    content,
    ranges,
    sizeKnown = true,
    validator = () => '"tag"',
    breaks = () => Number.POSITIVE_INFINITY,
  } = behaviour
  const sleeps: number[] = []
  const requests: PartRequest[] = []
  const fake: Fake = {
    requests,
    sleeps,
    open: 0,
    retries,
    signal: new AbortController().signal,
    clock: { now: () => 0, sleep: async (duration) => void sleeps.push(duration) },
    async get(request): Promise<OpenAnswer> {
      const count = requests.push(request)
      const most = breaks(count)
      if (most === 0) throw broken()
      const tag = validator(count)
      const isSame = request.validator === null || request.validator === tag
      const isPart = ranges && isSame && (request.until !== null || (request.from > 0 && request.validator !== null))
      const start = isPart ? request.from : 0
      const end = isPart ? Math.min(request.until ?? content.length, content.length) : content.length
      fake.open++
      let isOpen = true
      return {
        start,
        end: sizeKnown || isPart ? end : null,
        size: sizeKnown ? content.length : null,
        validator: tag,
        bytes: pieces(content.subarray(start, end), most),
        cancel() {
          if (isOpen) fake.open--
          isOpen = false
        },
      }
    },
  }
  return fake
}

async function* pieces(bytes: Buffer, most: number): AsyncGenerator<Batch> {
  const step = 1000
  for (let at = 0; at < bytes.length; at += step) {
    if (at >= most) throw broken()
    yield [bytes.subarray(at, at + step / 4), bytes.subarray(at + step / 4, Math.min(at + step, most))]
  }
  if (bytes.length > most) throw broken()
}

async function collect(bytes: AsyncIterable<Batch>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const batch of bytes) chunks.push(...batch)
  return Buffer.concat(chunks)
}

function part(content: Buffer, more: Partial<Parameters<typeof withoutBreaks>[1]> = {}) {
  return { url, from: 0, until: content.length, size: content.length, validator: '"tag"', ...more }
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

test('a file that changes, or that cannot be recognized, is not continued', async () => {
  const content = randomBytes(10_000)
  const breaks = (count: number) => (count === 1 ? 2500 : Number.POSITIVE_INFINITY)
  const changing = fakeServer({ content, ranges: true, breaks, validator: (count) => `"${count}"` })
  await assert.rejects(collect(withoutBreaks(changing, part(content, { validator: '"1"' }))), {
    code: 'ERR_DDI_PULL_CHANGED',
  })
  const nameless = fakeServer({ content, ranges: false, breaks, sizeKnown: false, validator: () => null })
  const unknown = { until: null, size: null, validator: null }
  await assert.rejects(collect(withoutBreaks(nameless, part(content, unknown))), { code: 'ERR_DDI_PULL_BROKEN' })
  assert.equal(nameless.requests.length, 1)
  // By its size at least.
  const sized = fakeServer({ content, ranges: false, breaks, validator: () => null })
  assert.ok((await collect(withoutBreaks(sized, part(content, { validator: null })))).equals(content))
})

test('a server that sends more than it announced is refused', async () => {
  const content = randomBytes(10_000)
  const server = fakeServer({ content, ranges: true })
  const short = { size: 9000, until: 9000 }
  await assert.rejects(collect(withoutBreaks(server, part(content, short))), { code: 'ERR_DDI_PULL_RESPONSE' })
  assert.equal(server.open, 0)
})

test('whoever stops reading ends the request', async () => {
  const content = randomBytes(10_000)
  const server = fakeServer({ content, ranges: true })
  for await (const _ of withoutBreaks(server, part(content))) break
  assert.equal(server.open, 0)
})

test('several connections request parts; without ranges, size or validator there is one', async () => {
  const content = Buffer.concat([randomBytes(1000), Buffer.alloc(2 * segmentSize, 'x'), randomBytes(1000)])
  const request = { url, from: 0, until: null, validator: null }
  const get = async (behaviour: Partial<Behaviour>, from = 0) => {
    const server = fakeServer({ content, ranges: true, ...behaviour })
    const validator = from > 0 ? '"tag"' : null
    const { start, size, bytes } = await downloadFrom(server, { ...request, from, validator }, 3)
    assert.ok((await collect(bytes)).equals(content.subarray(start)))
    assert.equal(server.open, 0)
    return { start, size, parts: server.requests.map((one) => [one.from, one.until]) }
  }
  const size = content.length
  assert.deepEqual(await get({}), {
    start: 0,
    size,
    parts: [
      [0, segmentSize],
      [segmentSize, 2 * segmentSize],
      [2 * segmentSize, null],
    ],
  })
  assert.deepEqual(await get({}, 500), {
    start: 500,
    size,
    parts: [
      [500, 500 + segmentSize],
      [500 + segmentSize, 500 + 2 * segmentSize],
      [500 + 2 * segmentSize, null],
    ],
  })
  assert.deepEqual(await get({ ranges: false }), { start: 0, size, parts: [[0, segmentSize]] })
  assert.deepEqual(await get({ sizeKnown: false }), {
    start: 0,
    size: null,
    parts: [
      [0, segmentSize],
      [0, null],
    ],
  })
  // Without a validator parts could be of different files.
  const { parts } = await get({ validator: () => null })
  assert.deepEqual(parts[0], [0, segmentSize])
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { downloadFrom, segmentSize } from '../../lib/pull/segments.js'
import { type Behaviour, collect, fakeServer, url } from './fake-server.js'

test('several connections request parts; without ranges, size or validator there is one', async () => {
  const content = Buffer.concat([randomBytes(1000), Buffer.alloc(2 * segmentSize, 'x'), randomBytes(1000)])
  const request = { url, verified: false, from: 0, until: null, size: null, validator: null }
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
  // Without a validator parts could be of different files, if nothing verifies them.
  assert.deepEqual((await get({ validator: () => null })).parts, [
    [0, segmentSize],
    [segmentSize, null],
  ])
})

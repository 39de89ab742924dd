import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DdiError } from '../../lib/index.js'
import { type HeaderFields, type PartRequest, parseAnswer, rangeFields } from '../../lib/pull/answer.js'

const url = new URL('http://h/image.raw')
const whole: PartRequest = { url, verified: false, from: 0, until: null, size: null, validator: null }
const rest: PartRequest = { url, verified: false, from: 100, until: null, size: 500, validator: '"tag"' }
const date = 'Thu, 01 Jan 2026 00:00:00 GMT'
const dated = { ...rest, validator: date }
const identity = { 'accept-encoding': 'identity' }

test('a range is requested only of a file that can be recognized, or of a part', () => {
  assert.deepEqual(rangeFields(whole), identity)
  assert.deepEqual(rangeFields({ ...rest, validator: null }), identity)
  assert.deepEqual(rangeFields({ ...whole, validator: '"tag"' }), identity)
  assert.deepEqual(rangeFields(rest), { ...identity, range: 'bytes=100-', 'if-range': '"tag"' })
  assert.deepEqual(rangeFields({ ...rest, until: 200 }), { ...identity, range: 'bytes=100-199', 'if-range': '"tag"' })
  // Whichever mirror answers.
  const verified = { ...rest, verified: true }
  for (const request of [verified, { ...verified, validator: null }])
    assert.deepEqual(rangeFields(request), { ...identity, range: 'bytes=100-' })
  assert.deepEqual(rangeFields({ ...whole, until: 200 }), { ...identity, range: 'bytes=0-199' })
})

test('answers say which bytes they have', () => {
  const answers: readonly (readonly [PartRequest, number, HeaderFields, object])[] = [
    [whole, 200, {}, { start: 0, end: null, size: null, validator: null }],
    [whole, 200, { 'content-length': '500', etag: '"a"' }, { start: 0, end: 500, size: 500, validator: '"a"' }],
    // As Apache names what is stored packed.
    [whole, 200, { 'content-encoding': 'x-gzip' }, { start: 0, end: null, size: null, validator: null }],
    // The file is another one, or the server has no ranges.
    [rest, 200, { 'content-length': '5', etag: '"b"' }, { start: 0, end: 5, size: 5, validator: '"b"' }],
    [
      rest,
      206,
      { 'content-range': 'bytes 100-499/500', etag: '"tag"' },
      { start: 100, end: 500, size: 500, validator: '"tag"' },
    ],
    [
      rest,
      206,
      { 'content-range': 'Bytes 100-149/*', etag: '"tag"' },
      { start: 100, end: 150, size: null, validator: '"tag"' },
    ],
    [
      { ...whole, verified: true },
      200,
      { 'content-type': 'text/html' },
      { start: 0, end: null, size: null, validator: null },
    ],
    // Another mirror, whose bytes a known SHA-256 will judge.
    [
      { ...rest, verified: true },
      206,
      { 'content-range': 'bytes 100-499/500', etag: '"other"' },
      { start: 100, end: 500, size: 500, validator: '"other"' },
    ],
    // A time of change may be left out of an answer to If-Range.
    [dated, 206, { 'content-range': 'bytes 100-499/500' }, { start: 100, end: 500, size: 500, validator: date }],
    // A weak tag is none; the time of change is one.
    [
      whole,
      200,
      { etag: 'W/"a"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' },
      { start: 0, end: null, size: null, validator: 'Thu, 01 Jan 2026 00:00:00 GMT' },
    ],
  ]
  for (const [request, status, fields, expected] of answers)
    assert.deepEqual(parseAnswer(request, status, fields), expected, JSON.stringify(fields))
})

test('answers that are none of the file are refused, those that may be better later as broken', () => {
  const answers: readonly (readonly [PartRequest, number, HeaderFields, string])[] = [
    [whole, 404, {}, 'ERR_DDI_PULL_NOT_FOUND'],
    [whole, 410, {}, 'ERR_DDI_PULL_NOT_FOUND'],
    [whole, 429, {}, 'ERR_DDI_PULL_BROKEN'],
    [whole, 503, {}, 'ERR_DDI_PULL_BROKEN'],
    [whole, 408, {}, 'ERR_DDI_PULL_BROKEN'],
    [whole, 425, {}, 'ERR_DDI_PULL_BROKEN'],
    [whole, 403, {}, 'ERR_DDI_PULL_FORBIDDEN'],
    [whole, 401, {}, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 416, {}, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 204, {}, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 200, { 'content-type': 'text/html; charset=utf-8' }, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 200, { 'content-type': 'application/xhtml+xml' }, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 200, { 'content-type': 'application/problem+json' }, 'ERR_DDI_PULL_RESPONSE'],
    [rest, 206, {}, 'ERR_DDI_PULL_RESPONSE'],
    [rest, 206, { 'content-range': 'bytes 0-499/500' }, 'ERR_DDI_PULL_RESPONSE'],
    [rest, 206, { 'content-range': 'bytes 99-499/500' }, 'ERR_DDI_PULL_RESPONSE'],
    [rest, 206, { 'content-range': 'bytes 100-' }, 'ERR_DDI_PULL_RESPONSE'],
    [rest, 206, { 'content-range': 'bytes 100-99/500' }, 'ERR_DDI_PULL_RESPONSE'],
    [rest, 206, { 'content-range': 'bytes 100-500/500' }, 'ERR_DDI_PULL_RESPONSE'],
    // A part that nobody asked for, or of what nobody knows the end.
    [whole, 206, { 'content-range': 'bytes 0-9/500' }, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 206, { 'content-range': 'bytes 0-499/500' }, 'ERR_DDI_PULL_RESPONSE'],
    [{ ...rest, size: null }, 206, { 'content-range': 'bytes 100-149/*', etag: '"tag"' }, 'ERR_DDI_PULL_CHANGED'],
    [whole, 200, { 'content-encoding': 'br' }, 'ERR_DDI_PULL_RESPONSE'],
    [whole, 200, { 'content-encoding': 'gzip, deflate' }, 'ERR_DDI_PULL_RESPONSE'],
    // Servers that ignore If-Range, and a file that is another one.
    [rest, 206, { 'content-range': 'bytes 100-499/500', etag: '"other"' }, 'ERR_DDI_PULL_CHANGED'],
    [rest, 206, { 'content-range': 'bytes 100-499/500' }, 'ERR_DDI_PULL_CHANGED'],
    [rest, 206, { 'content-range': 'bytes 100-599/600', etag: '"tag"' }, 'ERR_DDI_PULL_CHANGED'],
    [dated, 206, { 'content-range': 'bytes 100-599/600' }, 'ERR_DDI_PULL_CHANGED'],
    [dated, 206, { 'content-range': 'bytes 100-499/500', 'last-modified': 'later' }, 'ERR_DDI_PULL_CHANGED'],
    [rest, 416, { 'content-range': 'bytes */100' }, 'ERR_DDI_PULL_CHANGED'],
    [{ ...rest, verified: true }, 206, { 'content-range': 'bytes 100-599/600', etag: '"tag"' }, 'ERR_DDI_PULL_CHANGED'],
    [rest, 416, { 'content-range': 'bytes */50' }, 'ERR_DDI_PULL_CHANGED'],
  ]
  for (const [request, status, fields, code] of answers)
    assert.throws(() => parseAnswer(request, status, fields), { code }, `${status} ${JSON.stringify(fields)}`)
  const field = fc.option(fc.oneof(fc.string(), fc.constant('bytes 100-499/500')), { nil: undefined })
  const fields = fc.record({ 'content-range': field, 'content-type': field, etag: field, 'last-modified': field })
  fc.assert(
    fc.property(
      fc.constantFrom(whole, rest),
      fc.constantFrom(200, 204, 206, 404, 416, 500),
      fields,
      (request, status, some) => {
        try {
          const { start } = parseAnswer(request, status, some)
          assert.ok(start === 0 || start === request.from)
        } catch (error) {
          assert.ok(error instanceof DdiError)
        }
      },
    ),
  )
})

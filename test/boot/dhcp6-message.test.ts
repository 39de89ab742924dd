import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeMessage, givenBy, optionCodes, parseMessage } from '../../lib/boot/dhcp6-message.js'

/** Compared as literals are. */
const plain = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true })
const option = plain({
  code: fc.nat(0xffff),
  data: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
})
const message = plain({
  type: fc.nat(255),
  transaction: fc.nat(0xffffff),
  options: fc.array(option, { maxLength: 6 }),
})

test('messages are read as they are written', () => {
  fc.assert(fc.property(message, (one) => assert.deepEqual(parseMessage(encodeMessage(one)), one)))
})

test('of any bytes nothing is taken but addresses and plain text', () => {
  const codes = fc.constantFrom(...Object.values(optionCodes))
  const nested = fc
    .array(fc.record({ code: codes, data: option.map(({ data }) => data) }), { maxLength: 3 })
    .map((options) => {
      return Buffer.concat([Buffer.alloc(12), encodeMessage({ type: 0, transaction: 0, options }).subarray(4)])
    })
  const known = fc.record({
    code: codes,
    data: fc.oneof(
      nested,
      option.map(({ data }) => data),
    ),
  })
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all)),
    fc
      .record({ type: fc.constant(7), transaction: fc.constant(1), options: fc.array(known, { maxLength: 6 }) })
      .map(encodeMessage),
  )
  fc.assert(
    fc.property(bytes, fc.nat(200), (all, cut) => {
      for (const some of [all, all.subarray(0, cut)]) {
        const parsed = parseMessage(some)
        const given = parsed && givenBy(parsed)
        if (!given) continue
        for (const address of [...given.nameServers, given.address ?? '1:1:1:1:1:1:1:1'])
          assert.match(address, /^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}$/)
        assert.match(given.bootFileUrl ?? 'x', /^[!-~]+$/)
      }
    }),
    { numRuns: 3000 },
  )
})

test('an answer as RFC 8415 has it', () => {
  const address = Buffer.from('fd990000000000000000000000000010', 'hex')
  const lifetimes = (valid: number) => Buffer.from(`00000000${valid.toString(16).padStart(8, '0')}`, 'hex')
  const answer = (valid: number, status: readonly number[], of = address) => {
    const inner = encodeMessage({
      type: 0,
      transaction: 0,
      options: [{ code: 5, data: Buffer.concat([of, lifetimes(valid)]) }],
    }).subarray(4)
    const options = [
      { code: 3, data: Buffer.concat([Buffer.alloc(12), inner]) },
      { code: 13, data: Buffer.from(status) },
      { code: 23, data: Buffer.concat([address, address]) },
      { code: 59, data: Buffer.from('http://[fd99::1]/a.efi') },
    ]
    return givenBy({ type: 7, transaction: 1, options })
  }
  assert.deepEqual(answer(3600, [0, 0]), {
    address: 'fd99:0:0:0:0:0:0:10',
    nameServers: ['fd99:0:0:0:0:0:0:10', 'fd99:0:0:0:0:0:0:10'],
    bootFileUrl: 'http://[fd99::1]/a.efi',
  })
  assert.equal(answer(0, [0, 0])?.address, null)
  assert.equal(answer(3600, [0, 2]), undefined)
  assert.equal(answer(3600, [0]), undefined)
  for (const hex of [
    'ff020000000000000000000000000001',
    'fe800000000000000000000000000001',
    '00000000000000000000000000000001',
  ])
    assert.equal(answer(3600, [0, 0], Buffer.from(hex, 'hex'))?.address, null)
})

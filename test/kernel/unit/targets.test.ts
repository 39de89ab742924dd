// Tables as data: what is parsed is printed again, and what is not understood is kept as it is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatTable, parseTable, parseTarget, type TableTarget } from '../../../lib/kernel/targets.js'

const sectors = fc.integer({ min: 1, max: 2 ** 40 })
const length = sectors.map((count) => count * 512)
const start = fc.integer({ min: 0, max: 2 ** 40 }).map((count) => count * 512)
const device = fc.tuple(fc.nat(4095), fc.nat(1 << 20)).map(([major, minor]) => `${major}:${minor}`)
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const hex = (min: number) => fc.uint8Array({ minLength: min, maxLength: 64 }).map((b) => Buffer.from(b).toString('hex'))
const blockSize = fc.integer({ min: 9, max: 16 }).map((power) => 2 ** power)
const flag = fc.constant(true as const)

const verity = fc.record(
  {
    kind: fc.constant('verity' as const),
    length,
    version: fc.constantFrom(0, 1),
    dataDevice: device,
    hashDevice: device,
    dataBlockSize: blockSize,
    hashBlockSize: blockSize,
    dataBlocks: count,
    hashStartBlock: count,
    algorithm: fc.constantFrom('sha256', 'sha512', 'crc32'),
    rootHash: hex(1),
    salt: hex(0),
    onCorruption: fc.constantFrom('ignore' as const, 'restart' as const, 'panic' as const),
    onError: fc.constantFrom('restart' as const, 'panic' as const),
    ignoreZeroBlocks: flag,
    checkAtMostOnce: flag,
    tryVerifyInTasklet: flag,
    errorCorrection: fc.record({ device, blocks: count, start: count, roots: fc.integer({ min: 2, max: 24 }) }),
    signatureKey: fc.stringMatching(/^[a-z][a-z0-9:_.-]{0,20}$/),
  },
  {
    requiredKeys: [
      ...(['kind', 'length', 'version', 'dataDevice', 'hashDevice', 'dataBlockSize', 'hashBlockSize'] as const),
      ...(['dataBlocks', 'hashStartBlock', 'algorithm', 'rootHash', 'salt'] as const),
    ],
  },
)
const target: fc.Arbitrary<TableTarget> = fc.oneof(
  fc.record({ kind: fc.constant('linear' as const), length, device, start }),
  fc.record({ kind: fc.constant('zero' as const), length }),
  verity,
  fc.record({
    kind: fc.constant('other' as const),
    length,
    type: fc.constantFrom('crypt', 'log-writes', 'error', 'verity', 'linear'),
    parameters: fc.stringMatching(/^(?:aes-xts-plain64 [0-9a-f]{8}|7:0 7:1|)$/),
  }),
)

test('every table comes back as it was, and its targets follow on each other', () => {
  fc.assert(
    // Records of fast-check may lack a prototype.
    fc.property(
      fc.array(target, { maxLength: 8 }).map((targets) => structuredClone(targets)),
      (targets) => {
        const table = formatTable(targets)
        assert.deepEqual(parseTable(table), targets)
        let next = 0
        for (const { startSector, sectorCount } of table) {
          assert.equal(startSector, next)
          next += sectorCount
        }
        assert.equal(
          next * 512,
          targets.reduce((sum, one) => sum + one.length, 0),
        )
      },
    ),
  )
})

const rootHash = 'ab'.repeat(32)
const base = `1 254:0 254:1 4096 4096 2048 1 sha256 ${rootHash} -`

test('lines of the kernel’s documentation and sources', () => {
  const parsed = (type: string, parameters: string) =>
    parseTarget({ startSector: 0, sectorCount: 16, type, parameters })
  assert.deepEqual(parsed('linear', '8:16 2048'), { kind: 'linear', length: 8192, device: '8:16', start: 1048576 })
  assert.deepEqual(parsed('zero', ''), { kind: 'zero', length: 8192 })
  const plain = parsed('verity', base)
  assert.ok(plain.kind === 'verity' && plain.salt === '' && plain.dataBlocks === 2048 && plain.hashStartBlock === 1)
  // Optional parameters come in any order.
  const options = 'check_at_most_once fec_roots 2 use_fec_from_device 254:2 fec_start 8 fec_blocks 9 ignore_corruption'
  assert.deepEqual(parsed('verity', `${base} 10 ${options}`), {
    ...plain,
    checkAtMostOnce: true,
    onCorruption: 'ignore',
    errorCorrection: { device: '254:2', blocks: 9, start: 8, roots: 2 },
  })
})

test('parameters that are not as documented are kept as they are', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['linear', '8:16'],
    ['linear', '8:16 -1'],
    ['linear', '/dev/sda 0'],
    ['linear', '8:16 0 discard'],
    ['linear', `8:16 ${2n ** 64n - 1n}`],
    ['zero', '1'],
    ['verity', base.slice(0, -2)],
    ['verity', base.replace('sha256 ab', 'sha256 xb')],
    ['verity', base.replace('2048', '2048.5')],
    ['verity', `${base} 2 check_at_most_once`],
    ['verity', `${base} 1 check_at_most_twice`],
    ['verity', `${base} 1 root_hash_sig_key_desc`],
    ['verity', `${base} 2 use_fec_from_device 254:2`],
    ['crypt', 'aes-xts-plain64 :32:logon:key 0 8:16 0'],
    ['constructor', ''],
  ]
  for (const [type, parameters] of refused)
    assert.deepEqual(
      parseTarget({ startSector: 8, sectorCount: 2, type, parameters }),
      { kind: 'other', length: 1024, type, parameters },
      `${type} ${parameters}`,
    )
})

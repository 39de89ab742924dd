import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Contents } from '../../lib/build/contents.js'
import { parseDefinition } from '../../lib/build/definitions.js'
import { type Draft, freeLabel } from '../../lib/build/draft.js'
import { layOut } from '../../lib/build/layout.js'
import { distribute } from '../../lib/build/shares.js'
import { newGpt } from '../../lib/gpt/create.js'
import { MiB } from '../support/images.js'

const GiB = 1024 * MiB

test('space is shared out by weights, between minima and maxima, and never more than there is', () => {
  const wish = fc
    .record({
      min: fc.nat(100).map((one) => one * 4096),
      more: fc.nat(1000).map((one) => one * 4096),
      weight: fc.nat(2000),
    })
    .map(({ min, more, weight }) => ({ min, max: min + more, weight }))
  fc.assert(
    fc.property(fc.array(fc.tuple(wish, wish), { minLength: 1, maxLength: 8 }), fc.nat(5000), (wishes, grains) => {
      const claims = wishes.map(([size, padding]) => ({ size, padding, isFixed: false, takesRest: true }))
      const needed = wishes.flat().reduce((sum, { min }) => sum + min, 0)
      const { shares, left } = distribute(needed + grains * 4096, claims, 4096)
      for (const [index, { size, padding }] of shares.entries()) {
        const claim = claims[index]!
        assert.ok(size >= claim.size.min && size <= claim.size.max && size % 4096 === 0)
        assert.ok(padding >= claim.padding.min && padding <= claim.padding.max && padding % 4096 === 0)
      }
      const given = shares.reduce((sum, { size, padding }) => sum + size + padding, 0)
      assert.equal(given + left, needed + grains * 4096)
    }),
  )
})

/** A draft of a definition, as if what it holds had been made. */
function draft(lines: readonly string[], contents: Contents = { kind: 'none' }): Draft {
  const text = ['[Partition]', 'Type=linux-generic', ...lines].join('\n')
  const definition = parseDefinition(text, 'one.conf', { osRelease: new Map(), architecture: 'x86-64' })
  return {
    ...{ definition, there: null, volumeKey: null, label: 'one', uuid: '11111111-2222-4333-8444-555555555555' },
    ...{ contentsPath: 'none', contents, skipped: [] },
  }
}

const file = (size: number): Contents => ({ kind: 'file', path: 'none', size, isTemporary: true })
const pending = (needed: number): Contents => ({
  kind: 'file-system',
  fileSystem: {
    ...{ path: 'none', format: 'ext4', tree: null, label: 'one', uuid: '', epoch: null },
  },
  needed,
})
const smallest = { table: undefined, sectorSize: 512, grain: 4096 }
const disk = (size: number) => ({
  table: newGpt(size, 512, '11111111-2222-4333-8444-555555555555'),
  sectorSize: 512,
  grain: 4096,
})

test('an image is as small as its partitions allow, each as large as what it holds', () => {
  const { placed, size } = layOut(
    [
      draft([]),
      draft([], file(5000)),
      draft(['SizeMinBytes=1'], file(100 * MiB + 1)),
      draft([], pending(34.5 * MiB)),
      draft(['SizeMinBytes=20M'], pending(34.5 * MiB)),
      draft(['SizeMinBytes=1', 'PaddingMinBytes=5000']),
      draft(['SizeMinBytes=1']),
    ],
    smallest,
  )
  assert.deepEqual(
    placed.map((one) => one.size),
    [10 * MiB, 8192, 100 * MiB + 4096, 34.5 * MiB, 20 * MiB, 4096, 4096],
  )
  assert.equal(placed[0]!.runs[0]!.start, MiB)
  assert.equal(placed[6]!.runs[0]!.start, placed[5]!.runs[0]!.start + 4096 + 8192)
  // Behind the last one are 33 sectors of the backup table, and the image is of whole grains.
  const end = placed[6]!.runs[0]!.start + 4096
  assert.equal(size, Math.ceil((end + 33 * 512) / 4096) * 4096)
})

test('a hash partition has room for the tree over the data, whatever size that gets', () => {
  for (const image of [64 * MiB, 3 * GiB, 1024 * GiB]) {
    const { placed } = layOut(
      [
        draft(['Verity=data', 'VerityMatchKey=k'], file(MiB)),
        draft(['Verity=hash', 'VerityMatchKey=k']),
        draft(['Verity=signature', 'VerityMatchKey=k']),
      ],
      disk(image),
    )
    const [data, hash, signature] = placed.map(({ size }) => size) as [number, number, number]
    let blocks = data / 4096
    let tree = 1
    while (blocks > 1) {
      blocks = Math.ceil(blocks / 128)
      tree += blocks
    }
    assert.deepEqual([hash, signature], [tree * 4096, 16384])
    assert.ok(data + hash + signature <= image && data > image * 0.9, String(data))
  }
  // TEST-58 verity_hash_size_from_data_size
  const data = draft(['Verity=data', 'VerityMatchKey=k', 'SizeMaxBytes=10G'], file(MiB))
  for (const [lines, size] of [
    [[], 84_557_824],
    [['Minimize=yes'], 16_384],
  ] as const) {
    const { placed } = layOut([data, draft(['Verity=hash', 'VerityMatchKey=k', ...lines])], smallest)
    assert.equal(placed[1]!.size, size)
  }
  const capped = ['Verity=hash', 'VerityMatchKey=k', 'SizeMaxBytes=8K']
  assert.throws(() => layOut([draft(['Verity=data', 'VerityMatchKey=k'], file(16 * MiB)), draft(capped)], smallest), {
    code: 'ERR_DDI_NO_SPACE',
    message: /the hash tree takes \d+ bytes/,
  })
})

test('dynamic partitions are cut into segments that follow each other', () => {
  const wanted = fc.record({ size: fc.integer({ min: 1, max: 64 * MiB }), most: fc.integer({ min: 1, max: 8 * MiB }) })
  fc.assert(
    fc.property(wanted, ({ size, most }) => {
      const { placed } = layOut([draft(['Dynamic=yes', `MaxSegmentBytes=${most}`], file(size))], smallest)
      const [{ runs, size: whole }] = placed as [(typeof placed)[number]]
      let at = MiB
      for (const { start, length } of runs) {
        assert.ok(start === at && length % 4096 === 0 && length <= Math.ceil(most / 4096) * 4096)
        at += length
      }
      assert.equal(at - MiB, whole)
      assert.ok(whole >= size && whole < size + 4096)
    }),
  )
})

test('what does not fit says which definition', () => {
  assert.throws(() => layOut([draft(['SizeMaxBytes=4K'], file(5000))], smallest), {
    code: 'ERR_DDI_NO_SPACE',
    message: /one\.conf: the contents of the partition take 8192 bytes, and SizeMaxBytes= is 4096/,
  })
  assert.throws(() => layOut([draft(['SizeMinBytes=1G'])], disk(64 * MiB)), {
    code: 'ERR_DDI_NO_SPACE',
  })
})

test('labels are those of the type, numbered if taken', () => {
  const taken = ['root', 'root-2', 'home'].map((label) => ({ label }))
  assert.deepEqual(
    ['root', 'home', 'usr'].map((name) => freeLabel(name, taken)),
    ['root-3', 'home-2', 'usr'],
  )
})

// Every combination of sources reads as the bytes that it stands for, and says where they lie.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatSources } from '../../lib/bytes/concat.js'
import { composeExtents, extentSource, extentTarget, linear, sliceExtents } from '../../lib/bytes/extents.js'
import { createFile, openFile } from '../../lib/bytes/file.js'
import { memorySource, withEndsInMemory } from '../../lib/bytes/memory.js'
import { repeatSource, zeroSource } from '../../lib/bytes/repeat.js'
import { sliceSource } from '../../lib/bytes/slice.js'
import { type Extent, type FileExtent, locate, type Source } from '../../lib/bytes/source.js'
import { temporaryFolder } from '../support/run.js'

/** A source, and the bytes that it has to read as. */
interface Model {
  readonly source: Source
  readonly bytes: Buffer
  /** Its bytes lie in files, as they are. */
  readonly located: boolean
}

/** Sources of all kinds, nested up to three deep, over an open file. */
function models(file: Source, contents: Buffer): fc.Arbitrary<Model> {
  const run = (size: number) =>
    fc.tuple(fc.nat(size), fc.nat(size)).map(([a, b]) => ({ start: Math.min(a, b), length: Math.abs(a - b) }))
  const leaf = fc.oneof(
    fc.constant({ source: file, bytes: contents, located: true }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => ({
      source: memorySource(bytes),
      bytes: Buffer.from(bytes),
      located: false,
    })),
    fc.nat(50).map((size) => ({ source: zeroSource(size), bytes: Buffer.alloc(size), located: true })),
    fc.tuple(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.nat(50)).map(([word, size]) => {
      const pattern = Buffer.alloc(4)
      pattern.writeUInt32LE(word)
      return { source: repeatSource(word, size), bytes: Buffer.alloc(size, pattern), located: false }
    }),
  )
  const level = (below: fc.Arbitrary<Model>): fc.Arbitrary<Model> =>
    fc.oneof(
      below,
      fc.array(below, { maxLength: 5 }).map((parts) => ({
        source: concatSources(parts.map(({ source }) => source)),
        bytes: Buffer.concat(parts.map(({ bytes }) => bytes)),
        located: parts.every(({ located }) => located),
      })),
      below.chain(({ source, bytes, located }) =>
        run(bytes.length).map(({ start, length }) => ({
          source: sliceSource(source, { start, length }),
          bytes: bytes.subarray(start, start + length),
          located,
        })),
      ),
      below.map((model) => ({ ...model, source: withEndsInMemory(model.source, 7), located: false })),
    )
  return level(level(level(leaf)))
}

/** What the kernel has where a source says that its bytes lie. */
function readLocated(extents: readonly FileExtent[]): Buffer {
  return Buffer.concat(
    extents.map((extent) => {
      const bytes = Buffer.alloc(extent.length)
      if (extent.kind === 'linear')
        assert.equal(readSync(extent.base.fd, bytes, 0, extent.length, extent.start), extent.length)
      return bytes
    }),
  )
}

test('combined sources read as their bytes, and lie where they say', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'file')
  const contents = randomBytes(60)
  writeFileSync(path, contents)
  await using file = await openFile(path)
  await fc.assert(
    fc.asyncProperty(models(file, contents), fc.nat(200), fc.nat(200), async ({ source, bytes, located }, a, b) => {
      assert.equal(source.size, bytes.length)
      const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
      const expected = bytes.subarray(start, end)
      assert.deepEqual(Buffer.from(await source.read(start, end - start)), Buffer.from(expected))
      const extents = locate(source, start, end - start)
      if (extents) assert.deepEqual(readLocated(extents), Buffer.from(expected))
      else assert.ok(!located, 'bytes that lie in a file were not located')
    }),
    { numRuns: 500 },
  )
})

test('a read beyond the end is an error', async () => {
  for (const source of [
    memorySource(new Uint8Array(10)),
    zeroSource(10),
    concatSources([zeroSource(4), zeroSource(6)]),
  ]) {
    await assert.rejects(source.read(8, 4), { code: 'ERR_DDI_SHORT_READ' })
    await assert.rejects(source.read(-1, 1), { code: 'ERR_DDI_SHORT_READ' })
    assert.equal((await source.read(10, 0)).length, 0)
  }
})

test('a target of extents writes where its source reads', async () => {
  using folder = temporaryFolder()
  await using file = await createFile(join(folder.path, 'file'), 100)
  const extents = linear([
    { start: 70, length: 10 },
    { start: 5, length: 20 },
  ])
  const target = extentTarget(file, extents)
  const bytes = randomBytes(25)
  await target.write(3, bytes)
  assert.deepEqual(Buffer.from(await target.read(3, 25)), bytes)
  assert.deepEqual(Buffer.from(await file.read(73, 7)), bytes.subarray(0, 7))
  assert.deepEqual(Buffer.from(await file.read(5, 18)), bytes.subarray(7))
  assert.deepEqual(Buffer.from(await file.read(25, 45)), Buffer.alloc(45))
})

test('extents of a volume within a volume are extents of the base', async () => {
  const base = memorySource(randomBytes(100))
  const pieces = fc.array(fc.tuple(fc.boolean(), fc.nat(90), fc.integer({ min: 1, max: 10 })), {
    minLength: 1,
    maxLength: 6,
  })
  const extentsOf = (list: [boolean, number, number][]): Extent[] =>
    list.map(([zero, start, length]) => (zero ? { kind: 'zero', length } : { kind: 'linear', start, length }))
  await fc.assert(
    fc.asyncProperty(pieces, fc.nat(100), fc.nat(100), async (list, a, b) => {
      const outer = extentsOf(list)
      const volume = extentSource(base, outer)
      const [start, end] = [Math.min(a, b, volume.size), Math.min(Math.max(a, b), volume.size)]
      const inner: Extent[] = [{ kind: 'zero', length: 3 }, ...linear([{ start, length: end - start }])]
      const nested = extentSource(volume, inner)
      const composed = extentSource(base, composeExtents(outer, inner))
      assert.deepEqual(
        Buffer.from(await composed.read(0, composed.size)),
        Buffer.from(await nested.read(0, nested.size)),
      )
      const sliced = extentSource(base, sliceExtents(outer, start, end - start))
      assert.deepEqual(
        Buffer.from(await sliced.read(0, sliced.size)),
        Buffer.from(await volume.read(start, end - start)),
      )
    }),
  )
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { encodeSparse, memorySource, openSparse } from '../../lib/android/index.js'
import { DdiError } from '../../lib/index.js'
import { makeFileSystem } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { cli, run, temporaryFolder } from '../support/run.js'

const block = 4096

/** A sparse image by hand, from the description in libsparse's sparse_format.h. */
function assemble(
  chunks: readonly { type: number; blocks: number; data?: Uint8Array }[],
  options: { blocks?: number; checksum?: number } = {},
): Buffer {
  const total = options.blocks ?? chunks.reduce((sum, { blocks }) => sum + blocks, 0)
  const header = Buffer.alloc(28)
  header.writeUInt32LE(0xed26ff3a, 0)
  for (const [index, value] of [1, 0, 28, 12].entries()) header.writeUInt16LE(value, 4 + 2 * index)
  for (const [index, value] of [block, total, chunks.length, options.checksum ?? 0].entries())
    header.writeUInt32LE(value, 12 + 4 * index)
  return Buffer.concat([
    header,
    ...chunks.flatMap(({ type, blocks, data = new Uint8Array() }) => {
      const head = Buffer.alloc(12)
      head.writeUInt16LE(type, 0)
      head.writeUInt32LE(blocks, 4)
      head.writeUInt32LE(12 + data.length, 8)
      return [head, data]
    }),
  ])
}

const word = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

const bytes = randomBytes(2 * block)
const chunks = [
  { type: 0xcac1, blocks: 2, data: bytes },
  { type: 0xcac3, blocks: 1 },
  { type: 0xcac2, blocks: 2, data: word(0x04030201) },
]
const expanded = Buffer.concat([bytes, Buffer.alloc(block), Buffer.alloc(2 * block, Buffer.from([1, 2, 3, 4]))])

test('every kind of chunk, read at any place; checksums in chunks and in the header', async () => {
  const sum = { type: 0xcac4, blocks: 0 }
  const image = assemble(
    [
      ...chunks.slice(0, 1),
      { ...sum, data: word(crc32(bytes)) },
      ...chunks.slice(1),
      { ...sum, data: word(crc32(expanded)) },
    ],
    { checksum: crc32(expanded) },
  )
  const source = await openSparse(memorySource(image))
  assert.equal(source.size, expanded.length)
  await fc.assert(
    fc.asyncProperty(fc.nat(expanded.length), fc.nat(expanded.length), async (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      assert.ok(expanded.subarray(from, to).equals(await source.read(from, to - from)))
    }),
  )
  await source.verify()
  for (const wrong of [assemble(chunks, { checksum: 1 }), assemble([...chunks, { ...sum, data: word(7) }])]) {
    const source = await openSparse(memorySource(wrong))
    await assert.rejects(source.verify(), { code: 'ERR_DDI_SPARSE_CRC' })
  }
  await assert.rejects(source.read(expanded.length, 1), { code: 'ERR_DDI_SHORT_READ' })
})

test('every field at 0, its greatest and the one below, and every truncation: refused, or sense', async () => {
  const clean = assemble(chunks)
  const fields = [...[4, 6, 8, 10].map((at) => [at, 2] as const), ...[12, 16, 20].map((at) => [at, 4] as const)]
  let at = 28
  for (const { data } of chunks) {
    fields.push([at, 2], [at + 4, 4], [at + 8, 4])
    at += 12 + (data?.length ?? 0)
  }
  const open = (image: Buffer) =>
    openSparse(memorySource(image)).then(
      () => undefined,
      (error: unknown) => {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_SPARSE_FORMAT', String(error))
        return error
      },
    )
  for (const [at, length] of fields) {
    for (const value of [0, 256 ** length - 1, 256 ** length - 2]) {
      const image = Buffer.from(clean)
      image.writeUIntLE(value, at, length)
      const error = await open(image)
      // Only the minor version may be anything.
      assert.equal(error === undefined, at === 6 || image.equals(clean), `${value} at ${at}`)
    }
  }
  for (let length = 0; length < clean.length; length += 97) assert.ok(await open(clean.subarray(0, length)))
  const wide = Array.from({ length: 2 }, () => ({ type: 0xcac3, blocks: 2 ** 31 }))
  assert.match(String(await open(assemble(wide, { blocks: 2 ** 32 - 1 }))), /goes to byte/)
})

test('random images: simg2img expands ours, we expand img2simg’s', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const piece = fc.oneof(
    fc.record({ blocks: fc.integer({ min: 1, max: 5 }), fill: fc.constantFrom(0, 0xffffffff, 0x12345678) }),
    fc.record({ blocks: fc.integer({ min: 1, max: 5 }), fill: fc.constant(undefined) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (pieces) => {
      const raw = Buffer.concat(
        pieces.map(({ blocks, fill }) =>
          fill === undefined ? randomBytes(blocks * block) : Buffer.alloc(blocks * block, word(fill)),
        ),
      )
      const target = recordingTarget(Buffer.alloc(raw.length + 4096))
      const length = await encodeSparse(memorySource(raw), target)
      writeFileSync(at('ours.simg'), target.bytes.subarray(0, length))
      run('simg2img', at('ours.simg'), at('ours.img'))
      assert.ok(readFileSync(at('ours.img')).equals(raw))
      writeFileSync(at('raw'), raw)
      run('img2simg', at('raw'), at('theirs.simg'))
      const theirs = await openSparse(memorySource(readFileSync(at('theirs.simg'))))
      assert.ok(raw.equals(await theirs.read(0, theirs.size)))
    }),
    { numRuns: 40 },
  )
})

test('convert expands and makes sparse images; what is malformed leaves no file', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const system = makeFileSystem(folder.path, 'ext4')
  assert.equal(cli('android', 'convert', system, at('ours.simg'), '--sparse').status, 0)
  assert.equal(cli('inspect', at('ours.simg'), '--json=short').status, 0)
  assert.match(cli('inspect', at('ours.simg')).stdout, /ext4/)
  assert.equal(cli('android', 'convert', at('ours.simg'), at('back.img')).status, 0)
  assert.ok(readFileSync(at('back.img')).equals(readFileSync(system)))
  assert.match(cli('android', 'convert', at('ours.simg'), at('back.img')).stderr, /ERR_DDI_EXISTS/)
  assert.match(cli('attach', at('ours.simg')).stderr, /ERR_DDI_SPARSE_ENCODED/)
  assert.match(cli('verify', at('ours.simg'), `--root-hash=${'0'.repeat(64)}`).stderr, /ERR_DDI_/)
  truncateSync(at('ours.simg'), statSync(at('ours.simg')).size - 1)
  const before = readdirSync(folder.path)
  const { status, stderr } = cli('android', 'convert', at('ours.simg'), at('new.img'))
  assert.deepEqual([status, /ERR_DDI_SPARSE_FORMAT/.test(stderr)], [3, true])
  writeFileSync(at('crc.simg'), assemble(chunks, { checksum: 1 }))
  assert.match(cli('android', 'convert', at('crc.simg'), at('new.img')).stderr, /ERR_DDI_SPARSE_CRC/)
  assert.deepEqual(readdirSync(folder.path).sort(), [...before, 'crc.simg'].sort())
})

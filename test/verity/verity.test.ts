import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { addon } from '../../bindings/addon.js'
import {
  type BadBlocks,
  checkRootHash,
  checkTreeFits,
  layoutTree,
  memorySource,
  openFile,
  parseRootHash,
  parseSuperblock,
  readSuperblock,
  rootHashUuids,
  verifyTree,
} from '../../lib/verity/index.js'
import { emptyFile, flipBit, formatVerity } from '../support/images.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

/** Verifies a data file against a hash file, as the library’s users would. */
async function verifyFiles(dataPath: string, hashPath: string, rootHash: string) {
  await using data = await openFile(dataPath)
  await using hash = await openFile(hashPath)
  const superblock = await readSuperblock(hash)
  checkTreeFits(superblock, data.size, hash.size)
  await checkRootHash(superblock, data, hash, parseRootHash(rootHash))
  const bad: BadBlocks[] = []
  const counts = await verifyTree(superblock, data, hash, { onBadBlocks: (one) => bad.push(one) })
  return { ...counts, bad, superblock }
}

test('every SHA-256 implementation is OpenSSL’s, for any salt and block', async () => {
  const names = addon().sha256Implementations()
  assert.equal(names.at(-1), 'portable')
  const arbitrary = fc.record({
    salt: fc.uint8Array({ maxLength: 256 }),
    blockSize: fc.constantFrom(512, 1024, 4096),
    count: fc.integer({ min: 0, max: 5 }),
    seed: fc.nat(255),
  })
  for (const [algorithm, implementation] of [
    ...names.map((name) => ['sha256', name] as const),
    ['sha512', ''] as const,
  ]) {
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ salt, blockSize, count, seed }) => {
        const bytes = Buffer.alloc(blockSize * count).map((_, index) => (index * 7 + seed) & 0xff)
        const digests = await addon().verityHashBlocks(bytes, blockSize, {
          algorithm,
          salt,
          ...(implementation && { implementation }),
        })
        const expected = Array.from({ length: count }, (_, index) =>
          createHash(algorithm)
            .update(salt)
            .update(bytes.subarray(index * blockSize, (index + 1) * blockSize))
            .digest(),
        )
        assert.ok(Buffer.concat(expected).equals(digests))
      }),
      { numRuns: 200 },
    )
  }
})

const formats = [
  [],
  ['--salt=-'],
  ['--hash=sha512'],
  ['--data-block-size=512', '--hash-block-size=512'],
  ['--data-block-size=1024', '--hash-block-size=4096', `--salt=${'ab'.repeat(256)}`],
  ['--data-block-size=4096', '--hash-block-size=1024', '--hash=sha512', '--salt=00'],
  ['--data-block-size=65536', '--hash-block-size=65536'],
]

for (const options of formats) {
  test(`a tree by veritysetup format ${options.join(' ').slice(0, 80)} verifies, and each flipped bit is found`, async () => {
    using folder = temporaryFolder()
    const dataPath = join(folder.path, 'data')
    // Enough blocks for three levels where blocks are small, and a part that repeats.
    writeFileSync(dataPath, Buffer.concat([randomBytes(2 * 1024 * 1024), Buffer.alloc(1024 * 1024)]))
    const { rootHash, hashPath } = formatVerity(dataPath, join(folder.path, 'hash'), ...options)
    const clean = await verifyFiles(dataPath, hashPath, rootHash)
    assert.deepEqual(clean.bad, [])

    const dump = run('veritysetup', 'dump', hashPath)
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(dump)![1]!
    const { superblock } = clean
    assert.equal(superblock.uuid, field('UUID'))
    assert.equal(superblock.algorithm, field('Hash algorithm'))
    assert.equal(String(superblock.dataBlocks), field('Data blocks'))
    assert.equal(String(superblock.dataBlockSize), field('Data block size'))
    assert.equal(String(superblock.hashBlockSize), field('Hash block size'))
    assert.equal(Buffer.from(superblock.salt).toString('hex') || '-', field('Salt'))
    assert.equal(layoutTree(superblock).end, statSync(hashPath).size)

    const { dataBlockSize, hashBlockSize } = superblock
    for (const block of [0, 1, superblock.dataBlocks - 1]) {
      flipBit(dataPath, block * dataBlockSize + 17)
      const { bad } = await verifyFiles(dataPath, hashPath, rootHash)
      assert.deepEqual(bad, [{ level: 'data', first: block, count: 1 }])
      assert.notEqual(attempt('veritysetup', 'verify', dataPath, hashPath, rootHash).status, 0)
      flipBit(dataPath, block * dataBlockSize + 17)
    }
    const bottom = layoutTree(superblock).levels[0]!
    if (layoutTree(superblock).levels.length > 1) {
      flipBit(hashPath, bottom.offset + 3)
      const { bad, badHashBlocks } = await verifyFiles(dataPath, hashPath, rootHash)
      assert.equal(badHashBlocks, 1)
      assert.deepEqual(bad[0], { level: 0, first: bottom.offset / hashBlockSize, count: 1 })
      flipBit(hashPath, bottom.offset + 3)
    }
    assert.equal(attempt('veritysetup', 'verify', dataPath, hashPath, rootHash).status, 0)
  })
}

test('a single data block hashes to the root hash itself', async () => {
  using folder = temporaryFolder()
  const dataPath = join(folder.path, 'data')
  writeFileSync(dataPath, randomBytes(4096))
  const { rootHash, hashPath } = formatVerity(dataPath, join(folder.path, 'hash'))
  assert.deepEqual((await verifyFiles(dataPath, hashPath, rootHash)).bad, [])
  flipBit(dataPath, 99)
  await assert.rejects(verifyFiles(dataPath, hashPath, rootHash), { code: 'ERR_DDI_ROOT_HASH_WRONG' })
})

test('runs of bad blocks are told as runs', async () => {
  using folder = temporaryFolder()
  const dataPath = emptyFile(join(folder.path, 'data'), 40 * 1024 * 1024)
  const { rootHash, hashPath } = formatVerity(dataPath, join(folder.path, 'hash'))
  for (const block of [3, 4, 5, 9, 4095, 4096, 9999]) flipBit(dataPath, block * 4096)
  const { bad, badDataBlocks } = await verifyFiles(dataPath, hashPath, rootHash)
  assert.equal(badDataBlocks, 7)
  assert.deepEqual(
    bad.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index)),
    [3, 4, 5, 9, 4095, 4096, 9999],
  )
  assert.deepEqual(bad[0], { level: 'data', first: 3, count: 3 })
})

test('a superblock with absurd claims is refused', async () => {
  using folder = temporaryFolder()
  const dataPath = emptyFile(join(folder.path, 'data'), 1024 * 1024)
  const { hashPath } = formatVerity(dataPath, join(folder.path, 'hash'))
  const good = readFileSync(hashPath).subarray(0, 512)
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good)
    change(bytes)
    return bytes
  }
  const refused = [
    changed((bytes) => bytes.fill(0, 0, 8)),
    changed((bytes) => bytes.writeUInt32LE(2, 8)),
    changed((bytes) => bytes.writeUInt32LE(0, 12)),
    changed((bytes) => bytes.writeUInt32LE(0, 64)),
    changed((bytes) => bytes.writeUInt32LE(0xffffffff, 64)),
    changed((bytes) => bytes.writeUInt32LE(1000, 68)),
    changed((bytes) => bytes.writeUInt32LE(0x80000000, 68)),
    changed((bytes) => bytes.writeBigUInt64LE(0n, 72)),
    changed((bytes) => bytes.writeBigUInt64LE(2n ** 64n - 1n, 72)),
    changed((bytes) => bytes.writeUInt16LE(257, 80)),
    changed((bytes) => bytes.writeUInt16LE(0xffff, 80)),
  ]
  for (const bytes of refused) assert.throws(() => parseSuperblock(bytes), { code: 'ERR_DDI_VERITY_SUPERBLOCK' })
  for (const name of ['sha1', 'crc32', '', '../../etc'])
    assert.throws(() => parseSuperblock(changed((bytes) => bytes.fill(0, 32, 64).write(name, 32))), {
      code: 'ERR_DDI_VERITY_ALGORITHM',
    })
  await assert.rejects(readSuperblock(memorySource(good.subarray(0, 511))), { code: 'ERR_DDI_VERITY_SUPERBLOCK' })
  const many = parseSuperblock(changed((bytes) => bytes.writeBigUInt64LE(2n ** 40n, 72)))
  assert.throws(() => checkTreeFits(many, 1024 * 1024, 2 ** 50), { code: 'ERR_DDI_VERITY_SUPERBLOCK' })
  assert.throws(() => checkTreeFits(many, 2 ** 53, 1024 * 1024), { code: 'ERR_DDI_VERITY_SUPERBLOCK' })
})

test('root hashes are hexadecimal and of the right length', async () => {
  for (const text of [
    '',
    'xyz',
    'ab',
    `${'a'.repeat(63)}g`,
    'a'.repeat(63),
    'a'.repeat(40),
    'é'.repeat(64),
    'a'.repeat(1e6),
  ])
    assert.throws(() => parseRootHash(text), { code: 'ERR_DDI_ROOT_HASH_FORMAT' })
  assert.deepEqual(rootHashUuids(parseRootHash(` ${'0123456789ABCDEF'.repeat(4)}\n`)), {
    data: '01234567-89ab-cdef-0123-456789abcdef',
    hash: '01234567-89ab-cdef-0123-456789abcdef',
  })
  using folder = temporaryFolder()
  const dataPath = emptyFile(join(folder.path, 'data'), 1024 * 1024)
  const { hashPath } = formatVerity(dataPath, join(folder.path, 'hash'))
  await assert.rejects(verifyFiles(dataPath, hashPath, 'ab'.repeat(64)), { code: 'ERR_DDI_ROOT_HASH_FORMAT' })
  await assert.rejects(verifyFiles(dataPath, hashPath, 'ab'.repeat(32)), { code: 'ERR_DDI_ROOT_HASH_WRONG' })
})

test('a data file that shrinks meanwhile is an error, and so is a stop', async () => {
  using folder = temporaryFolder()
  const dataPath = emptyFile(join(folder.path, 'data'), 64 * 1024 * 1024)
  const { hashPath } = formatVerity(dataPath, join(folder.path, 'hash'))
  await using data = await openFile(dataPath)
  await using hash = await openFile(hashPath)
  const superblock = await readSuperblock(hash)
  const volumes = [data, hash] as const
  await assert.rejects(verifyTree(superblock, ...volumes, { signal: AbortSignal.abort() }), { code: 'ERR_DDI_ABORTED' })
  truncateSync(dataPath, 5000)
  await assert.rejects(verifyTree(superblock, ...volumes), { code: 'ERR_DDI_SHORT_READ' })
})

// dm-verity in user space: what veritysetup's tree covers is handed out, and no other byte.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  checkedSource,
  memorySource,
  openFile,
  parseRootHash,
  readSuperblock,
  type Source,
  verifyTree,
} from '../../lib/verity/index.js'
import { formatVerity } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'

const blocks = 300

/** A data file and veritysetup's tree over it: two levels, so that one of them is checked against another. */
function formatted(folder: string) {
  const data = join(folder, 'data')
  writeFileSync(data, randomBytes(blocks * 4096))
  const { hashPath, rootHash } = formatVerity(data, join(folder, 'hash'))
  return {
    data: readFileSync(data),
    hash: readFileSync(hashPath),
    rootHash: parseRootHash(rootHash),
    dataPath: data,
    hashPath,
  }
}

async function checked(data: Uint8Array, hash: Uint8Array, rootHash: Uint8Array): Promise<Source> {
  const tree = memorySource(hash)
  return await checkedSource(await readSuperblock(tree), memorySource(data), tree, rootHash)
}

test('any range reads as the data; it has no place where it could be read unchecked', async () => {
  using folder = temporaryFolder()
  const { data, hash, rootHash } = formatted(folder.path)
  const source = await checked(data, hash, rootHash)
  assert.equal(source.size, data.length)
  assert.equal(source.where, undefined)
  for (const [offset, length] of [
    [0, 1],
    [4095, 2],
    [0, data.length],
    [data.length - 1, 1],
    [128 * 4096 - 5, 10],
    [77, 0],
  ] as const)
    assert.deepEqual(Buffer.from(await source.read(offset, length)), data.subarray(offset, offset + length))
})

test('a flipped bit anywhere, in the data or in the tree, is never handed out', async () => {
  using folder = temporaryFolder()
  const { data, hash, rootHash } = formatted(folder.path)
  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 0x10
    return copy
  }
  for (const block of [0, 1, 127, 128, blocks - 1]) {
    const source = await checked(flipped(data, block * 4096 + 9), hash, rootHash)
    await assert.rejects(source.read(block * 4096, 1), {
      code: 'ERR_DDI_VERITY_CORRUPT',
      message: new RegExp(`block ${block} `),
    })
    // The other blocks are still good.
    const other = (block + 5) % blocks
    assert.deepEqual(
      Buffer.from(await source.read(other * 4096, 4096)),
      data.subarray(other * 4096, (other + 1) * 4096),
    )
  }
  // The superblock is block 0 of the hash volume, the top of the tree block 1, the level below it follows.
  await assert.rejects(checked(data, flipped(hash, 4096), rootHash), { code: 'ERR_DDI_ROOT_HASH_WRONG' })
  const source = await checked(data, flipped(hash, 2 * 4096 + 32), rootHash)
  await assert.rejects(source.read(0, 1), { code: 'ERR_DDI_VERITY_CORRUPT', message: /hash block 2/ })
  assert.deepEqual(Buffer.from(await source.read(128 * 4096, 1)), data.subarray(128 * 4096, 128 * 4096 + 1))
})

test('a tree in memory is verified as one in files is', async () => {
  using folder = temporaryFolder()
  const { data, hash, dataPath, hashPath } = formatted(folder.path)
  for (const block of [3, 4, 130]) data[block * 4096]! ^= 1
  hash[3 * 4096 + 40]! ^= 1
  writeFileSync(dataPath, data)
  writeFileSync(hashPath, hash)
  const superblock = await readSuperblock(memorySource(hash))
  await using dataFile = await openFile(dataPath)
  await using hashFile = await openFile(hashPath)
  const results = []
  for (const [one, two] of [
    [memorySource(data), memorySource(hash)],
    [dataFile, hashFile],
    [dataFile, memorySource(hash)],
  ] as const) {
    const bad: unknown[] = []
    const counts = await verifyTree(superblock, one, two, { onBadBlocks: (found) => bad.push(found) })
    results.push({ counts, bad })
  }
  assert.deepEqual(results[0]?.counts, { badDataBlocks: 4, badHashBlocks: 1 })
  assert.deepEqual(results[1], results[0])
  assert.deepEqual(results[2], results[0])
})

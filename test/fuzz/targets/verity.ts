import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFile } from '../../../lib/bytes/file.js'
import { memorySource } from '../../../lib/bytes/memory.js'
import { sliceSource } from '../../../lib/bytes/slice.js'
import type { Source, Target as Writable } from '../../../lib/bytes/source.js'
import { newSuperblock, writeTree } from '../../../lib/verity/format.js'
import { checkedSource, layoutTree, readSuperblock, verifyTree } from '../../../lib/verity/index.js'
import type { Target } from '../target.js'

const size = 128 * 1024
const data = Buffer.from(Array.from({ length: size }, (_, index) => (index * 7 + (index >> 9)) & 255))
const uuid = '11111111-1111-4111-8111-111111111111'
const blocks = { salt: new Uint8Array(32).fill(7), uuid, dataBlockSize: 1024, hashBlockSize: 1024 }
const superblock = newSuperblock(size, blocks)
const tree = Buffer.alloc(layoutTree(superblock).end)
const target: Writable = {
  ...memorySource(tree),
  async write(offset, bytes) {
    tree.set(bytes, offset)
  },
  async flush() {},
}
const rootHash = await writeTree(superblock, memorySource(data), target)

/** What is read under a root hash is what the root hash is of, whatever the tree or the data became. */
async function read(data_: Source, hash: Source): Promise<void> {
  const found = await readSuperblock(hash)
  const checked = await checkedSource(found, data_, hash, rootHash)
  for (let at = 0; at < checked.size; at += 16384) {
    const bytes = await checked.read(at, Math.min(16384, checked.size - at))
    assert.ok(Buffer.from(bytes).equals(data.subarray(at, at + bytes.length)), `other bytes at ${at}`)
  }
}

export default {
  // The data, and the tree after it.
  seeds: [Buffer.concat([data, tree])],
  async run(bytes) {
    const path = join(tmpdir(), 'verity')
    writeFileSync(path, bytes)
    await using file = await openFile(path)
    const run = { start: 0, length: Math.min(size, bytes.length) }
    const rest = { start: run.length, length: bytes.length - run.length }
    const inFile = [sliceSource(file, run), sliceSource(file, rest)] as const
    const inMemory = [memorySource(bytes.subarray(0, size)), memorySource(bytes.subarray(size))] as const
    const found = await readSuperblock(inFile[1])
    // By threads in the file, and block by block in memory.
    const said = await verifyTree(found, ...inFile)
    assert.deepEqual(said, await verifyTree(found, ...inMemory))
    await read(...inMemory)
  },
} satisfies Target

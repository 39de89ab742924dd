import assert from 'node:assert/strict'
import { openSparse } from '../../../lib/android/sparse.js'
import { memorySource } from '../../../lib/bytes/memory.js'
import type { Random } from '../random.js'
import type { Target } from '../target.js'

const types = [0xcac1, 0xcac2, 0xcac3, 0xcac4]

function generate(random: Random): Buffer {
  const blockSize = random.of([4, 512, 4096])
  let blocks = 0
  const chunks = Array.from({ length: random.below(12) }, () => {
    const type = random.oneIn(12) ? random.below(65536) : random.of(types)
    const count = type === 0xcac4 ? 0 : random.oneIn(10) ? random.below(2 ** 32) : 1 + random.below(3)
    const data = type === 0xcac1 && count < 100 ? count * blockSize : type === 0xcac3 ? 0 : 4
    blocks += count
    const chunk = Buffer.alloc(12 + data, random.below(256))
    chunk.writeUInt16LE(type, 0)
    chunk.writeUInt32LE(count, 4)
    chunk.writeUInt32LE(random.oneIn(20) ? random.below(2 ** 32) : chunk.length, 8)
    return chunk
  })
  const header = Buffer.alloc(28)
  header.writeUInt32LE(0xed26ff3a, 0)
  header.writeUInt16LE(1, 4)
  header.writeUInt16LE(28, 8)
  header.writeUInt16LE(12, 10)
  header.writeUInt32LE(blockSize, 12)
  header.writeUInt32LE(Math.min(blocks, 2 ** 32 - 1), 16)
  header.writeUInt32LE(chunks.length, 20)
  return Buffer.concat([header, ...chunks])
}

export default {
  seeds: [],
  generate,
  async run(bytes) {
    const source = await openSparse(memorySource(bytes))
    const at = Math.floor(source.size / 3)
    for (const start of [0, at, Math.max(0, source.size - 65536)]) {
      const length = Math.min(65536, source.size - start)
      assert.equal((await source.read(start, length)).length, length)
    }
    for (const { start, length } of source.written) assert.ok(start >= 0 && start + length <= source.size)
    if (source.size < 2 ** 24) await source.verify()
  },
} satisfies Target

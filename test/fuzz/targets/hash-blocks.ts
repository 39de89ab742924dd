import { openSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addon, type Located } from '../../../bindings/addon.js'
import { DdiError } from '../../../lib/errors.js'
import { randomFrom } from '../random.js'
import type { Target } from '../target.js'

const path = join(tmpdir(), 'blocks')
const size = 300_000
writeFileSync(path, Buffer.alloc(size, 'ddi'))
const fd = openSync(path, 'r')

/** Hashing where bytes lie: any extents and block sizes that a plan may have, also beyond the end of the file. */
export default {
  seeds: [],
  generate: (random) => random.bytes(4),
  async run(bytes) {
    const random = randomFrom(Buffer.concat([bytes], 4).readInt32LE())
    const base = { path, fd, kind: 'file' as const, size }
    const located = (): Located =>
      Array.from({ length: 1 + random.below(5) }, () =>
        random.oneIn(4)
          ? { kind: 'zero' as const, length: 1 + random.below(100_000) }
          : { kind: 'linear' as const, base, start: random.below(size), length: 1 + random.below(size) },
      )
    const blockSize = 512 << random.below(11)
    const hash = { algorithm: random.of(['sha256', 'sha512'] as const), salt: random.bytes(random.below(257)) }
    const blocks = { ...hash, blocks: located(), blockSize, count: random.below(60) }
    try {
      if (random.oneIn(2)) await addon().verityDigestBlocks(blocks)
      else
        await addon().verityCheckBlocks({
          ...blocks,
          digests: located(),
          digestBlockSize: 512 << random.below(11),
          firstDigest: random.below(100),
        })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENODATA') throw error
      throw new DdiError('ERR_DDI_SHORT_READ', 'the file ends before')
    }
  },
} satisfies Target

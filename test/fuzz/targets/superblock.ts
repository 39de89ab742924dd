import { memorySource } from '../../../lib/bytes/memory.js'
import { claimOfFileSystem } from '../../../lib/disk/claimed-size.js'
import { newSuperblock } from '../../../lib/verity/format.js'
import {
  checkRootHash,
  checkTreeFits,
  encodeSuperblock,
  layoutTree,
  parseSuperblock,
} from '../../../lib/verity/index.js'
import type { Target } from '../target.js'

const uuid = '11111111-1111-4111-8111-111111111111'

export default {
  seeds: (['sha256', 'sha512'] as const).map((algorithm) =>
    encodeSuperblock(newSuperblock(303_104, { algorithm, salt: new Uint8Array(32).fill(7), uuid })),
  ),
  async run(bytes) {
    const hash = memorySource(Buffer.concat([bytes], Math.max(bytes.length, 8192)))
    await claimOfFileSystem(hash)
    const superblock = parseSuperblock(await hash.read(0, 512))
    layoutTree(superblock)
    checkTreeFits(superblock, 303_104, hash.size)
    await checkRootHash(superblock, memorySource(Buffer.alloc(303_104)), hash, new Uint8Array(32))
  },
} satisfies Target

import { probeBytes } from '../../../bindings/blkid.js'
import { memorySource } from '../../../lib/bytes/memory.js'
import { claimOfFileSystem } from '../../../lib/disk/claimed-size.js'
import type { Target } from '../target.js'

/** Superblocks that libblkid looks at, by their magic numbers and where they are. */
const magics: readonly (readonly [number, Buffer])[] = [
  [1024 + 56, Buffer.from('53ef', 'hex')],
  [1024, Buffer.from('e2e1f5e0', 'hex')],
  [0, Buffer.from('hsqs')],
  [0, Buffer.from('XFSB')],
  [65536 + 64, Buffer.from('_BHRfS_M')],
  [0, Buffer.from('LUKS\xba\xbe\0\x02', 'latin1')],
  [510, Buffer.from('55aa', 'hex')],
  [82, Buffer.from('FAT32   ')],
  [4086, Buffer.from('SWAPSPACE2')],
  [1024, Buffer.from('1020f5f2', 'hex')],
  [0, Buffer.from('verity\0\0')],
  [512, Buffer.from('LABELONE')],
  [0x8001, Buffer.from('CD001')],
]

export default {
  seeds: magics.map(([at, magic]) => {
    const bytes = Buffer.alloc(68 * 1024)
    magic.copy(bytes, at)
    return bytes
  }),
  async run(bytes) {
    if (bytes.length < 512) return
    for (const size of [bytes.length, 64 * 1024 * 1024]) probeBytes(bytes, 'x', size)
    await claimOfFileSystem(memorySource(bytes))
  },
} satisfies Target

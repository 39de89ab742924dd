import { memorySource } from '../../../lib/bytes/memory.js'
import { isEncrypted } from '../../../lib/image/luks.js'
import type { Target } from '../target.js'

const metadata = {
  keyslots: { 0: { type: 'luks2', area: { type: 'raw', encryption: 'aes-xts-plain64' } } },
  segments: { 0: { type: 'crypt', encryption: 'aes-xts-plain64' } },
}

function header(magic: string, version: number, text: string): Buffer {
  const bytes = Buffer.alloc(16384)
  bytes.write(magic, 'latin1')
  bytes.writeUInt16BE(version, 6)
  bytes.write(text, version === 1 ? 8 : 4096, 'latin1')
  return bytes
}

const two = ['LUKS\xba\xbe', 'SKUL\xba\xbe'].map((magic) => header(magic, 2, JSON.stringify(metadata)))

export default {
  seeds: [Buffer.concat(two), header('LUKS\xba\xbe', 1, 'aes')],
  words: ['"linear"', '"cipher_null-ecb"', '[', '{"segments":', 'null'],
  large: [
    () => {
      const deep = Buffer.alloc(8 * 1024 * 1024, '[')
      for (const [index, one] of two.entries()) one.copy(deep, index * 16384, 0, 4096)
      deep[4096 + 200_000] = 0
      return deep
    },
  ],
  async run(bytes) {
    await isEncrypted(memorySource(bytes))
  },
} satisfies Target

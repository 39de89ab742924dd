import { execFileSync } from 'node:child_process'
import { gzipSync } from 'node:zlib'
import { decompress } from '../../../lib/pull/decompress.js'
import { detectCompression, refuseForeign } from '../../../lib/pull/formats.js'
import { randomFrom } from '../random.js'
import type { Target } from '../target.js'

const raw = Buffer.concat([Buffer.alloc(200_000), Buffer.from('ddi '.repeat(1000))])
const packedBy = (tool: string, ...args: readonly string[]) => execFileSync(tool, [...args, '-c'], { input: raw })
/** A pull stops at a size that its caller gives. */
const most = 16 * 1024 * 1024

export default {
  seeds: [
    gzipSync(raw),
    packedBy('xz'),
    packedBy('xz', '--block-size=65536', '-T2'),
    packedBy('zstd', '-q'),
    packedBy('lz4', '-q'),
    packedBy('xz', '--format=lzma'),
  ],
  async run(bytes) {
    const random = randomFrom(bytes.length)
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + random.below(2000)
        yield [bytes.subarray(at, at + length)]
        at += length
      }
    }
    refuseForeign(new URL('file:///x.raw'), bytes)
    let size = 0
    for await (const batch of decompress(pieces(), detectCompression(bytes))) {
      for (const { length } of batch) size += length
      if (size > most) return
    }
  },
} satisfies Target

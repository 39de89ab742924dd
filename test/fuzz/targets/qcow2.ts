import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memorySource } from '../../../lib/bytes/memory.js'
import { openQcow2 } from '../../../lib/pull/qcow2.js'
import type { Target } from '../target.js'

/** A pull stops at a size that its caller gives. */
const most = 16 * 1024 * 1024

function made(...options: readonly string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'ddi-fuzz-'))
  try {
    const [raw, image] = [join(folder, 'raw'), join(folder, 'image')]
    writeFileSync(raw, Buffer.concat([Buffer.alloc(5000), Buffer.from('ddi '.repeat(1000)), Buffer.alloc(4000)]))
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, image])
    return readFileSync(image)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export default {
  seeds: [
    made('-o', 'cluster_size=512'),
    made('-c', '-o', 'cluster_size=512'),
    made('-c', '-o', 'cluster_size=4096,compression_type=zstd'),
    made('-o', 'cluster_size=512,compat=0.10'),
  ],
  async run(bytes) {
    const image = await openQcow2(memorySource(bytes))
    if (image.size > most) return
    let size = 0
    for await (const batch of image.bytes()) for (const { length } of batch) size += length
    if (size !== image.size) throw new Error(`${size} of ${image.size} bytes came`)
  },
} satisfies Target

import { createHash } from 'node:crypto'
import { isSuper, memorySource, readSuper } from '../../../lib/android/index.js'
import { withSlotSuffixes } from '../../../lib/android/metadata.js'
import { logicalVolumes } from '../../../lib/disk/logical.js'
import { assembleSuper, superDisk } from '../../support/super.js'
import type { Random } from '../random.js'
import { checkDisjoint, checkVolumes } from '../tables.js'
import type { Target } from '../target.js'

const odd = (random: Random) => random.of([0, 1, 2, 3, 8, 2 ** 31, 2 ** 32 - 1])
const sectors = (random: Random) =>
  random.oneIn(4) ? random.of([0n, 1n, 2n ** 32n, 2n ** 54n, 2n ** 64n - 1n]) : 8n * BigInt(random.below(64))

function generate(random: Random): Buffer {
  const many = <Row>(row: (index: number) => Row) => Array.from({ length: random.below(5) }, (_, index) => row(index))
  const index = (random_: Random) => (random_.oneIn(6) ? odd(random_) : random_.below(3))
  const extents = many(() => ({
    sectors: sectors(random),
    type: random.oneIn(8) ? odd(random) : random.below(2),
    data: random.oneIn(8) ? sectors(random) : 128n + 8n * BigInt(random.below(40)),
    source: random.oneIn(6) ? odd(random) : 0,
  }))
  return assembleSuper({
    metadataSize: 4096,
    slots: 2,
    blockSize: random.of([512, 4096]),
    header: { minor: random.below(3), length: random.of([128, 256]), flags: random.below(2) },
    partitions: many((n) => ({
      name: random.oneIn(8) ? '' : `p${random.oneIn(6) ? 0 : n}`,
      attributes: random.below(16),
      first: index(random),
      count: index(random),
      group: index(random),
    })),
    extents,
    groups: [
      { name: 'default', flags: 0, maximum: 0n },
      ...many((n) => ({ name: `g${n}`, flags: random.below(2), maximum: sectors(random) })),
    ],
    devices: [{ first: 128n, alignment: 4096, offset: 0, size: 262_144n, name: 'super', flags: random.below(2) }],
  })
}

/** Partitions that share one range of zero extents: who copies them has as many as both multiplied. */
function bomb(partitions: number, extents: number): Buffer {
  const length = 128 + partitions * 52 + extents * 24 + 48 + 64
  const metadataSize = Math.ceil(length / 4096) * 4096
  const size = 12288 + 2 * metadataSize + 4096
  return assembleSuper({
    ...{ metadataSize, slots: 1, blockSize: 4096, header: { minor: 0, length: 128 } },
    partitions: Array.from({ length: partitions }, (_, n) => ({
      ...{ name: `p${n}`, attributes: 0, first: 0, count: extents, group: 0 },
    })),
    extents: Array.from({ length: extents }, () => ({ sectors: 8n, type: 1, data: 0n, source: 0 })),
    groups: [{ name: 'default', flags: 0, maximum: 0n }],
    devices: [
      {
        ...{ first: BigInt((12288 + 2 * metadataSize) / 512), alignment: 4096, offset: 0 },
        ...{ size: BigInt(size), name: 'super', flags: 0 },
      },
    ],
  })
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

function sealPart(bytes: Buffer, start: number, length: number, at: number): void {
  bytes.fill(0, start + at, start + at + 32)
  sha256(bytes.subarray(start, start + length)).copy(bytes, start + at)
}

function mend(bytes: Buffer): void {
  if (bytes.length < 12288) return
  for (const at of [4096, 8192]) sealPart(bytes, at, 52, 8)
  const [size, slots] = [bytes.readUInt32LE(4136), Math.min(bytes.readUInt32LE(4140), 4)]
  for (let copy = 0; copy < 2 * slots; copy++) {
    const at = 12288 + copy * size
    if (at + 256 > bytes.length) return
    const [header, tables] = [bytes.readUInt32LE(at + 8), bytes.readUInt32LE(at + 44)]
    if (header > 256 || at + header + tables > bytes.length) continue
    sha256(bytes.subarray(at + header, at + header + tables)).copy(bytes, at + 48)
    sealPart(bytes, at, header, 12)
  }
}

export default {
  seeds: [superDisk(128 * 1024)],
  large: [() => bomb(20_000, 200_000), () => bomb(1, 200_000), () => bomb(50_000, 1)],
  generate,
  mend,
  async run(bytes) {
    const source = memorySource(bytes)
    if (!(await isSuper(source))) return
    for (const slot of [0, 1]) {
      const metadata = withSlotSuffixes((await readSuper(source, slot)).metadata, slot)
      const sizes = metadata.devices.map(({ size }) => size)
      const volumes = logicalVolumes(
        metadata,
        sizes.map((size) => ({ path: 'x', size })),
      )
      checkVolumes(
        volumes,
        sizes.reduce((sum, size) => sum + size, 0),
      )
      checkDisjoint(volumes)
    }
  },
} satisfies Target

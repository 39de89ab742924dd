import { memorySource } from '../../../lib/bytes/memory.js'
import { imageOn } from '../../../lib/image/open.js'
import { makeDisk } from '../../support/gpt.js'
import { superDisk } from '../../support/super.js'
import type { Random } from '../random.js'
import { bombs, checkVolumes, randomDisk, sealBoth } from '../tables.js'
import type { Target } from '../target.js'

// The type UUID of docs/nested-tables.md as a GPT stores it.
const nestedType = Buffer.from('83a96a544a5c3f4c9f80ecf5ed9983d9', 'hex')

/** A disk with a table in a partition, and another in one of that. */
function nest(inner: Buffer, label: string): Buffer {
  const sectors = Math.ceil(inner.length / 512)
  const entry = {
    type: nestedType,
    uuid: new Uint8Array(16).fill(sectors),
    first: 8n,
    last: BigInt(7 + sectors),
    label,
  }
  const disk = makeDisk({ sectorSize: 512, sectors: sectors + 24, entryCount: 4, entries: [entry] })
  inner.copy(disk, 8 * 512)
  return disk
}

function generate(random: Random): Buffer {
  const inner = random.oneIn(3) ? superDisk(256 * 1024) : randomDisk(random)
  let disk = inner
  for (let depth = 1 + random.below(6); depth > 0; depth--) disk = nest(disk, random.of(['', 'super']))
  return disk
}

export default {
  seeds: [nest(superDisk(256 * 1024), 'super')],
  generate,
  large: bombs.slice(2, 3),
  mend: sealBoth,
  async run(bytes) {
    await using image = await imageOn(memorySource(bytes), { name: 'image', nested: true })
    checkVolumes(image.volumes, bytes.length)
  },
} satisfies Target

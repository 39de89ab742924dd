import assert from 'node:assert/strict'
import { addon } from '../../../bindings/addon.js'
import { memorySource, scanGpt } from '../../../lib/gpt/index.js'
import { remainsOf } from '../../../lib/gpt/remains.js'
import { makeDisk } from '../../support/gpt.js'
import { bombs, randomDisk, sealBoth } from '../tables.js'
import type { Target } from '../target.js'

const entry = (first: bigint, last: bigint) => ({
  type: new Uint8Array(16).fill(0xa5),
  uuid: new Uint8Array(16).fill(Number(first)),
  first,
  last,
  // The second half of a surrogate pair, alone.
  label: 'pärt\udc00',
})

export default {
  seeds: [512, 1024, 2048, 4096].map((sectorSize) =>
    makeDisk({ sectorSize, sectors: 24, entryCount: 4, entries: [entry(5n, 8n), entry(9n, 12n), entry(15n, 15n)] }),
  ),
  generate: randomDisk,
  large: bombs.slice(0, 2),
  mend: sealBoth,
  async run(bytes) {
    const remains = await remainsOf(memorySource(bytes))
    for (const { start, length } of remains?.misplaced.map(({ partition }) => partition) ?? [])
      assert.ok(start >= 0 && length >= 0 && start + length <= bytes.length)
    // Both readers say the same.
    assert.deepEqual(addon().scanPartitionsInBytes(bytes), await scanGpt(memorySource(bytes)))
  },
} satisfies Target

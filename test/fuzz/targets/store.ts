import assert from 'node:assert/strict'
import { storedLayout } from '../../../lib/store/layout.js'
import { makeDisk } from '../../support/gpt.js'
import { bombs, randomDisk, sealBoth } from '../tables.js'
import type { Target } from '../target.js'

const entry = (first: bigint, last: bigint) => ({
  type: new Uint8Array(16).fill(0xa5),
  uuid: new Uint8Array(16).fill(Number(first)),
  first,
  last,
})

/** The beginning of an image, of which a store decides how much it takes. */
export default {
  seeds: [512, 4096].map((sectorSize) =>
    makeDisk({ sectorSize, sectors: 64, entryCount: 4, entries: [entry(16n, 23n), entry(32n, 39n)] }),
  ),
  generate: randomDisk,
  large: bombs.slice(0, 2),
  mend: sealBoth,
  async run(bytes) {
    const { table, dataEnd, size, writes } = await storedLayout(bytes)
    assert.ok(Number.isSafeInteger(size) && size % 4096 === 0 && dataEnd < size)
    for (const { start, length } of table.partitions) assert.ok(start + length <= dataEnd)
    for (const { offset, bytes } of writes) {
      assert.ok(offset >= 0 && offset + bytes.length <= size)
      // The tables lie before the partitions or behind them.
      for (const { start, length } of table.partitions)
        assert.ok(offset + bytes.length <= start || offset >= start + length)
    }
  },
} satisfies Target

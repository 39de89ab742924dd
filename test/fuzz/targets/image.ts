import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { extentSource } from '../../../lib/bytes/extents.js'
import { memorySource } from '../../../lib/bytes/memory.js'
import type { Target as Writable } from '../../../lib/bytes/source.js'
import { dissect, openImage, plan } from '../../../lib/index.js'
import { newSuperblock, writeTree } from '../../../lib/verity/format.js'
import { checkedSource, layoutTree, rootHashUuids } from '../../../lib/verity/index.js'
import { makeDisk } from '../../support/gpt.js'
import { typeUuids } from '../../support/images.js'
import { sealBoth, stored } from '../tables.js'
import type { Target } from '../target.js'

const data = Buffer.alloc(64 * 1024, 'hsqs a root file system')
const superblock = newSuperblock(data.length, {
  salt: new Uint8Array(32).fill(7),
  uuid: '11111111-1111-4111-8111-111111111111',
})
const tree = Buffer.alloc(layoutTree(superblock).end)
const target: Writable = {
  ...memorySource(tree),
  async write(offset, bytes) {
    tree.set(bytes, offset)
  },
  async flush() {},
}
const rootHash = await writeTree(superblock, memorySource(data), target)
const uuids = rootHashUuids(rootHash)
const entries = [
  { type: stored(typeUuids.root), uuid: stored(uuids.data), first: 8n, last: 135n, label: 'os_1' },
  { type: stored(typeUuids.rootVerity), uuid: stored(uuids.hash), first: 136n, last: 151n, label: 'os_1' },
  { type: stored(typeUuids.usr), uuid: stored('22222222-2222-4222-8222-222222222222'), first: 152n, last: 159n },
  { type: stored(typeUuids.home), uuid: stored('33333333-3333-4333-8333-333333333333'), first: 160n, last: 167n },
]
const image = makeDisk({ sectorSize: 512, sectors: 192, entryCount: 8, entries: entries.toSpliced(2, 1) })
data.copy(image, 8 * 512)
tree.copy(image, 136 * 512)
const withUsr = makeDisk({ sectorSize: 512, sectors: 192, entryCount: 8, entries })
image.copy(withUsr, 8 * 512, 8 * 512, 160 * 512)

/** An image whose root hash is known, from its table to the plan. */
export default {
  seeds: [image, withUsr],
  mend: sealBoth,
  async run(bytes) {
    const path = join(tmpdir(), 'image.raw')
    writeFileSync(path, bytes)
    await using opened = await openImage(path)
    const options = { rootHash: Buffer.from(rootHash).toString('hex'), architectures: ['x86-64'], certificates: [] }
    const dissection = await dissect(opened, options)
    for (const { designator, verified } of plan(dissection).volumes)
      assert.ok(verified || (designator !== 'root' && designator !== 'usr'), `${designator} is not covered`)
    const root = dissection.verity.get('root')
    assert.ok(root?.trusted)
    const bytesOfRoot = extentSource(opened.source, root.data.extents)
    const source = await checkedSource(root.superblock, bytesOfRoot, root.hash.source, rootHash)
    const read = await source.read(0, source.size)
    assert.ok(data.subarray(0, read.length).equals(read), 'other bytes than the root hash is of')
  },
} satisfies Target

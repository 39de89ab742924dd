// Tables that are legal and as large as they get: what is made of them takes time linear in their size.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { composeExtents } from '../../lib/bytes/extents.js'
import { extensionTypeUuid, extensionUuid } from '../../lib/disk/chain.js'
import { tableVolumes } from '../../lib/disk/partition.js'
import { encodeNewDisk } from '../../lib/gpt/create.js'
import { type Gpt, type Partition, partitionAttributes } from '../../lib/gpt/table.js'
import { dissect } from '../../lib/image/dissect.js'
import { openImage } from '../../lib/image/open.js'
import { emptyFile, typeUuids, writeAt } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'

const most = 32768
const half = most / 2
const same = randomUUID()

async function timed(work: () => unknown): Promise<number> {
  const { user, system } = process.cpuUsage()
  await work()
  const used = process.cpuUsage({ user, system })
  return (used.user + used.system) / 1000
}

function table(partition: (index: number) => Partial<Partition>): Gpt {
  const partitions = Array.from({ length: most }, (_, index) => ({
    number: index + 1,
    typeUuid: typeUuids.linuxGeneric,
    uuid: same,
    start: (index + 2) * 4096,
    length: 4096,
    attributes: 0n,
    label: '',
    ...partition(index),
  }))
  const usable = { usableStart: 8192, usableEnd: (most + 2) * 4096 }
  return { sectorSize: 4096, uuid: same, entrySize: 128, entryCount: most, ...usable, partitions }
}

const attributes = partitionAttributes.continued
const tables: Readonly<Record<string, () => Gpt>> = {
  'partitions with a UUID each': () => table(() => ({ uuid: randomUUID() })),
  'partitions of one UUID': () => table(() => ({})),
  'heads that all continue in the same extensions': () =>
    table((index) =>
      index < half
        ? { attributes }
        : { attributes, typeUuid: extensionTypeUuid, uuid: extensionUuid(same, index - half + 1) },
    ),
  'heads of one UUID, of which the later ones continue': () => table((index) => (index < half ? {} : { attributes })),
  'one chain of all': () =>
    table((index) =>
      index === 0 ? { attributes } : { attributes, typeUuid: extensionTypeUuid, uuid: extensionUuid(same, index) },
    ),
}

for (const [kind, make] of Object.entries(tables))
  test(`the largest table: ${kind}`, async () => {
    const made = make()
    assert.ok((await timed(() => tableVolumes(made))) < 2000)
  })

test('the largest table, each of its volumes probed for a file system', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const size = (most + 4096) * 4096
  emptyFile(path, size)
  const made = table((index) => ({ uuid: randomUUID(), start: (index + 2048) * 4096 }))
  const usable = { usableStart: 2048 * 4096, usableEnd: (most + 2048) * 4096 }
  for (const { offset, bytes } of encodeNewDisk({ ...made, ...usable }, size)) writeAt(path, offset, bytes)
  writeAt(path, (7 + 2048) * 4096, Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'))
  await using image = await openImage(path)
  const types = (await dissect(image)).volumes.map(({ fileSystem }) => fileSystem?.type ?? null)
  assert.equal(types.length, most)
  assert.deepEqual([types.indexOf('crypto_LUKS'), types.filter((type) => type !== null).length], [7, 1])
})

test('the largest table in the longest chain', async () => {
  const outer = Array.from({ length: most }, (_, index) => ({
    kind: 'linear' as const,
    start: index * 8192,
    length: 4096,
  }))
  const took = await timed(() => {
    for (let index = 0; index < most; index++) {
      const [found] = composeExtents(outer, [{ kind: 'linear', start: index * 4096, length: 4096 }])
      assert.ok(found?.kind === 'linear' && found.start === index * 8192)
    }
  })
  assert.ok(took < 2000)
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { backupLength, encodeNewDisk, newGpt } from '../../lib/gpt/create.js'
import { type Gpt, memorySource, type Partition, readGpt } from '../../lib/gpt/index.js'
import { MiB, typeUuids } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

const size = 16 * MiB
const partition = (more: Partial<Partition> = {}): Partition => ({
  number: 1,
  typeUuid: typeUuids.home,
  uuid: randomUUID(),
  start: MiB,
  length: 2 * MiB,
  attributes: 0n,
  label: 'home',
  ...more,
})
const table = (more: Partial<Gpt> = {}): Gpt => ({ ...newGpt(size, 512, randomUUID(), [partition()]), ...more })

test('a new table of every sector size reads back as it was, and sgdisk finds no problem in it', async () => {
  using folder = temporaryFolder()
  for (const sectorSize of [512, 1024, 2048, 4096]) {
    const made = newGpt(size, sectorSize, randomUUID(), [partition(), partition({ number: 7, start: 8 * MiB })])
    const disk = Buffer.alloc(size)
    for (const { offset, bytes } of encodeNewDisk(made, size)) disk.set(bytes, offset)
    const { table, problems } = await readGpt(memorySource(disk))
    assert.deepEqual([table, problems], [made, []])
    assert.equal(size - table.usableEnd, backupLength(sectorSize))
    if (sectorSize !== 512) continue
    writeFileSync(join(folder.path, 'disk'), disk)
    assert.match(run('sgdisk', '--verify', join(folder.path, 'disk')), /No problems found/)
  }
})

test('other sector sizes are wrong usage', () => {
  for (const sectorSize of [256, 8192, 0, -512, 513, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => newGpt(size, sectorSize, randomUUID()), { code: 'ERR_DDI_USAGE', message: /sector size/ })
    assert.throws(() => backupLength(sectorSize), { code: 'ERR_DDI_USAGE' })
    assert.throws(() => encodeNewDisk(table({ sectorSize }), size), { code: 'ERR_DDI_USAGE' })
  }
})

test('what no table can say is refused before anything is encoded', () => {
  const refused: [Partial<Gpt>, string][] = [
    [{ entrySize: 192 }, 'ERR_DDI_USAGE'],
    [{ entryCount: 0 }, 'ERR_DDI_USAGE'],
    [{ entryCount: 2.5 }, 'ERR_DDI_USAGE'],
    [{ entryCount: 2 ** 30 }, 'ERR_DDI_USAGE'],
    [{ usableStart: MiB + 1 }, 'ERR_DDI_GPT_ARRAY_RANGE'],
    [{ usableStart: 1024 }, 'ERR_DDI_GPT_ARRAY_RANGE'],
    [{ usableEnd: size }, 'ERR_DDI_GPT_ARRAY_RANGE'],
    [{ uuid: 'none' }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ number: 129 })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ number: 0 })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition(), partition({ start: 8 * MiB })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ start: MiB + 100 })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ length: 0 })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ length: Number.NaN })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ start: 0 })] }, 'ERR_DDI_GPT_ENTRY_RANGE'],
    [{ partitions: [partition({ length: size })] }, 'ERR_DDI_GPT_ENTRY_RANGE'],
    [{ partitions: [partition({ attributes: 2n ** 64n })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ uuid: 'none' })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ label: 'a'.repeat(37) })] }, 'ERR_DDI_USAGE'],
    [{ partitions: [partition({ label: 'a\0b' })] }, 'ERR_DDI_USAGE'],
  ]
  for (const [more, code] of refused)
    assert.throws(
      () => encodeNewDisk(table(more), size),
      { code },
      JSON.stringify(more, (_, one) => `${one}`),
    )
  assert.throws(() => encodeNewDisk(table(), Number.NaN), { code: 'ERR_DDI_USAGE' })
})

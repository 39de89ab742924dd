// Partition nodes by our own scan, on kernels with and without a GPT scan of their own: these tests need loop devices only.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { addPartitionNodes, removePartitionNodes } from '../../../lib/index.js'
import { attachLoop } from '../../../lib/kernel/loop.js'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../../support/images.js'
import { run, temporaryFolder } from '../../support/run.js'

test('partition nodes appear by BLKPG, where the table says', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const starts = makeGptImage(path, 16 * MiB, [
    { type: typeUuids.root, size: 2 * MiB },
    { type: typeUuids.home, size: 3 * MiB },
  ])
  await using loop = await attachLoop({
    backing: path,
    readOnly: true,
    sectorSize: 512,
    reference: 'ddi:partitions',
    partitionScan: true,
  })
  assert.deepEqual(await addPartitionNodes(loop.device), [1, 2])
  // Once more is no error: they are there.
  assert.deepEqual(await addPartitionNodes(loop.device), [1, 2])
  for (const [index, size] of [2 * MiB, 3 * MiB].entries()) {
    const node = `${loop.device}p${index + 1}`
    const sysfs = (name: string) => Number(run('cat', `/sys/class/block/${node.slice(5)}/${name}`))
    assert.equal(sysfs('start') * 512, starts[index])
    assert.equal(sysfs('size') * 512, size)
    assert.equal(run('blockdev', '--getsize64', node).trim(), String(size))
  }
  await removePartitionNodes(loop.device, [1, 2, 3])
  assert.ok(!existsSync(`/sys/class/block/${loop.device.slice(5)}p1`))
})

test('a device without a table is refused, and so is none', async () => {
  using folder = temporaryFolder()
  const path = emptyFile(join(folder.path, 'zero'), MiB)
  await using loop = await attachLoop({ backing: path, readOnly: true, sectorSize: 512, reference: 'ddi:none' })
  await assert.rejects(addPartitionNodes(loop.device), { code: 'ERR_DDI_NO_TABLE' })
  await assert.rejects(addPartitionNodes('/dev/loop-missing'), { code: 'ERR_DDI_NOT_FOUND' })
})

// Partition nodes by our own scan, on kernels with and without a GPT scan of their own: these tests need loop devices only.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { addPartitionNodes, removePartitionNodes } from '../../../lib/index.js'
import { attachLoop } from '../../../lib/kernel/loop.js'
import { partitionChanges } from '../../../lib/kernel/partitions.js'
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

/** Partitions that do not overlap: each after the one before it, in any order of their numbers. */
const partitions = fc
  .array(
    fc.record({ number: fc.integer({ min: 1, max: 6 }), gap: fc.nat(3), length: fc.integer({ min: 1, max: 4 }) }),
    {
      maxLength: 6,
    },
  )
  .map((pieces) => {
    let end = 0
    return pieces.map(({ number, gap, length }) => {
      const start = end + gap
      end = start + length
      return { number, start: start * 512, length: length * 512 }
    })
  })
  .map((runs) => runs.filter(({ number }, index) => runs.findIndex((other) => other.number === number) === index))

test('the kernel’s partitions become those of any table, and no two ever overlap', () => {
  fc.assert(
    fc.property(partitions, partitions, (present, wanted) => {
      const kernel = new Map(present.map((one) => [one.number, one]))
      for (const { kind, ...run } of partitionChanges(present, wanted)) {
        assert.equal(kernel.has(run.number), kind !== 'add')
        if (kind === 'remove') {
          kernel.delete(run.number)
          continue
        }
        // As the kernel refuses it.
        if (kind === 'resize') assert.equal(kernel.get(run.number)!.start, run.start)
        for (const other of kernel.values())
          assert.ok(
            other.number === run.number ||
              other.start + other.length <= run.start ||
              run.start + run.length <= other.start,
          )
        kernel.set(run.number, run)
      }
      const byNumber = (a: { number: number }, b: { number: number }) => a.number - b.number
      assert.deepEqual([...kernel.values()].sort(byNumber), [...wanted].sort(byNumber))
    }),
  )
})

test('a partition that only grows is resized, and what is unchanged is left alone', () => {
  const home = { number: 1, start: 1024, length: 1024 }
  const other = { number: 2, start: 4096, length: 512 }
  const grown = { ...home, length: 2048 }
  assert.deepEqual(partitionChanges([home, other], [grown, other]), [{ kind: 'resize', ...grown }])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freeRuns } from '../../lib/disk/allocation.js'
import type { Gpt, Partition } from '../../lib/gpt/index.js'
import { volumeHead } from '../support/gpt.js'
import { MiB } from '../support/images.js'

const partition = (number: number, start: number, length: number): Partition => ({
  ...volumeHead('used'),
  number,
  start,
  length,
})

test('free runs start at multiples of the alignment, end at whole units, and come in disk order', () => {
  const table: Gpt = {
    sectorSize: 512,
    uuid: volumeHead('').uuid,
    entrySize: 128,
    entryCount: 128,
    usableStart: 34 * 512,
    usableEnd: 8 * MiB - 33 * 512,
    // Out of order, the second with a crooked end.
    partitions: [partition(1, 4 * MiB, MiB), partition(2, MiB, MiB + 512)],
  }
  assert.deepEqual(freeRuns(table), [
    { start: 3 * MiB, length: MiB },
    { start: 5 * MiB, length: 3 * MiB - 20480 },
  ])
  assert.deepEqual(freeRuns(table, 4096), [
    { start: 20480, length: MiB - 20480 },
    { start: 2 * MiB + 4096, length: 2 * MiB - 4096 },
    { start: 5 * MiB, length: 3 * MiB - 20480 },
  ])
  assert.deepEqual(freeRuns({ ...table, partitions: [partition(1, 0, 8 * MiB)] }), [])
})

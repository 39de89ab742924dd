import { readFileSync } from 'node:fs'
import { run } from '../../support/run.js'

/** The bytes of the first partition, as sfdisk has it. */
export function efiPartition(disk: string): Buffer {
  const { start, size } = JSON.parse(run('sfdisk', '--json', disk)).partitiontable.partitions[0]
  return readFileSync(disk).subarray(start * 512, (start + size) * 512)
}

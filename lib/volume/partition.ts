import { dpsTypes } from '../gpt/dps-types.js'
import { type Gpt, type Partition, partitionAttributes } from '../gpt/table.js'
import type { Volume } from './volume.js'

/** The volumes of a table: each partition is one, of one extent. In the order of the partitions’ numbers. */
export function partitionVolumes(table: Gpt): Volume[] {
  return table.partitions.map(partitionVolume)
}

function partitionVolume(partition: Partition): Volume {
  const type = dpsTypes.get(partition.typeUuid)
  const has = (bit: bigint) => (partition.attributes & bit) !== 0n
  return {
    designator: type?.designator ?? null,
    architecture: type?.architecture ?? null,
    uuid: partition.uuid,
    typeUuid: partition.typeUuid,
    label: partition.label,
    flags: {
      readOnly: has(partitionAttributes.readOnly),
      noAuto: has(partitionAttributes.noAuto),
      growFileSystem: has(partitionAttributes.growFileSystem),
    },
    size: partition.length,
    extents: [{ start: partition.start, length: partition.length }],
  }
}

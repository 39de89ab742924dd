import { linear } from '../bytes/extents.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { type Partition, partitionAttributes } from '../gpt/table.js'
import type { PartitionVolume } from './volume.js'

/** A partition as a volume of one extent. */
export function partitionVolume(partition: Partition): PartitionVolume {
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
    extents: linear([partition]),
  }
}

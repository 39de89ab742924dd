import type { LogicalPartition, Metadata } from '../android/metadata.js'
import { totalLength } from '../bytes/extents.js'
import type { Extent, ExtentOf } from '../bytes/source.js'
import type { WholeVolume } from './volume.js'

/**
 * The logical partitions of an Android super partition as volumes.
 * @param sizes of the devices that they lie on, in bytes, which are one behind the other in the volumes' base
 */
export function logicalVolumes({ partitions }: Metadata, sizes: readonly number[]): readonly WholeVolume[] {
  return partitions.map((partition) => logicalVolume(partition, sizes))
}

function logicalVolume({ name, group, attributes, extents }: LogicalPartition, sizes: readonly number[]): WholeVolume {
  return {
    state: 'whole',
    origin: { kind: 'logical', group },
    designator: null,
    architecture: null,
    uuid: null,
    typeUuid: null,
    label: name,
    flags: { readOnly: attributes.readOnly, noAuto: attributes.disabled, growFileSystem: false },
    size: totalLength(extents),
    extents: joinBases(extents, sizes),
  }
}

/** Extents of several devices as extents of these one behind the other. */
function joinBases(extents: readonly ExtentOf<number>[], sizes: readonly number[]): Extent[] {
  return extents.map((extent) => {
    if (extent.kind === 'zero') return extent
    const before = sizes.slice(0, extent.base).reduce((sum, size) => sum + size, 0)
    return { kind: 'linear', start: before + extent.start, length: extent.length }
  })
}

import type { LogicalPartition, Metadata } from '../android/metadata.js'
import { totalLength } from '../bytes/extents.js'
import type { Extent, ExtentOf } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { WholeVolume } from './volume.js'

/** A device of a super partition as it is found. */
export interface FoundDevice {
  /** For people. */
  readonly path: string
  /** In bytes. */
  readonly size: number
}

/**
 * The logical partitions of an Android super partition as volumes.
 * @param found the devices that they lie on, which are one behind the other in the volumes' base
 * @throws ERR_DDI_SUPER_DEVICE if one is smaller than the metadata says
 */
export function logicalVolumes(
  { partitions, devices }: Metadata,
  found: readonly FoundDevice[],
): readonly WholeVolume[] {
  for (const [index, { path, size }] of found.entries()) {
    const device = devices[index]
    if (device && size < device.size)
      throw new DdiError(
        'ERR_DDI_SUPER_DEVICE',
        `${path} has ${size} bytes, and the metadata says that ${device.name} has ${device.size}`,
      )
  }
  const sizes = found.map(({ size }) => size)
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

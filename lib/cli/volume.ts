import type { Orphan } from '../disk/partition.js'
import { foundExtents, type Volume } from '../disk/volume.js'
import { describeExtents, describeRun } from './extents.js'

/** What JSON says of a volume. */
export function describeVolume(volume: Volume) {
  const { designator, architecture, uuid, typeUuid, label, flags, size } = volume
  return {
    ...{ designator, architecture, uuid, typeUuid, label, flags, size },
    extents: describeExtents(foundExtents(volume)),
    defect: volume.state === 'broken' ? volume.defect.message : null,
  }
}

export function describeOrphan({ uuid, ...run }: Orphan) {
  return { uuid, extents: [describeRun(run)] }
}

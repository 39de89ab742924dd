import type { Extent, LinearExtent } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'

/** Bytes that an image offers under a name: an ordered list of extents of one base. */
export interface Volume {
  /** What its type says it is for; null for types that the Discoverable Partitions Specification does not know. */
  readonly designator: Designator | null
  /** The processor that its type is for; null where the type is for any, or unknown. */
  readonly architecture: string | null
  /** Null in an image without a table. */
  readonly uuid: string | null
  readonly typeUuid: string | null
  readonly label: string | null
  readonly flags: VolumeFlags
  /** In bytes: the sum of its extents. */
  readonly size: number
  readonly extents: readonly Extent[]
  /** Why the volume must not be used: its chain is broken or misaligned, and `extents` are not all of it. */
  readonly defect?: DdiError
}

/** A volume of a GPT: nothing in it is but zeroes by definition. */
export interface PartitionVolume extends Volume {
  readonly extents: readonly LinearExtent[]
}

/** Attribute bits 60, 63 and 59 of the Discoverable Partitions Specification. */
export interface VolumeFlags {
  readonly readOnly: boolean
  readonly noAuto: boolean
  readonly growFileSystem: boolean
}

/**
 * The volume of a UUID, or of a label that only one has.
 * @param where the image or disk, for the error
 * @throws ERR_DDI_NO_VOLUME
 */
export function findByName<V extends Pick<Volume, 'uuid' | 'label'>>(
  volumes: readonly V[],
  name: string,
  where: string,
): V {
  const byUuid = volumes.filter(({ uuid }) => uuid === name.toLowerCase())
  const [found, second] = byUuid.length > 0 ? byUuid : volumes.filter(({ label }) => label === name)
  if (!found) {
    const names = volumes.map(({ label, uuid }) => label || uuid).join(', ')
    throw new DdiError('ERR_DDI_NO_VOLUME', `${where} has no volume ${JSON.stringify(name)}; it has ${names || 'none'}`)
  }
  if (second)
    throw new DdiError(
      'ERR_DDI_NO_VOLUME',
      `several volumes of ${where} are labelled ${JSON.stringify(name)}: give a UUID`,
    )
  return found
}

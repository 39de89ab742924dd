import type { Extent } from '../block/source.js'
import type { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'

/** A run of bytes that an image offers under a name: an ordered list of extents of one base device. */
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

/** Attribute bits 60, 63 and 59 of the Discoverable Partitions Specification. */
export interface VolumeFlags {
  readonly readOnly: boolean
  readonly noAuto: boolean
  readonly growFileSystem: boolean
}

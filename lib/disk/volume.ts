import { composeExtents, linear } from '../bytes/extents.js'
import type { Extent, Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'

/** Bytes that an image or disk offers under a name. Only a whole one has extents: what is left of a broken one must not be used. */
export type Volume<E extends Extent = Extent> = WholeVolume<E> | BrokenVolume

/** A volume all of whose bytes are known. */
export interface WholeVolume<E extends Extent = Extent> extends VolumeFacts {
  readonly state: 'whole'
  readonly origin: Origin
  /** Where its bytes lie on the base (the disk, or what else the table describes), in order. */
  readonly extents: readonly E[]
}

/** A volume whose chain is broken or misaligned. */
export interface BrokenVolume extends VolumeFacts {
  readonly state: 'broken'
  readonly origin: ChainOrigin | NestedOrigin<ChainOrigin>
  /** Why it must not be used: ERR_DDI_CHAIN_BROKEN or ERR_DDI_CHAIN_MISALIGNED. */
  readonly defect: DdiError
}

/** What is known of a volume, whole or broken. */
interface VolumeFacts {
  /** What its type says it is for; null for types that the Discoverable Partitions Specification does not define. */
  readonly designator: Designator | null
  /** The processor that its type is for; null if the type is for any, or unknown. */
  readonly architecture: string | null
  /** Of its partition; null if it is a logical partition or the whole image; of an MBR, what libblkid calls it. */
  readonly uuid: string | null
  readonly typeUuid: string | null
  /** Of a logical partition: its name. */
  readonly label: string | null
  readonly flags: VolumeFlags
  /** In bytes; of a broken volume, what was found of it. */
  readonly size: number
}

/** Attribute bits 60, 63 and 59 of the Discoverable Partitions Specification. */
export interface VolumeFlags {
  readonly readOnly: boolean
  readonly noAuto: boolean
  readonly growFileSystem: boolean
}

/** Where a volume comes from. */
export type Origin = OwnOrigin | NestedOrigin

/** What the table that names a volume says it is. */
export type OwnOrigin = PartitionOrigin | MbrPartitionOrigin | ChainOrigin | LogicalOrigin | WholeImageOrigin

/** A partition of a GPT. */
export interface PartitionOrigin {
  readonly kind: 'partition'
  /** Its place in the entry array, from 1. */
  readonly number: number
  /** All 64 attribute bits. */
  readonly attributes: bigint
}

/** A partition of an MBR. */
export interface MbrPartitionOrigin {
  readonly kind: 'mbr-partition'
  /** 1 to 4, or from 5 in an extended partition. */
  readonly number: number
  readonly type: number
  /** Has the boot flag. */
  readonly active: boolean
}

/** A partition of a GPT with its extensions (docs/extension-partitions.md). */
export interface ChainOrigin {
  readonly kind: 'chain'
  /** In order, the head first; of a broken chain, those that were found. */
  readonly segments: readonly [Segment, ...Segment[]]
}

/** A partition that is part of a chain: `start` and `length` in bytes, from the beginning of what its table describes. */
export interface Segment extends Run {
  /** Its place in the entry array, from 1. */
  readonly number: number
  readonly uuid: string
  /** All 64 attribute bits. */
  readonly attributes: bigint
}

/** A logical partition of an Android super partition. */
export interface LogicalOrigin {
  readonly kind: 'logical'
  readonly group: string
}

/** A volume of a table that lies in another volume (docs/nested-tables.md). */
export interface NestedOrigin<Own extends OwnOrigin = OwnOrigin> {
  readonly kind: 'nested'
  /** The volume that holds the table; nested itself if the table lies deeper. */
  readonly within: WholeVolume
  /** What the inner table says it is. */
  readonly origin: Own
}

/** An image without a table. */
export interface WholeImageOrigin {
  readonly kind: 'whole-image'
}

/** What the table that names a volume says it is, however deep the table lies. */
export function ownOrigin(volume: BrokenVolume): ChainOrigin
export function ownOrigin(volume: Volume): OwnOrigin
export function ownOrigin({ origin }: Volume): OwnOrigin {
  return origin.kind === 'nested' ? origin.origin : origin
}

/** All 64 attribute bits of a volume's partition, or of its head; none where the table has none. */
export function headAttributes(volume: Volume): bigint {
  const origin = ownOrigin(volume)
  if (origin.kind === 'partition') return origin.attributes
  return origin.kind === 'chain' ? origin.segments[0].attributes : 0n
}

/** A volume that can be used. @throws the defect of a broken one */
export function requireWhole<V extends Volume>(volume: V): Extract<V, { readonly state: 'whole' }>
export function requireWhole(volume: Volume): WholeVolume {
  if (volume.state === 'broken') throw volume.defect
  return volume
}

/** The extents of a volume, or what is left of a broken one: to be shown, not used. */
export function foundExtents(volume: Volume): readonly Extent[] {
  if (volume.state === 'whole') return volume.extents
  const found = linear(ownOrigin(volume).segments)
  return volume.origin.kind === 'nested' ? composeExtents(volume.origin.within.extents, found) : found
}

/** The volume of an image without a table: all of it, taken for a root file system. @param size in bytes */
export function wholeImageVolume(size: number): WholeVolume {
  return {
    state: 'whole',
    origin: { kind: 'whole-image' },
    designator: 'root',
    architecture: null,
    uuid: null,
    typeUuid: null,
    label: null,
    flags: { readOnly: false, noAuto: false, growFileSystem: false },
    size,
    extents: linear([{ start: 0, length: size }]),
  }
}

/**
 * The volume of a UUID, of a label that only one has, or of the number of its partition in the table of the disk itself.
 * @param where the image or disk, for the error
 * @throws ERR_DDI_NO_VOLUME, ERR_DDI_USAGE for an empty name, which names no volume without a label
 */
export function findByName<V extends Pick<Volume, 'uuid' | 'label'> & { readonly origin?: Origin }>(
  volumes: readonly V[],
  name: string,
  where: string,
): V {
  if (name === '')
    throw new DdiError('ERR_DDI_USAGE', `the name of a volume of ${where} is empty: give its label, UUID or partition`)
  const ways: ((volume: V) => boolean)[] = [
    ({ uuid }) => uuid === name.toLowerCase(),
    ({ label }) => label === name,
    ({ origin }) => origin !== undefined && `${headNumber(origin)}` === name,
  ]
  const [found, second] = ways.map((isMeant) => volumes.filter(isMeant)).find(({ length }) => length > 0) ?? []
  if (!found) {
    const names = volumes.map(({ label, uuid }) => label || uuid).join(', ')
    throw new DdiError('ERR_DDI_NO_VOLUME', `${where} has no volume ${JSON.stringify(name)}; it has ${names || 'none'}`)
  }
  if (second)
    throw new DdiError(
      'ERR_DDI_NO_VOLUME',
      found.uuid === name.toLowerCase()
        ? `several volumes of ${where} have the UUID ${found.uuid}: give the number of the partition`
        : `several volumes of ${where} are labelled ${JSON.stringify(name)}: give a UUID, or the number of the partition`,
    )
  return found
}

/** The number of the partition, or of a chain's head, in the table of the disk itself. */
function headNumber(origin: Origin): number | undefined {
  if (origin.kind === 'partition' || origin.kind === 'mbr-partition') return origin.number
  return origin.kind === 'chain' ? origin.segments[0].number : undefined
}

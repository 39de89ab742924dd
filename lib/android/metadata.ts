import type { ExtentOf } from '../bytes/source.js'

/** One slot of metadata: what the logical partitions of a super partition are made of. */
export interface Metadata {
  /** 0; 1 if an attribute of that version is used; 2 for the long header, which has `flags`. */
  readonly minorVersion: 0 | 1 | 2
  /** LP_HEADER_FLAG_…: bit 0 is set on Virtual A/B devices. */
  readonly flags: number
  readonly partitions: readonly LogicalPartition[]
  readonly groups: readonly PartitionGroup[]
  /** The first one holds the metadata. */
  readonly devices: readonly [SuperDevice, ...SuperDevice[]]
}

/** A logical partition, as the metadata describes it. */
export interface LogicalPartition {
  /** At most 36 ASCII characters, unique. */
  readonly name: string
  readonly attributes: PartitionAttributes
  /** Name of its group. */
  readonly group: string
  /** In bytes; `base` is the index of the device. Empty for a partition that has no space yet. */
  readonly extents: readonly ExtentOf<number>[]
}

/** What the metadata says of a logical partition. */
export interface PartitionAttributes {
  readonly readOnly: boolean
  /** The name gets the suffix of the slot that the metadata is read for. */
  readonly slotSuffixed: boolean
  /** Created or changed by an update that uses snapshots. */
  readonly updated: boolean
  /** Not to be used. */
  readonly disabled: boolean
}

/** A group of logical partitions. */
export interface PartitionGroup {
  readonly name: string
  readonly slotSuffixed: boolean
  /** What its partitions may take together, in bytes; 0: no limit. */
  readonly maximumSize: number
}

/** A device that logical partitions lie on. */
export interface SuperDevice {
  /** Name of its partition, `super` as a rule. */
  readonly name: string
  readonly slotSuffixed: boolean
  /** In bytes, as everything that follows. */
  readonly size: number
  /** Where partitions may begin. */
  readonly usableStart: number
  /** What extents start on multiples of; 0 is that of logical blocks. */
  readonly alignment: number
  /** Nobody heeds it any more, liblp neither. */
  readonly alignmentOffset: number
}

/** The attributes of a logical partition that has none. */
export const noAttributes: PartitionAttributes = {
  readOnly: false,
  slotSuffixed: false,
  updated: false,
  disabled: false,
}

/** The suffix of a slot: `_a` for slot 0, `_b` for slot 1, … */
export function slotSuffix(slot: number): string {
  return `_${String.fromCharCode('a'.charCodeAt(0) + slot)}`
}

/** Metadata with the names it has in a slot: suffixes are added where marked, as liblp's ReadMetadata does. */
export function withSlotSuffixes(metadata: Metadata, slot: number): Metadata {
  const suffix = slotSuffix(slot)
  const suffixed = new Map(metadata.groups.map(({ name, slotSuffixed }) => [name, slotSuffixed ? name + suffix : name]))
  const [first, ...others] = metadata.devices.map((device) =>
    device.slotSuffixed ? { ...device, name: device.name + suffix, slotSuffixed: false } : device,
  )
  return {
    ...metadata,
    devices: [first!, ...others],
    groups: metadata.groups.map((group) => ({ ...group, name: suffixed.get(group.name)!, slotSuffixed: false })),
    partitions: metadata.partitions.map((partition) => ({
      ...partition,
      group: suffixed.get(partition.group)!,
      name: partition.attributes.slotSuffixed ? partition.name + suffix : partition.name,
      attributes: { ...partition.attributes, slotSuffixed: false },
    })),
  }
}

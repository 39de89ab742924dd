// Changes of logical partitions as pure functions from metadata to metadata; `commitSuper` writes what they return.
import { totalLength } from '../bytes/extents.js'
import { alignUp, allocate, gaps } from '../bytes/runs.js'
import type { ExtentOf, Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type Geometry, metadataEnd, sectorSize } from './geometry.js'
import { defaultGroup, requireGroup } from './groups.js'
import {
  type LogicalPartition,
  type Metadata,
  noAttributes,
  type PartitionAttributes,
  type PartitionGroup,
  type SuperDevice,
} from './metadata.js'

/** A device of a new super partition, sizes in bytes. */
export interface NewSuperDevice {
  readonly name: string
  readonly size: number
  /** Default: 1 MiB. 0 is that of logical blocks. */
  readonly alignment?: number
  /** Is written down, and moves nothing, as in liblp. Default: 0. */
  readonly alignmentOffset?: number
  readonly slotSuffixed?: boolean
}

/**
 * Metadata without partitions for a new super partition; the first device holds the metadata.
 * @throws ERR_DDI_USAGE, ERR_DDI_NO_SPACE if a device is too small
 */
export function newMetadata(
  geometry: Geometry,
  devices: readonly [NewSuperDevice, ...NewSuperDevice[]],
  groups: readonly PartitionGroup[] = [],
  flags = 0,
): Metadata {
  const [first, ...others] = devices
  return {
    minorVersion: flags ? 2 : 0,
    flags,
    partitions: [],
    groups: [{ name: defaultGroup, slotSuffixed: false, maximumSize: 0 }, ...groups],
    devices: [
      newDevice(first, geometry, metadataEnd(geometry)),
      // The first sector of each is left as it is, for who looks for an MBR there.
      ...others.map((device) => newDevice(device, geometry, sectorSize)),
    ],
  }
}

function newDevice(device: NewSuperDevice, { blockSize }: Geometry, from: number): SuperDevice {
  const { name, size, alignment = 1024 * 1024, alignmentOffset = 0, slotSuffixed = false } = device
  const isMultiple = (bytes: number, unit: number) => Number.isSafeInteger(bytes) && bytes >= 0 && bytes % unit === 0
  if (![alignment, alignmentOffset].every((bytes) => isMultiple(bytes, sectorSize)))
    throw new DdiError('ERR_DDI_USAGE', `device ${name}: alignment and offset must be multiples of ${sectorSize} bytes`)
  if (!isMultiple(size, blockSize))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `device ${name}: its size must be a multiple of its blocks of ${blockSize} bytes`,
    )
  const usableStart = alignUp(from, alignment || blockSize)
  if (usableStart + blockSize > size)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `device ${name} has ${size} bytes, and needs ${usableStart + blockSize} for metadata and one block`,
      { needed: usableStart + blockSize, free: size },
    )
  return { name, slotSuffixed, size, usableStart, alignment, alignmentOffset }
}

/** The free space of the devices, in runs that an extent may begin with. */
export function freeSuperRuns(
  { partitions, devices }: Metadata,
  { blockSize }: Geometry,
): (Run & { readonly base: number })[] {
  const extents = partitions.flatMap((partition) => partition.extents)
  return devices.flatMap(({ usableStart, size, alignment }, base) =>
    gaps(
      { start: usableStart, length: size - usableStart },
      extents.flatMap((extent) => (extent.kind === 'linear' && extent.base === base ? [extent] : [])),
      { alignment: alignment || blockSize, unit: blockSize },
    ).map((run) => ({ ...run, base })),
  )
}

/** The partition of a name. @throws ERR_DDI_NO_VOLUME */
export function findPartition({ partitions }: Metadata, name: string): LogicalPartition {
  const found = partitions.find((one) => one.name === name)
  if (!found)
    throw new DdiError(
      'ERR_DDI_NO_VOLUME',
      `there is no logical partition ${JSON.stringify(name)}; there are ${partitions.map((one) => one.name).join(', ') || 'none'}`,
    )
  return found
}

/** A logical partition that is to be added. */
export interface NewPartition {
  readonly name: string
  /** In bytes, rounded up to logical blocks; 0 for one that gets its space later. */
  readonly size: number
  /** Default: `default`. */
  readonly group?: string
  readonly attributes?: Partial<PartitionAttributes>
}

/** @throws ERR_DDI_VOLUME_EXISTS, ERR_DDI_NO_SPACE, ERR_DDI_NO_VOLUME for an unknown group */
export function addPartition(metadata: Metadata, geometry: Geometry, partition: NewPartition): Metadata {
  const { name, size, group = defaultGroup, attributes } = partition
  refuseTaken(metadata, name)
  requireGroup(metadata, group)
  const empty: LogicalPartition = { name, group, attributes: { ...noAttributes, ...attributes }, extents: [] }
  const added = { ...metadata, partitions: [...metadata.partitions, empty] }
  return size === 0 ? added : resizePartition(added, geometry, empty, size)
}

/**
 * Gives a partition another size: appends extents, or cuts from the end.
 * @param partition one of the metadata
 * @param size in bytes, rounded up to logical blocks
 * @throws ERR_DDI_NO_SPACE, ERR_DDI_USAGE
 */
export function resizePartition(
  metadata: Metadata,
  geometry: Geometry,
  partition: LogicalPartition,
  size: number,
): Metadata {
  if (!Number.isSafeInteger(size) || size < 0)
    throw new DdiError('ERR_DDI_USAGE', `invalid size ${size}: a whole number of bytes is needed`)
  const wanted = alignUp(size, geometry.blockSize)
  const more = wanted - totalLength(partition.extents)
  const extents =
    more > 0
      ? [...partition.extents, ...grownBy(metadata, geometry, partition, more)]
      : cutTo(partition.extents, wanted)
  return replaced(metadata, partition, { ...partition, extents: coalesce(extents) })
}

/** The extents that grow a partition: in place first, as far as the space behind its last extent is free. */
function grownBy(
  metadata: Metadata,
  geometry: Geometry,
  { extents }: LogicalPartition,
  more: number,
): ExtentOf<number>[] {
  const elsewhere = (runs: ReturnType<typeof freeSuperRuns>, size: number) =>
    allocate(runs, size).map((run) => ({ kind: 'linear' as const, ...run }))
  const runs = freeSuperRuns(metadata, geometry)
  const last = extents.at(-1)
  if (last?.kind !== 'linear') return elsewhere(runs, more)
  const end = last.start + last.length
  // What continues an extent need not be aligned.
  const following = freeSuperRuns({ ...metadata, devices: withoutAlignment(metadata.devices) }, geometry).find(
    ({ base, start }) => base === last.base && start === end,
  )
  if (!following) return elsewhere(runs, more)
  const inPlace = Math.min(more, following.length)
  const grown: ExtentOf<number> = { kind: 'linear', base: last.base, start: end, length: inPlace }
  if (inPlace === more) return [grown]
  const rest = runs.filter(({ base, start }) => base !== last.base || start >= end + inPlace || start < end)
  return [grown, ...elsewhere(rest, more - inPlace)]
}

function withoutAlignment([first, ...others]: Metadata['devices']): Metadata['devices'] {
  const plain = (device: SuperDevice) => ({ ...device, alignment: 0 })
  return [plain(first), ...others.map(plain)]
}

function cutTo(extents: readonly ExtentOf<number>[], size: number): ExtentOf<number>[] {
  let left = size
  return extents.flatMap((extent) => {
    const length = Math.min(extent.length, left)
    left -= length
    return length > 0 ? [{ ...extent, length }] : []
  })
}

/** Joins extents with those that they continue. */
function coalesce(extents: readonly ExtentOf<number>[]): ExtentOf<number>[] {
  const merged: ExtentOf<number>[] = []
  for (const extent of extents) {
    const last = merged.at(-1)
    const continues =
      last &&
      (extent.kind === 'zero'
        ? last.kind === 'zero'
        : last.kind === 'linear' && last.base === extent.base && last.start + last.length === extent.start)
    if (last && continues) merged[merged.length - 1] = { ...last, length: last.length + extent.length }
    else merged.push(extent)
  }
  return merged
}

/**
 * Gives a partition another name, group or attributes.
 * @param partition one of the metadata
 * @throws ERR_DDI_VOLUME_EXISTS, ERR_DDI_NO_VOLUME for an unknown group
 */
export function renamePartition(
  metadata: Metadata,
  partition: LogicalPartition,
  { name = partition.name, group = partition.group, attributes = {} }: Partial<Omit<NewPartition, 'size'>>,
): Metadata {
  requireGroup(metadata, group)
  if (name !== partition.name) refuseTaken(metadata, name)
  return replaced(metadata, partition, {
    ...partition,
    name,
    group,
    attributes: { ...partition.attributes, ...attributes },
  })
}

/** Removes a partition; its space is free. @param partition one of the metadata */
export function removePartition(metadata: Metadata, partition: LogicalPartition): Metadata {
  return { ...metadata, partitions: metadata.partitions.filter(({ name }) => name !== partition.name) }
}

function replaced(metadata: Metadata, { name }: LogicalPartition, partition: LogicalPartition): Metadata {
  return { ...metadata, partitions: metadata.partitions.map((one) => (one.name === name ? partition : one)) }
}

function refuseTaken({ partitions }: Metadata, name: string): void {
  if (partitions.some((one) => one.name === name))
    throw new DdiError('ERR_DDI_VOLUME_EXISTS', `there is already a logical partition ${name}`)
}

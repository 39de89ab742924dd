import { sha256 } from '../bytes/native.js'
import type { ExtentOf } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkLayout, checkNames, refuseToWrite as refuse } from './check.js'
import { type Geometry, sectorSize } from './geometry.js'
import { overfullGroups } from './groups.js'
import type { Metadata, PartitionAttributes, PartitionGroup, SuperDevice } from './metadata.js'
import { checksum, type Field, viewOf } from './record.js'
import {
  attributeBits,
  type Descriptor,
  extentTypes,
  longHeader,
  magic,
  majorVersion,
  newerAttributes,
  type Row,
  rows,
  shortHeader,
  slotSuffixedFlag,
  type TableName,
  tableNames,
} from './tables.js'

type Rows = { readonly [Name in TableName]: readonly Row<Name>[] }

/**
 * Encodes one copy of the metadata: header and tables, without what is unused after them.
 * @throws ERR_DDI_USAGE for what metadata cannot say, ERR_DDI_SUPER_GROUP if a group would take more than it may,
 *   ERR_DDI_TABLE_FULL if it takes more than a copy has
 */
export function encodeMetadata(metadata: Metadata, geometry: Geometry): Uint8Array {
  checkNames(metadata, refuse)
  checkLayout(metadata, geometry, refuse)
  const [overfull] = overfullGroups(metadata)
  if (overfull)
    throw new DdiError(
      'ERR_DDI_SUPER_GROUP',
      `the partitions of group ${overfull.name} would take ${overfull.size} bytes, and may take ${overfull.maximumSize}`,
    )
  const stored: Rows = {
    partitions: partitionRows(metadata),
    extents: metadata.partitions.flatMap(({ extents }) => extents.map(extentRow)),
    groups: metadata.groups.map(groupRow),
    devices: metadata.devices.map(deviceRow),
  }
  const minorVersion = minorVersionOf(metadata)
  const header = minorVersion < 2 ? shortHeader : longHeader
  const tablesLength = tableNames.reduce((sum, name) => sum + stored[name].length * rows[name].length, 0)
  if (header.length + tablesLength > geometry.metadataSize)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `the metadata would take ${header.length + tablesLength} bytes, and each copy has room for ${geometry.metadataSize}: remove a partition`,
    )
  const bytes = new Uint8Array(header.length + tablesLength)
  const tables = bytes.subarray(header.length)
  const values = {
    magic,
    majorVersion,
    minorVersion,
    length: header.length,
    checksum: new Uint8Array(32),
    tablesLength,
    ...writeTables(tables, stored),
    tablesChecksum: sha256(tables),
    flags: metadata.flags,
    reserved: new Uint8Array(124),
  }
  header.write(viewOf(bytes), 0, values)
  const { checksum: at } = header.offsets
  bytes.set(checksum(bytes.subarray(0, header.length), at), at)
  return bytes
}

/** The oldest version that can say it, or that of the metadata as it was read. */
function minorVersionOf({ minorVersion, flags, partitions }: Metadata): number {
  const isNewer = partitions.some(({ attributes }) => newerAttributes.some((name) => attributes[name]))
  return Math.max(minorVersion, flags ? 2 : isNewer ? 1 : 0)
}

function writeTables(tables: Uint8Array, stored: Rows): Readonly<Record<TableName, Descriptor>> {
  let offset = 0
  const write = <Values>(row: Field<Values>, values: readonly Values[]): Descriptor => {
    const descriptor = { offset, count: values.length, rowLength: row.length }
    for (const [index, value] of values.entries())
      row.write(viewOf(tables), descriptor.offset + index * row.length, value)
    offset += values.length * row.length
    return descriptor
  }
  return {
    partitions: write(rows.partitions, stored.partitions),
    extents: write(rows.extents, stored.extents),
    groups: write(rows.groups, stored.groups),
    devices: write(rows.devices, stored.devices),
  }
}

function partitionRows({ partitions, groups }: Metadata): Rows['partitions'] {
  let firstExtent = 0
  return partitions.map(({ name, attributes, group, extents }) => {
    const index = groups.findIndex((one) => one.name === group)
    if (index < 0) throw refuse(`partition ${name} would be in group ${group}, which does not exist`)
    const row = { name, attributes: bitsOf(attributes), firstExtent, extentCount: extents.length, group: index }
    firstExtent += extents.length
    return row
  })
}

function bitsOf(attributes: PartitionAttributes): number {
  return Object.entries(attributeBits).reduce(
    (sum, [name, bit]) => (attributes[name as keyof PartitionAttributes] ? sum | bit : sum),
    0,
  )
}

function extentRow(extent: ExtentOf<number>): Row<'extents'> {
  const length = toUnits(extent.length, sectorSize)
  if (extent.kind === 'zero') return { length, type: extentTypes.zero, start: 0n, device: 0 }
  return { length, type: extentTypes.linear, start: toUnits(extent.start, sectorSize), device: extent.base }
}

function groupRow({ name, slotSuffixed, maximumSize }: PartitionGroup): Row<'groups'> {
  return { name, flags: slotSuffixed ? slotSuffixedFlag : 0, maximumSize: toUnits(maximumSize, 1) }
}

function deviceRow({ name, slotSuffixed, size, usableStart, alignment, alignmentOffset }: SuperDevice): Row<'devices'> {
  return {
    name,
    flags: slotSuffixed ? slotSuffixedFlag : 0,
    size: toUnits(size, 1),
    usableStart: toUnits(usableStart, sectorSize),
    alignment,
    alignmentOffset,
  }
}

function toUnits(bytes: number, unit: number): bigint {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % unit !== 0)
    throw refuse(`invalid size ${bytes}: must be a multiple of ${unit} bytes`)
  return BigInt(bytes / unit)
}

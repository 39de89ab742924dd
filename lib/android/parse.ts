import { equalOctets, sha256 } from '../bytes/native.js'
import type { ExtentOf } from '../bytes/source.js'
import { checkLayout, checkNames, type Refuse, refuseRead as refuse } from './check.js'
import { type Geometry, sectorSize } from './geometry.js'
import type { LogicalPartition, Metadata, PartitionAttributes, PartitionGroup, SuperDevice } from './metadata.js'
import { checksum, type Field, viewOf } from './record.js'
import {
  attributeBits,
  type Descriptor,
  extentTypes,
  longHeader,
  magic,
  majorVersion,
  newerAttributes,
  newestMinorVersion,
  type Row,
  rows,
  shortHeader,
  slotSuffixedFlag,
  type TableName,
  tableNames,
} from './tables.js'

/** More than any device has: memory is not allocated on an image's word alone. */
const largestTables = 16 * 1024 * 1024

/** What the first bytes of a copy say about it. */
export interface MetadataHeader {
  readonly minorVersion: 0 | 1 | 2
  readonly flags: number
  readonly length: number
  readonly tablesLength: number
  readonly tablesChecksum: Uint8Array
  readonly tables: Readonly<Record<TableName, Descriptor>>
}

/**
 * Parses the header of a copy of the metadata.
 * @param bytes at least 256
 * @throws ERR_DDI_SUPER_HEADER, and ERR_DDI_SUPER_TABLES if a table does not lie where tables may
 */
export function parseHeader(bytes: Uint8Array, geometry: Geometry): MetadataHeader {
  const bad = (what: string) => refuse(what, 'ERR_DDI_SUPER_HEADER')
  const { flags, ...header } = longHeader.read(viewOf(bytes), 0)
  const { majorVersion: major, minorVersion: minor, length, tablesLength, tablesChecksum } = header
  if (header.magic !== magic) throw bad('the signature is missing')
  if (major !== majorVersion || minor > newestMinorVersion)
    throw bad(
      `unknown version ${major}.${minor}: ${majorVersion}.0 to ${majorVersion}.${newestMinorVersion} are supported`,
    )
  const expected = (minor < 2 ? shortHeader : longHeader).length
  if (length !== expected) throw bad(`a header of ${length} bytes, where version ${major}.${minor} has ${expected}`)
  if (!equalOctets(checksum(bytes.subarray(0, length), longHeader.offsets.checksum), header.checksum))
    throw bad('the checksum of its header is wrong')
  const room = geometry.metadataSize - length
  if (tablesLength > Math.min(largestTables, room))
    throw refuse(`its tables take ${tablesLength} bytes, and there is room for ${room}`)
  for (const name of tableNames) checkDescriptor(name, header[name], tablesLength)
  const { partitions, extents, groups, devices } = header
  return {
    minorVersion: minor as 0 | 1 | 2,
    flags: length === longHeader.length ? flags : 0,
    length,
    tablesLength,
    tablesChecksum,
    tables: { partitions, extents, groups, devices },
  }
}

function checkDescriptor(name: TableName, { offset, count, rowLength }: Descriptor, tablesLength: number): void {
  const expected = rows[name].length
  if (rowLength !== expected)
    throw refuse(`entries of ${rowLength} bytes in the table of ${name}, where ${expected} are known`)
  if (offset + count * rowLength > tablesLength) throw refuse(`the table of ${name} does not lie in the tables`)
}

/**
 * Parses the tables behind a header, and checks that everything in them lies where it may.
 * @param bytes `header.tablesLength` of them
 * @throws ERR_DDI_SUPER_TABLES, ERR_DDI_SUPER_EXTENT
 */
export function parseTables(bytes: Uint8Array, header: MetadataHeader, geometry: Geometry): Metadata {
  if (!equalOctets(sha256(bytes), header.tablesChecksum)) throw refuse('the checksum of its tables is wrong')
  const { tables, minorVersion, flags } = header
  const stored = {
    partitions: readRows(rows.partitions, bytes, tables.partitions),
    groups: readRows(rows.groups, bytes, tables.groups),
    devices: readRows(rows.devices, bytes, tables.devices),
  }
  checkNames(stored, refuse)
  const [first, ...others] = stored.devices.map(toDevice)
  if (!first) throw refuse('it names no device')
  const groups = stored.groups.map(toGroup)
  const extents = readRows(rows.extents, bytes, tables.extents).map(toExtent)
  refuseSharedExtents(stored.partitions, extents.length)
  const partitions = stored.partitions.map((row) => toPartition(row, { minorVersion, groups, extents }))
  const metadata: Metadata = { minorVersion, flags, partitions, groups, devices: [first, ...others] }
  checkLayout(metadata, geometry, refuse)
  return metadata
}

function readRows<Values>(row: Field<Values>, bytes: Uint8Array, { offset, count }: Descriptor): readonly Values[] {
  const view = viewOf(bytes)
  return Array.from({ length: count }, (_, index) => row.read(view, offset + index * row.length))
}

/** Partitions that share extents could have far more of them together than the image has bytes. */
function refuseSharedExtents(partitions: readonly Row<'partitions'>[], available: number): void {
  const used = partitions.reduce((sum, { extentCount }) => sum + extentCount, 0)
  if (used > available)
    throw refuse(
      `its partitions use ${used} extents, and there are only ${available}: some are shared`,
      'ERR_DDI_SUPER_EXTENT',
    )
}

function toDevice({ flags, ...row }: Row<'devices'>, index: number): SuperDevice {
  return {
    name: row.name,
    slotSuffixed: (flags & slotSuffixedFlag) !== 0,
    size: toBytes(row.size, 1, `the size of device ${index}`),
    usableStart: toBytes(row.usableStart, sectorSize, `the first sector of device ${index}`),
    alignment: row.alignment,
    alignmentOffset: row.alignmentOffset,
  }
}

function toGroup({ name, flags, maximumSize }: Row<'groups'>): PartitionGroup {
  return {
    name,
    slotSuffixed: (flags & slotSuffixedFlag) !== 0,
    maximumSize: toBytes(maximumSize, 1, `the size of group ${name}`),
  }
}

function toExtent({ length: sectors, type, start, device }: Row<'extents'>, index: number): ExtentOf<number> {
  const bad: Refuse = (what) => refuse(`extent ${index} ${what}`, 'ERR_DDI_SUPER_EXTENT')
  const length = toBytes(sectors, sectorSize, `the length of extent ${index}`)
  if (length === 0) throw bad('is empty')
  if (type === extentTypes.zero) return { kind: 'zero', length }
  if (type !== extentTypes.linear) throw bad(`has unknown type ${type}`)
  return { kind: 'linear', base: device, start: toBytes(start, sectorSize, `the start of extent ${index}`), length }
}

type Referenced = Pick<Metadata, 'minorVersion' | 'groups'> & { readonly extents: readonly ExtentOf<number>[] }

function toPartition(row: Row<'partitions'>, { minorVersion, groups, extents }: Referenced): LogicalPartition {
  const { name, attributes: bits, firstExtent, extentCount } = row
  const unknown = bits & ~knownAttributes(minorVersion)
  if (unknown !== 0)
    throw refuse(`partition ${name} has attributes 0x${unknown.toString(16)}, unknown to version 10.${minorVersion}`)
  const end = firstExtent + extentCount
  if (end > extents.length) throw refuse(`partition ${name} has extents ${firstExtent} to ${end} of ${extents.length}`)
  const group = groups[row.group]
  if (!group) throw refuse(`partition ${name} is in group ${row.group} of ${groups.length}`)
  const attributes = Object.fromEntries(
    Object.entries(attributeBits).map(([key, bit]) => [key, (bits & bit) !== 0]),
  ) as unknown as PartitionAttributes
  return { name, attributes, group: group.name, extents: extents.slice(firstExtent, end) }
}

function knownAttributes(minorVersion: number): number {
  const newer = newerAttributes.reduce((sum, name) => sum | attributeBits[name], 0)
  const all = Object.values(attributeBits).reduce<number>((sum, bit) => sum | bit, 0)
  return minorVersion > 0 ? all : all & ~newer
}

function toBytes(value: bigint, unit: number, what: string): number {
  const bytes = value * BigInt(unit)
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(`${what} is ${bytes} bytes`)
  return Number(bytes)
}

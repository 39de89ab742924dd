import { createHash } from 'node:crypto'
import { type BaseExtent, totalLength } from '../bytes/extents.js'
import { findOverlap } from '../bytes/runs.js'
import { DdiError, type ErrorCode } from '../errors.js'
import { checksum, type Geometry, metadataEnd, sectorSize } from './geometry.js'

// AOSP's fs_mgr/liblp/include/liblp/metadata_format.h, version 10.0 to 10.2; all numbers are little-endian.

/** One slot of metadata: what the logical partitions of a super partition are made of. */
export interface Metadata {
  /** 0; 1 where an attribute of that version is used; 2 for the long header, which has `flags`. */
  readonly minorVersion: 0 | 1 | 2
  /** LP_HEADER_FLAG_…, of which bit 0 is for Virtual A/B devices. */
  readonly flags: number
  readonly partitions: readonly LogicalPartition[]
  readonly groups: readonly PartitionGroup[]
  /** The first one holds the metadata. */
  readonly devices: readonly [SuperDevice, ...SuperDevice[]]
}

export interface LogicalPartition {
  /** At most 36 ASCII characters, one of its kind. */
  readonly name: string
  readonly attributes: PartitionAttributes
  /** Name of its group. */
  readonly group: string
  /** In bytes; `base` counts the devices. Empty for a partition that has no space yet. */
  readonly extents: readonly BaseExtent<number>[]
}

export interface PartitionAttributes {
  readonly readOnly: boolean
  /** The name gets the suffix of the slot that the metadata is read for. */
  readonly slotSuffixed: boolean
  /** Made or changed for an update by snapshots. */
  readonly updated: boolean
  /** Not to be used. */
  readonly disabled: boolean
}

export interface PartitionGroup {
  readonly name: string
  readonly slotSuffixed: boolean
  /** Bytes that its partitions may have together; 0: any. */
  readonly maximumSize: number
}

/** A device that logical partitions lie on. */
export interface SuperDevice {
  /** Name of its partition, `super` as a rule. */
  readonly name: string
  readonly slotSuffixed: boolean
  /** In bytes, as all that follows. */
  readonly size: number
  /** Where partitions may begin. */
  readonly usableStart: number
  /** What extents start on multiples of, shifted by `alignmentOffset`. */
  readonly alignment: number
  readonly alignmentOffset: number
}

export const noAttributes: PartitionAttributes = {
  readOnly: false,
  slotSuffixed: false,
  updated: false,
  disabled: false,
}

const magic = 0x414c5030
const majorVersion = 10
const newestMinorVersion = 2
const shortHeader = 128
/** No header has more, and no copy of the metadata less room. */
export const longHeader = 256
const headerChecksumAt = 12
const nameLength = 36
/** More than any device has: what an image alone says is not allocated. */
const largestTables = 16 * 1024 * 1024
const entryLengths = { partitions: 52, extents: 24, groups: 48, devices: 64 } as const
type Table = keyof typeof entryLengths
const tableNames = Object.keys(entryLengths) as Table[]
const descriptorsAt = 80
const attributeBits = { readOnly: 1, slotSuffixed: 2, updated: 4, disabled: 8 } as const
const slotSuffixedFlag = 1
const target = { linear: 0, zero: 1 } as const

type Refuse = (what: string, code?: ErrorCode) => DdiError
const refuse: Refuse = (what, code = 'ERR_DDI_SUPER_TABLES') =>
  new DdiError(code, `metadata of the super partition: ${what}`)

/** What the first bytes of a copy say of it. */
export interface MetadataHeader {
  readonly minorVersion: 0 | 1 | 2
  readonly flags: number
  readonly length: number
  readonly tablesLength: number
  readonly tablesChecksum: Uint8Array
  readonly tables: Readonly<Record<Table, { readonly offset: number; readonly count: number }>>
}

/**
 * Parses the header of a copy of the metadata.
 * @param bytes at least 256
 * @throws ERR_DDI_SUPER_HEADER, and ERR_DDI_SUPER_TABLES where a table does not lie where tables may
 */
export function parseHeader(bytes: Uint8Array, geometry: Geometry): MetadataHeader {
  const bad = (what: string) => refuse(what, 'ERR_DDI_SUPER_HEADER')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== magic) throw bad('the signature is missing')
  const [major, minor] = [view.getUint16(4, true), view.getUint16(6, true)]
  if (major !== majorVersion || minor > newestMinorVersion)
    throw bad(
      `version ${major}.${minor}, of which ${majorVersion}.0 to ${majorVersion}.${newestMinorVersion} are known`,
    )
  const length = view.getUint32(8, true)
  const expected = minor < 2 ? shortHeader : longHeader
  if (length !== expected) throw bad(`a header of ${length} bytes, where version ${major}.${minor} has ${expected}`)
  const header = bytes.subarray(0, length)
  if (!checksum(header, headerChecksumAt).equals(header.subarray(headerChecksumAt, headerChecksumAt + 32)))
    throw bad('the checksum of its header is wrong')
  const tablesLength = view.getUint32(44, true)
  if (tablesLength > Math.min(largestTables, geometry.metadataSize - length))
    throw refuse(`its tables take ${tablesLength} bytes, and there is room for ${geometry.metadataSize - length}`)
  const tables = Object.fromEntries(
    tableNames.map((name, index) => {
      const at = descriptorsAt + 12 * index
      const [offset, count, entryLength] = [0, 4, 8].map((field) => view.getUint32(at + field, true)) as [
        number,
        number,
        number,
      ]
      if (entryLength !== entryLengths[name])
        throw refuse(`entries of ${entryLength} bytes in the table of ${name}, where ${entryLengths[name]} are known`)
      if (offset + count * entryLength > tablesLength) throw refuse(`the table of ${name} does not lie in the tables`)
      return [name, { offset, count }]
    }),
  ) as MetadataHeader['tables']
  return {
    minorVersion: minor as 0 | 1 | 2,
    flags: length === longHeader ? view.getUint32(128, true) : 0,
    length,
    tablesLength,
    tablesChecksum: Uint8Array.from(bytes.subarray(48, 80)),
    tables,
  }
}

/**
 * Parses the tables behind a header, and checks that everything in them lies where it may.
 * @param bytes `header.tablesLength` of them
 * @throws ERR_DDI_SUPER_TABLES, ERR_DDI_SUPER_EXTENT
 */
export function parseTables(bytes: Uint8Array, header: MetadataHeader, geometry: Geometry): Metadata {
  if (!createHash('sha256').update(bytes).digest().equals(header.tablesChecksum))
    throw refuse('the checksum of its tables is wrong')
  const rows = <Row>(table: Table, parse: (row: TableRow, index: number) => Row): Row[] => {
    const { offset, count } = header.tables[table]
    const length = entryLengths[table]
    return Array.from({ length: count }, (_, index) => parse(new TableRow(bytes, offset + index * length), index))
  }
  const devices = rows('devices', (row, index): SuperDevice => {
    const device = {
      name: row.name(24, `device ${index}`),
      slotSuffixed: (row.u32(60) & slotSuffixedFlag) !== 0,
      size: row.bytes64(16, `the size of device ${index}`),
      usableStart: row.sectors64(0, `the first sector of device ${index}`),
      alignment: row.u32(8),
      alignmentOffset: row.u32(12),
    }
    if (device.alignment % sectorSize !== 0 || device.alignmentOffset % sectorSize !== 0)
      throw refuse(`device ${device.name} is aligned to ${device.alignment} bytes, not whole sectors`)
    if (device.usableStart > device.size) throw refuse(`device ${device.name} begins behind its own end`)
    return device
  })
  const [first, ...others] = devices
  if (!first) throw refuse('it names no device')
  if (first.usableStart < metadataEnd(geometry))
    throw refuse(
      `partitions would begin at byte ${first.usableStart} of ${first.name}, within the metadata`,
      'ERR_DDI_SUPER_EXTENT',
    )
  const groups = rows('groups', (row, index): PartitionGroup => {
    const name = row.name(0, `group ${index}`)
    return {
      name,
      slotSuffixed: (row.u32(36) & slotSuffixedFlag) !== 0,
      maximumSize: row.bytes64(40, `the size of group ${name}`),
    }
  })
  const extents = rows('extents', (row, index): BaseExtent<number> => {
    const length = row.sectors64(0, `the length of extent ${index}`)
    const type = row.u32(8)
    if (length === 0) throw refuse(`extent ${index} is empty`, 'ERR_DDI_SUPER_EXTENT')
    if (type === target.zero) return { kind: 'zero', length }
    if (type !== target.linear) throw refuse(`extent ${index} is of type ${type}`, 'ERR_DDI_SUPER_EXTENT')
    return { kind: 'linear', base: row.u32(20), start: row.sectors64(12, `the start of extent ${index}`), length }
  })
  const known = Object.entries(attributeBits).filter(([name]) => header.minorVersion > 0 || !isNewer(name))
  const mask = known.reduce((sum, [, bit]) => sum | bit, 0)
  const partitions = rows('partitions', (row, index): LogicalPartition => {
    const name = row.name(0, `partition ${index}`)
    const [bits, firstExtent, count, group] = [36, 40, 44, 48].map((at) => row.u32(at)) as [
      number,
      number,
      number,
      number,
    ]
    if ((bits & ~mask) !== 0)
      throw refuse(
        `partition ${name} has attributes 0x${bits.toString(16)}, not all of which version 10.${header.minorVersion} knows`,
      )
    if (firstExtent + count > extents.length)
      throw refuse(`partition ${name} has extents ${firstExtent} to ${firstExtent + count} of ${extents.length}`)
    const itsGroup = groups[group]
    if (!itsGroup) throw refuse(`partition ${name} is in group ${group} of ${groups.length}`)
    const attributes = Object.fromEntries(
      Object.entries(attributeBits).map(([key, bit]) => [key, (bits & bit) !== 0]),
    ) as unknown as PartitionAttributes
    return { name, attributes, group: itsGroup.name, extents: extents.slice(firstExtent, firstExtent + count) }
  })
  const metadata: Metadata = {
    minorVersion: header.minorVersion,
    flags: header.flags,
    partitions,
    groups,
    devices: [first, ...others],
  }
  checkLayout(metadata, geometry, refuse)
  return metadata
}

function isNewer(attribute: string): boolean {
  return attribute === 'updated' || attribute === 'disabled'
}

/** A row of a table. */
class TableRow {
  readonly #view: DataView

  constructor(bytes: Uint8Array, offset: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset + offset)
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true)
  }

  bytes64(at: number, what: string, unit = 1): number {
    const value = this.#view.getBigUint64(at, true) * BigInt(unit)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(`${what} is ${value} bytes`)
    return Number(value)
  }

  sectors64(at: number, what: string): number {
    return this.bytes64(at, what, sectorSize)
  }

  name(at: number, what: string): string {
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, nameLength)
    const end = bytes.indexOf(0)
    const name = String.fromCharCode(...bytes.subarray(0, end < 0 ? nameLength : end))
    checkName(name, what, refuse)
    return name
  }
}

/** Names become those of files and devices: nothing in them may lead elsewhere. */
function checkName(name: string, what: string, refuse: Refuse): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name) || name.length > nameLength)
    throw refuse(`${what} is named ${JSON.stringify(name)}: up to ${nameLength} of A-Z a-z 0-9 _ . + - are allowed`)
}

/** What holds of every metadata, read or to be written. */
function checkLayout({ partitions, groups, devices }: Metadata, geometry: Geometry, refuse: Refuse): void {
  for (const [what, names] of Object.entries({ partitions, groups, devices })) {
    const seen = new Set<string>()
    for (const { name } of names) {
      if (seen.has(name)) throw refuse(`two ${what} are named ${name}`)
      seen.add(name)
    }
  }
  const placed: { base: number; start: number; length: number; name: string }[] = []
  for (const { name, extents } of partitions) {
    for (const [index, extent] of extents.entries()) {
      const bad = (what: string) => refuse(`extent ${index} of partition ${name} ${what}`, 'ERR_DDI_SUPER_EXTENT')
      if (extent.length % geometry.blockSize !== 0) throw bad(`has ${extent.length} bytes, not whole logical blocks`)
      if (extent.kind === 'zero') continue
      const device = devices[extent.base]
      if (!device) throw bad(`is on device ${extent.base} of ${devices.length}`)
      const { start, length, base } = extent
      if (start < device.usableStart || start + length > device.size)
        throw bad(
          `has bytes ${start} to ${start + length} of ${device.name}, which offers ${device.usableStart} to ${device.size}`,
        )
      placed.push({ base, start, length, name })
    }
    if (!Number.isSafeInteger(totalLength(extents))) throw refuse(`partition ${name} is impossibly large`)
  }
  for (const base of devices.keys()) {
    const onBase = placed.filter((run) => run.base === base)
    const [one, two] = findOverlap(onBase) ?? []
    if (one !== undefined && two !== undefined)
      throw refuse(
        `partitions ${onBase[one]!.name} and ${onBase[two]!.name} overlap at byte ${onBase[two]!.start} of ${devices[base]!.name}`,
        'ERR_DDI_SUPER_EXTENT',
      )
  }
}

/** Groups whose partitions have more than the group may, with how much they have. */
export function overfullGroups({
  groups,
  partitions,
}: Metadata): readonly (PartitionGroup & { readonly size: number })[] {
  return groups
    .map((group) => ({
      ...group,
      size: totalLength(partitions.filter((one) => one.group === group.name).flatMap(({ extents }) => extents)),
    }))
    .filter(({ size, maximumSize }) => maximumSize > 0 && size > maximumSize)
}

/**
 * Encodes one copy of the metadata: header and tables, without what is unused behind them.
 * @throws ERR_DDI_USAGE for what metadata cannot say, ERR_DDI_SUPER_GROUP where a group would have more than it may,
 *   ERR_DDI_TABLE_FULL where it takes more than a copy has
 */
export function encodeMetadata(metadata: Metadata, geometry: Geometry): Uint8Array {
  const refuse: Refuse = (what) => new DdiError('ERR_DDI_USAGE', what)
  const { partitions, groups, devices } = metadata
  for (const [what, names] of Object.entries({ partition: partitions, group: groups, device: devices }))
    for (const { name } of names) checkName(name, `a ${what}`, refuse)
  checkLayout(metadata, geometry, refuse)
  const [overfull] = overfullGroups(metadata)
  if (overfull)
    throw new DdiError(
      'ERR_DDI_SUPER_GROUP',
      `the partitions of group ${overfull.name} would have ${overfull.size} bytes, and may have ${overfull.maximumSize}`,
    )
  const newer = partitions.some(({ attributes }) => attributes.updated || attributes.disabled)
  const minorVersion = Math.max(metadata.minorVersion, metadata.flags ? 2 : newer ? 1 : 0)
  const headerLength = minorVersion < 2 ? shortHeader : longHeader
  const extents = partitions.flatMap((partition) => partition.extents)
  const counts = {
    partitions: partitions.length,
    extents: extents.length,
    groups: groups.length,
    devices: devices.length,
  }
  const tablesLength = tableNames.reduce((sum, name) => sum + counts[name] * entryLengths[name], 0)
  if (headerLength + tablesLength > geometry.metadataSize)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `the metadata would take ${headerLength + tablesLength} bytes, and each copy has room for ${geometry.metadataSize}: remove a partition`,
    )
  const bytes = new Uint8Array(headerLength + tablesLength)
  const view = new DataView(bytes.buffer)
  const tables = bytes.subarray(headerLength)
  const rows = new DataView(bytes.buffer, headerLength)
  let at = 0
  tableNames.forEach((name, index) => {
    const descriptor = descriptorsAt + 12 * index
    view.setUint32(descriptor, at, true)
    view.setUint32(descriptor + 4, counts[name], true)
    view.setUint32(descriptor + 8, entryLengths[name], true)
    at += counts[name] * entryLengths[name]
  })
  at = 0
  const text = (offset: number, name: string) => tables.set(Buffer.from(name, 'latin1'), offset)
  const sectors = (bytes: number) => BigInt(bytes / sectorSize)
  let nextExtent = 0
  for (const { name, attributes, group, extents } of partitions) {
    text(at, name)
    const bits = Object.entries(attributeBits).reduce(
      (sum, [key, bit]) => sum | (attributes[key as keyof PartitionAttributes] ? bit : 0),
      0,
    )
    const groupIndex = groups.findIndex((one) => one.name === group)
    if (groupIndex < 0) throw refuse(`partition ${name} would be in group ${group}, which is not there`)
    for (const [index, value] of [bits, nextExtent, extents.length, groupIndex].entries())
      rows.setUint32(at + 36 + 4 * index, value, true)
    nextExtent += extents.length
    at += entryLengths.partitions
  }
  for (const extent of extents) {
    rows.setBigUint64(at, sectors(extent.length), true)
    rows.setUint32(at + 8, target[extent.kind], true)
    if (extent.kind === 'linear') {
      rows.setBigUint64(at + 12, sectors(extent.start), true)
      rows.setUint32(at + 20, extent.base, true)
    }
    at += entryLengths.extents
  }
  for (const { name, slotSuffixed, maximumSize } of groups) {
    text(at, name)
    rows.setUint32(at + 36, slotSuffixed ? slotSuffixedFlag : 0, true)
    rows.setBigUint64(at + 40, BigInt(maximumSize), true)
    at += entryLengths.groups
  }
  for (const { name, slotSuffixed, size, usableStart, alignment, alignmentOffset } of devices) {
    rows.setBigUint64(at, sectors(usableStart), true)
    rows.setUint32(at + 8, alignment, true)
    rows.setUint32(at + 12, alignmentOffset, true)
    rows.setBigUint64(at + 16, BigInt(size), true)
    text(at + 24, name)
    rows.setUint32(at + 60, slotSuffixed ? slotSuffixedFlag : 0, true)
    at += entryLengths.devices
  }
  view.setUint32(0, magic, true)
  view.setUint16(4, majorVersion, true)
  view.setUint16(6, minorVersion, true)
  view.setUint32(8, headerLength, true)
  view.setUint32(44, tablesLength, true)
  bytes.set(createHash('sha256').update(tables).digest(), 48)
  if (headerLength === longHeader) view.setUint32(128, metadata.flags, true)
  bytes.set(checksum(bytes.subarray(0, headerLength), headerChecksumAt), headerChecksumAt)
  return bytes
}

/** The suffix of a slot: `_a` for slot 0, `_b` for slot 1, … */
export function slotSuffix(slot: number): string {
  return `_${String.fromCharCode('a'.charCodeAt(0) + slot)}`
}

/** Metadata as it counts for a slot: what is to be suffixed is, as liblp's ReadMetadata does it. */
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

import { bytes, type RecordFormat, record, text, u16, u32, u64 } from './record.js'

// The layout of one copy of the metadata: AOSP's fs_mgr/liblp/include/liblp/metadata_format.h, version 10.0 to 10.2.

export const magic = 0x414c5030
export const majorVersion = 10
export const newestMinorVersion = 2
export const nameLength = 36

/** The rows of the tables, in the order of the tables (LpMetadataPartition, -Extent, -PartitionGroup, -BlockDevice). */
export const rows = {
  partitions: record({ name: text(nameLength), attributes: u32, firstExtent: u32, extentCount: u32, group: u32 }),
  /** Length and start in sectors of 512 bytes. */
  extents: record({ length: u64, type: u32, start: u64, device: u32 }),
  groups: record({ name: text(nameLength), flags: u32, maximumSize: u64 }),
  /** The usable start in sectors of 512 bytes, the rest in bytes. */
  devices: record({
    usableStart: u64,
    alignment: u32,
    alignmentOffset: u32,
    size: u64,
    name: text(nameLength),
    flags: u32,
  }),
} as const

export type TableName = keyof typeof rows
export const tableNames = Object.keys(rows) as TableName[]
export type Row<Name extends TableName> = ReturnType<(typeof rows)[Name]['read']>

/** Where a table lies behind the header, in bytes (LpMetadataTableDescriptor). */
const descriptor = record({ offset: u32, count: u32, rowLength: u32 })
export type Descriptor = ReturnType<typeof descriptor.read>

const common = {
  magic: u32,
  majorVersion: u16,
  minorVersion: u16,
  length: u32,
  checksum: bytes(32),
  tablesLength: u32,
  tablesChecksum: bytes(32),
  partitions: descriptor,
  extents: descriptor,
  groups: descriptor,
  devices: descriptor,
} as const
/** Of versions 10.0 and 10.1 (LpMetadataHeader). */
export const shortHeader: RecordFormat<typeof common> = record(common)
/** Of version 10.2. No header has more, and no copy of the metadata less room. */
export const longHeader = record({ ...common, flags: u32, reserved: bytes(124) })

/** Attributes of partitions. */
export const attributeBits = { readOnly: 1, slotSuffixed: 2, updated: 4, disabled: 8 } as const
/** Attributes that version 10.1 added. */
export const newerAttributes = ['updated', 'disabled'] as const
/** The only flag of groups and of devices. */
export const slotSuffixedFlag = 1
export const extentTypes = { linear: 0, zero: 1 } as const

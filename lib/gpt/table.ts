import type { ErrorCode } from '../errors.js'

/** A partition of a GPT, in bytes from the start of the disk. */
export interface Partition {
  /** Its place in the entry array, from 1, as in `/dev/sda1`. */
  readonly number: number
  readonly typeUuid: string
  readonly uuid: string
  readonly start: number
  readonly length: number
  /** All 64 attribute bits; see {@link partitionAttributes}. */
  readonly attributes: bigint
  /** At most 36 UTF-16 code units. Hostile: may hold control characters and lone surrogates. */
  readonly label: string
}

/** A GUID Partition Table (UEFI specification 2.10, section 5.3). */
export interface Gpt {
  /** 512, 1024, 2048 or 4096 bytes. */
  readonly sectorSize: number
  readonly uuid: string
  /** Size of an entry in bytes, 128·2ⁿ. */
  readonly entrySize: number
  /** How many entries the array holds, used or not. */
  readonly entryCount: number
  /** Bytes; partitions lie within [usableStart, usableEnd). */
  readonly usableStart: number
  readonly usableEnd: number
  /** In the order of their numbers. */
  readonly partitions: readonly Partition[]
}

/** The size in bytes of the fields that the specification defines; no entry is smaller. */
export const smallestEntry = 128

/** One of the two copies of a GPT. */
export type Copy = 'primary' | 'backup'

/** What is wrong with a copy of a table, or with one partition in it. */
export interface GptProblem {
  readonly copy: Copy
  readonly code: Extract<ErrorCode, `ERR_DDI_GPT_${string}` | 'ERR_DDI_NO_TABLE'>
  /** The partition's number. */
  readonly partition?: number
}

/** What a reader found: a table, the copy it was read from, and what is wrong nevertheless; or why there is none. */
export type GptScan =
  | { readonly copy: Copy; readonly table: Gpt; readonly problems: readonly GptProblem[] }
  | GptProblem

/** A table with the bytes that a change of it keeps. */
export interface StoredGpt {
  readonly copy: Copy
  readonly table: Gpt
  readonly problems: readonly GptProblem[]
  /** The entries of the copy that was read. */
  readonly array: Uint8Array
  /** The sectors of the headers; for a copy that does not verify, the other one's. */
  readonly headers: Readonly<Record<Copy, Uint8Array>>
  /** The LBAs of the entry arrays; for a copy that is lost or moves, where its array belongs. */
  readonly arrays: Readonly<Record<Copy, number>>
  /** Where the table says that its backup header lies; on a disk that has grown, not at the end. */
  readonly backupLba: number
  /** The first 512 bytes of the disk. */
  readonly mbr: Uint8Array
}

/** The attribute bits of the Discoverable Partitions Specification, and of docs/extension-partitions.md. */
export const partitionAttributes = {
  /** This segment of a volume is not the last. */
  continued: 1n << 58n,
  growFileSystem: 1n << 59n,
  readOnly: 1n << 60n,
  noAuto: 1n << 63n,
} as const

/**
 * A table as a change of it begins: on a disk that has grown, all before the place of its new backup is usable. Where the
 * backup lies at the end, the usable range stays what it is: what lies behind it may be somebody's.
 * @param size of the disk, in bytes
 */
export function fitToDisk({ table, backupLba, arrays }: StoredGpt, size: number): Gpt {
  const isAtEnd = backupLba === lastLba(table, size)
  return isAtEnd ? table : { ...table, usableEnd: Math.max(table.usableEnd, arrays.backup * table.sectorSize) }
}

/** Where the backup belongs on a disk. @param size in bytes */
export function lastLba({ sectorSize }: Gpt, size: number): number {
  return Math.floor(size / sectorSize) - 1
}

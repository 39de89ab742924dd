import { sha256 } from '../bytes/native.js'
import { octets } from '../bytes/octets.js'
import { DdiError } from '../errors.js'

/** How a value lies in the bytes of a structure. Numbers are little-endian. */
export interface Field<Value> {
  /** In bytes. */
  readonly length: number
  fits(value: Value): boolean
  read(view: DataView, at: number): Value
  write(view: DataView, at: number, value: Value): void
}

type Fields = Readonly<Record<string, Field<unknown>>>
type ValuesOf<Described extends Fields> = {
  readonly [Name in keyof Described]: Described[Name] extends Field<infer Value> ? Value : never
}

/** A packed structure, and itself a field of larger ones. */
export interface RecordFormat<Described extends Fields> extends Field<ValuesOf<Described>> {
  /** Where each field begins, in bytes. */
  readonly offsets: Readonly<Record<keyof Described, number>>
}

export const u16: Field<number> = {
  length: 2,
  fits: (value) => isUnsigned(value, 2 ** 16),
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value) => view.setUint16(at, value, true),
}

export const u32: Field<number> = {
  length: 4,
  fits: (value) => isUnsigned(value, 2 ** 32),
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
}

export const u64: Field<bigint> = {
  length: 8,
  fits: (value) => value >= 0n && value < 2n ** 64n,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
}

function isUnsigned(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end
}

function slice(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length)
}

/** Bytes as they are. */
export function bytes(length: number): Field<Uint8Array> {
  return {
    length,
    fits: (value) => value.length === length,
    read: (view, at) => Uint8Array.from(slice(view, at, length)),
    write: (view, at, value) => slice(view, at, length).set(value),
  }
}

/** Text of one byte a character, padded with NULs; without one if it fills the field. */
export function text(length: number): Field<string> {
  return {
    length,
    fits: (value) => value.length <= length,
    read(view, at) {
      const stored = slice(view, at, length)
      const end = stored.indexOf(0)
      return String.fromCharCode(...stored.subarray(0, end < 0 ? length : end))
    },
    write: (view, at, value) => slice(view, at, length).set(octets(value)),
  }
}

/**
 * Describes a packed structure by its fields, in the order in which they lie.
 * @returns its format, whose `write` throws ERR_DDI_USAGE for a value that its field cannot store
 */
export function record<Described extends Fields>(fields: Described): RecordFormat<Described> {
  const entries: (readonly [name: string, field: Field<unknown>, offset: number])[] = []
  let length = 0
  for (const [name, field] of Object.entries(fields)) {
    entries.push([name, field, length])
    length += field.length
  }
  return {
    length,
    offsets: Object.fromEntries(entries.map(([name, , offset]) => [name, offset])) as Record<keyof Described, number>,
    fits: (values) => entries.every(([name, field]) => field.fits(values[name])),
    read: (view, at) =>
      Object.fromEntries(
        entries.map(([name, field, offset]) => [name, field.read(view, at + offset)]),
      ) as ValuesOf<Described>,
    write(view, at, values) {
      for (const [name, field, offset] of entries) {
        if (!field.fits(values[name]))
          throw new DdiError('ERR_DDI_USAGE', `${name} cannot be ${String(values[name])}: it has ${field.length} bytes`)
        field.write(view, at + offset, values[name])
      }
    },
  }
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

/** SHA-256 of a structure whose own checksum, at byte `at`, counts as zeroes. */
export function checksum(structure: Uint8Array, at: number): Uint8Array {
  return sha256(structure.subarray(0, at), new Uint8Array(32), structure.subarray(at + 32))
}

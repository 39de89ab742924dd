import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'

/** A section of a program for UEFI; its places and sizes in bytes. */
export interface PeSection {
  readonly name: string
  readonly virtualAddress: number
  readonly virtualSize: number
  /** Where its bytes lie in the file. */
  readonly raw: Run
}

/** The headers of a program for UEFI: PE Format, Microsoft. */
export interface Pe {
  /** IMAGE_FILE_MACHINE_…: 0x8664 is x86-64, 0xaa64 is AArch64. */
  readonly machine: number
  readonly sections: readonly PeSection[]
  readonly fileAlignment: number
  readonly sectionAlignment: number
  /** In bytes, in memory. */
  readonly imageSize: number
  /** The table of certificates; null: it is not signed. */
  readonly signature: Run | null
  /** Where fields lie that change with the sections. */
  readonly at: {
    readonly fileHeader: number
    readonly optionalHeader: number
    readonly sectionTable: number
    /** No section header can lie from here on. */
    readonly headersEnd: number
  }
}

/** How much of a file its headers may take. */
export const mostHeaderBytes = 65536
export const sectionHeaderSize = 40
/** Windows loads no more; the firmware would. */
const mostSections = 96

/** Offsets in the optional header; these are the same in PE32 and PE32+. */
export const optionalFields = {
  codeSize: 4,
  dataSize: 8,
  sectionAlignment: 32,
  fileAlignment: 36,
  imageSize: 56,
  headerSize: 60,
  checksum: 64,
} as const

/**
 * @param head the beginning of the file: {@link mostHeaderBytes}, or all
 * @param size of the file, in bytes
 * @param name for errors
 * @throws ERR_DDI_PE_FORMAT, ERR_DDI_PE_OVERLAP
 */
export function parsePe(head: Uint8Array, size: number, name: string): Pe {
  const refuse = (what: string) => new DdiError('ERR_DDI_PE_FORMAT', `${name} ${what}`)
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  if (head.length < 64 || view.getUint16(0) !== 0x4d5a) throw refuse('is no program for UEFI: it has no MZ header')
  const fileHeader = view.getUint32(60, true) + 4
  if (fileHeader + 20 > head.length || view.getUint32(fileHeader - 4) !== 0x50450000)
    throw refuse('is no program for UEFI: it has no PE header')
  const optionalHeader = fileHeader + 20
  const optionalSize = view.getUint16(fileHeader + 16, true)
  const sectionTable = optionalHeader + optionalSize
  const count = view.getUint16(fileHeader + 2, true)
  if (count === 0 || count > mostSections) throw refuse(`claims ${count} sections`)
  if (sectionTable + count * sectionHeaderSize > head.length) throw refuse('is truncated, or has malformed headers')
  const magic = optionalSize < 96 ? 0 : view.getUint16(optionalHeader, true)
  if (magic !== 0x10b && magic !== 0x20b) throw refuse('has an optional header that is neither PE32 nor PE32+')
  const field = (offset: number) => view.getUint32(optionalHeader + offset, true)
  const [fileAlignment, sectionAlignment] = [
    field(optionalFields.fileAlignment),
    field(optionalFields.sectionAlignment),
  ]
  if (![fileAlignment, sectionAlignment].every((one) => isPowerOfTwo(one) && one <= 2 ** 20))
    throw refuse(`claims alignments of ${fileAlignment} and ${sectionAlignment} bytes`)
  const sections = Array.from({ length: count }, (_, index) =>
    parseSection(view, sectionTable + index * sectionHeaderSize),
  )
  const outside = sections.find(({ raw }) => raw.start + raw.length > size)
  if (outside) throw refuse(`is truncated: its section ${outside.name} ends after its ${size} bytes`)
  refuseOverlap(sections, name)
  const dataStarts = sections.flatMap(({ raw }) => (raw.length > 0 ? [raw.start] : []))
  const headersEnd = Math.min(roundUp(field(optionalFields.headerSize), fileAlignment), ...dataStarts)
  if (headersEnd > size) throw refuse(`is truncated: its headers end after its ${size} bytes`)
  if (sectionTable + count * sectionHeaderSize > headersEnd) throw refuse('has section headers that lie in a section')
  // The number of data directories precedes them; that of certificates is the fifth, and gives a place in the file.
  const directories = optionalHeader + (magic === 0x10b ? 96 : 112)
  const hasSignature = view.getUint32(directories - 4, true) > 4 && directories + 40 <= sectionTable
  const signature = hasSignature ? runAt(view, directories + 32) : { start: 0, length: 0 }
  if (signature.start + signature.length > size) throw refuse('is truncated: its signature ends after it')
  return {
    machine: view.getUint16(fileHeader, true),
    sections,
    fileAlignment,
    sectionAlignment,
    imageSize: field(optionalFields.imageSize),
    signature: signature.length > 0 ? signature : null,
    at: { fileHeader, optionalHeader, sectionTable, headersEnd },
  }
}

function runAt(view: DataView, at: number): Run {
  return { start: view.getUint32(at, true), length: view.getUint32(at + 4, true) }
}

function parseSection(view: DataView, at: number): PeSection {
  const name = Buffer.from(view.buffer, view.byteOffset + at, 8)
    .toString('latin1')
    .replace(/\0.*$/s, '')
  const [virtualSize, virtualAddress] = [view.getUint32(at + 8, true), view.getUint32(at + 12, true)]
  const raw = { start: view.getUint32(at + 20, true), length: view.getUint32(at + 16, true) }
  return { name, virtualAddress, virtualSize, raw: raw.length > 0 ? raw : { start: 0, length: 0 } }
}

/** @throws ERR_DDI_PE_OVERLAP */
function refuseOverlap(sections: readonly PeSection[], name: string): void {
  const places = [
    ['the file', (one: PeSection) => one.raw],
    ['memory', (one: PeSection) => ({ start: one.virtualAddress, length: one.virtualSize })],
  ] as const
  for (const [where, runOf] of places) {
    const used = sections.filter((one) => runOf(one).length > 0)
    const sorted = used.toSorted((a, b) => runOf(a).start - runOf(b).start)
    for (const [index, one] of sorted.entries()) {
      const next = sorted[index + 1]
      if (next && runOf(one).start + runOf(one).length > runOf(next).start)
        throw new DdiError(
          'ERR_DDI_PE_OVERLAP',
          `${name}: its sections ${one.name} and ${next.name} overlap in ${where}`,
        )
    }
  }
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value))
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}

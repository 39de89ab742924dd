import { concatSources } from '../bytes/concat.js'
import { memorySource } from '../bytes/memory.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { mostHeaderBytes, optionalFields, type Pe, type PeSection, parsePe, roundUp, sectionHeaderSize } from './pe.js'

/** A section to be made. */
export interface NewSection {
  /** At most eight bytes, ASCII. */
  readonly name: string
  readonly content: Source
  /** In memory, zeroes behind its content included; default: that of the content. */
  readonly virtualSize?: number
  readonly isCode?: boolean
}

/** IMAGE_SCN_… */
const characteristics = { code: 0x20, data: 0x40, readable: 0x40000000 } as const
const page = 4096

/**
 * A program with more sections behind those that it has; one that has a name already takes its place. Its checksum is not
 * set: {@link peChecksum}.
 * @param name of the program, for errors
 * @throws as {@link parsePe}, ERR_DDI_PE_FORMAT if it is signed, ERR_DDI_PE_FULL if it has no room for their headers, or is
 *   over 4 GiB with them
 */
export function appendSections(program: Uint8Array, added: readonly NewSection[], name: string): Source {
  const pe = parsePe(program, program.length, name)
  if (pe.signature) throw new DdiError('ERR_DDI_PE_FORMAT', `${name} is signed: take one that is not`)
  const kept = pe.sections.filter((one) => added.every((other) => other.name !== one.name))
  const table = pe.at.sectionTable
  if (table + (kept.length + added.length) * sectionHeaderSize > pe.at.headersEnd)
    throw new DdiError(
      'ERR_DDI_PE_FULL',
      `${name} has room for ${Math.floor((pe.at.headersEnd - table) / sectionHeaderSize)} sections, not for ${kept.length + added.length}`,
    )
  // What lies behind the sections, such as symbols, is no part of the program.
  const end = Math.max(pe.at.headersEnd, ...pe.sections.map(({ raw }) => raw.start + raw.length))
  const head = Buffer.alloc(roundUp(end, pe.fileAlignment))
  head.set(program.subarray(0, end))
  const placed = place(added, pe, head.length)
  const last = placed.at(-1)
  if (last && last.rawStart + last.rawSize + last.virtualAddress + last.virtualSize > 2 ** 32)
    throw new DdiError('ERR_DDI_PE_FULL', `${name} would be over 4 GiB: make what goes into it smaller`)
  writeHeaders(head, pe, kept, placed)
  const parts = placed.flatMap(({ content, rawSize }) => [
    content,
    memorySource(new Uint8Array(rawSize - content.size)),
  ])
  return concatSources([memorySource(head), ...parts].filter(({ size }) => size > 0))
}

interface Placed extends NewSection {
  readonly virtualAddress: number
  readonly virtualSize: number
  readonly rawStart: number
  readonly rawSize: number
}

/** Gives each its place, in the file and in memory, on pages of its own. */
function place(added: readonly NewSection[], pe: Pe, start: number): Placed[] {
  const alignment = Math.max(page, pe.sectionAlignment)
  const ends = pe.sections.map(({ virtualAddress, virtualSize }) => virtualAddress + virtualSize)
  let [rawStart, virtualAddress] = [start, roundUp(Math.max(...ends), alignment)]
  return added.map((section) => {
    const { content, virtualSize = content.size } = section
    const placed = {
      ...section,
      virtualAddress,
      virtualSize,
      rawStart,
      rawSize: roundUp(content.size, pe.fileAlignment),
    }
    rawStart += placed.rawSize
    virtualAddress = roundUp(virtualAddress + virtualSize, alignment)
    return placed
  })
}

/** Changes the headers at the beginning of a program. */
function writeHeaders(head: Buffer, pe: Pe, kept: readonly PeSection[], added: readonly Placed[]): void {
  const { fileHeader, optionalHeader, sectionTable, headersEnd } = pe.at
  const headers = pe.sections.flatMap((section, index) => {
    const at = sectionTable + index * sectionHeaderSize
    return kept.includes(section) ? [Buffer.from(head.subarray(at, at + sectionHeaderSize))] : []
  })
  const table = Buffer.concat([...headers, ...added.map(sectionHeader)])
  head.fill(0, sectionTable, headersEnd)
  head.set(table, sectionTable)
  head.writeUInt16LE(table.length / sectionHeaderSize, fileHeader + 2)
  // Symbols are gone.
  head.fill(0, fileHeader + 8, fileHeader + 16)
  const add = (field: number, sections: readonly Placed[]) => {
    const size = sections.reduce((sum, { rawSize }) => sum + rawSize, head.readUInt32LE(optionalHeader + field))
    head.writeUInt32LE(size % 2 ** 32, optionalHeader + field)
  }
  add(
    optionalFields.codeSize,
    added.filter(({ isCode }) => isCode),
  )
  add(
    optionalFields.dataSize,
    added.filter(({ isCode }) => !isCode),
  )
  const last = added.at(-1)
  const imageSize = last ? roundUp(last.virtualAddress + last.virtualSize, pe.sectionAlignment) : pe.imageSize
  head.writeUInt32LE(imageSize, optionalHeader + optionalFields.imageSize)
  head.writeUInt32LE(headersEnd, optionalHeader + optionalFields.headerSize)
  head.writeUInt32LE(0, optionalHeader + optionalFields.checksum)
}

function sectionHeader({ name, isCode, virtualAddress, virtualSize, rawStart, rawSize }: Placed): Buffer {
  const header = Buffer.alloc(sectionHeaderSize)
  header.write(name, 'latin1')
  header.writeUInt32LE(virtualSize, 8)
  header.writeUInt32LE(virtualAddress, 12)
  header.writeUInt32LE(rawSize, 16)
  header.writeUInt32LE(rawStart, 20)
  header.writeUInt32LE(characteristics.readable | (isCode ? characteristics.code : characteristics.data), 36)
  return header
}

const step = 4 * 1024 * 1024

/** The checksum of a program whose checksum is 0, and where it belongs: CheckSumMappedFile() of Windows. @throws as {@link parsePe} */
export async function peChecksum(
  program: Source,
  name: string,
): Promise<{ readonly at: number; readonly bytes: Buffer }> {
  const { at } = parsePe(await program.read(0, Math.min(mostHeaderBytes, program.size)), program.size, name)
  let sum = 0
  for (let done = 0; done < program.size; done += step) {
    const length = Math.min(step, program.size - done)
    const chunk = Buffer.alloc(length + (length % 2))
    chunk.set(await program.read(done, length))
    for (let at = 0; at < chunk.length; at += 2) sum += chunk[at]! | (chunk[at + 1]! << 8)
    // Carries are added again.
    while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
  }
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(sum + program.size)
  return { at: at.optionalHeader + optionalFields.checksum, bytes }
}

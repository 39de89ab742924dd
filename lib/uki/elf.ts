import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'

/** What the dynamic loader reads of a program or library. */
export interface Elf {
  /** e_machine: 62 is x86-64, 183 is AArch64. */
  readonly machine: number
  /** The dynamic loader that the kernel starts; null: a library, or linked statically. */
  readonly interpreter: string | null
  readonly needed: readonly string[]
  /** Searched for the libraries of this file and of those that it needs, unless there is a `runPath`. */
  readonly rPath: readonly string[]
  /** Searched for the libraries of this file. */
  readonly runPath: readonly string[]
}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly fileSize: number
}

/** PT_… of <elf.h>. */
const segmentTypes = { load: 1, dynamic: 2, interpreter: 3 } as const
/** DT_… of <elf.h>. */
const tags = { end: 0, needed: 1, stringTable: 5, stringTableSize: 10, rPath: 15, runPath: 29 } as const

const headerSize = 64
const segmentSize = 56
const entrySize = 16
/** Linux refuses programs with more bytes of program headers. */
const mostSegmentBytes = 65536
const mostDynamicBytes = 1024 * 1024
/** PATH_MAX */
const longestString = 4096

/**
 * Reads the part of an ELF file that says which libraries it needs: elf(5). Only 64-bit little-endian files are read.
 * @param name for errors
 * @throws ERR_DDI_ELF
 */
export async function readElf(source: Source, name: string): Promise<Elf> {
  const refuse = (what: string) => new DdiError('ERR_DDI_ELF', `${name} ${what}`)
  const read = async (offset: number, length: number, what: string): Promise<Buffer> => {
    if (!Number.isSafeInteger(offset) || offset + length > source.size)
      throw refuse(`is truncated, or malformed: its ${what} lies outside its ${source.size} bytes`)
    const bytes = await source.read(offset, length)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  const header = await read(0, headerSize, 'header')
  if (header.toString('latin1', 0, 4) !== '\x7fELF') throw refuse('is no ELF file')
  if (header[4] !== 2 || header[5] !== 1) throw refuse('is no 64-bit little-endian ELF file')
  const count = header.readUInt16LE(56)
  if (header.readUInt16LE(54) !== segmentSize || count * segmentSize > mostSegmentBytes)
    throw refuse('has malformed program headers')
  const table = await read(Number(header.readBigUInt64LE(32)), count * segmentSize, 'table of program headers')
  const segments = Array.from({ length: count }, (_, index) => parseSegment(table, index * segmentSize))
  const string = async (offset: number, end: number, what: string): Promise<string> => {
    const bytes = await read(offset, Math.max(0, Math.min(longestString, end - offset)), what)
    const length = bytes.indexOf(0)
    if (length < 0) throw refuse(`has no end of its ${what}`)
    return bytes.toString('utf8', 0, length)
  }
  const loader = segments.find(({ type }) => type === segmentTypes.interpreter)
  const dynamic = segments.find(({ type }) => type === segmentTypes.dynamic)
  if (dynamic && dynamic.fileSize > mostDynamicBytes) throw refuse('has a dynamic section of impossible size')
  const entries = dynamic ? parseDynamic(await read(dynamic.offset, dynamic.fileSize, 'dynamic section')) : []
  const first = (tag: number) => entries.find((one) => one.tag === tag)?.value
  const strings = (tag: number) => {
    const offsets = entries.flatMap((one) => (one.tag === tag ? [one.value] : []))
    if (offsets.length === 0) return []
    const start = fileOffset(segments, first(tags.stringTable) ?? -1)
    if (start === undefined) throw refuse('has no string table')
    const end = Math.min(source.size, start + (first(tags.stringTableSize) ?? 0))
    return Promise.all(offsets.map((offset) => string(start + offset, end, 'string table')))
  }
  const paths = async (tag: number) => (await strings(tag)).flatMap((one) => one.split(':')).filter(Boolean)
  return {
    machine: header.readUInt16LE(18),
    interpreter: loader ? await string(loader.offset, loader.offset + loader.fileSize, 'interpreter') : null,
    needed: await strings(tags.needed),
    rPath: await paths(tags.rPath),
    runPath: await paths(tags.runPath),
  }
}

function parseSegment(table: Buffer, at: number): Segment {
  return {
    type: table.readUInt32LE(at),
    offset: Number(table.readBigUInt64LE(at + 8)),
    address: Number(table.readBigUInt64LE(at + 16)),
    fileSize: Number(table.readBigUInt64LE(at + 32)),
  }
}

function parseDynamic(bytes: Buffer): { readonly tag: number; readonly value: number }[] {
  const entries = Array.from({ length: Math.floor(bytes.length / entrySize) }, (_, index) => ({
    tag: Number(bytes.readBigInt64LE(index * entrySize)),
    value: Number(bytes.readBigUInt64LE(index * entrySize + 8)),
  }))
  const end = entries.findIndex(({ tag }) => tag === tags.end)
  return end < 0 ? entries : entries.slice(0, end)
}

/** Where an address is in the file. */
function fileOffset(segments: readonly Segment[], address: number): number | undefined {
  const segment = segments.find(
    (one) => one.type === segmentTypes.load && address >= one.address && address < one.address + one.fileSize,
  )
  return segment && segment.offset + address - segment.address
}

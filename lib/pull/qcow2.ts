import { promisify } from 'node:util'
import { constants, inflateRaw } from 'node:zlib'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { type Batch, zeroBatch } from './batches.js'
import { zstdDecoder } from './decoders.js'

const inflate = promisify(inflateRaw)

/** Of the specification, docs/interop/qcow2.txt of QEMU; all numbers are big-endian. */
const magic = Buffer.from('QFI\xfb', 'latin1')
const headerLength = 72
const extendedHeaderLength = 105
const incompatible = {
  corrupt: 1n << 1n,
  dataFile: 1n << 2n,
  compression: 1n << 3n,
  extendedEntries: 1n << 4n,
} as const
/** Those that change nothing of how the active state is read: the image was not closed, another compression. */
const readable = (1n << 0n) | incompatible.corrupt | incompatible.compression
const offsetMask = 0x00ff_ffff_ffff_fe00n
const compressedFlag = 1n << 62n
const zeroFlag = 1n
const sector = 512
/** How much is converted at once, in bytes. */
const step = 1024 * 1024

/** Of a compressed cluster, in bytes: several are unpacked at once, and none is larger than 2 MiB. */
const mostWindow = 4 * 1024 * 1024

/** Whether bytes begin as a disk image in qcow2 format, or in the one before it. */
export function isQcow2(head: Uint8Array): boolean {
  return magic.equals(head.subarray(0, magic.length))
}

/** A disk image in qcow2 format. */
export interface Qcow2 {
  /** Of the disk, in bytes. */
  readonly size: number
  /** All bytes of the disk, in order. @throws ERR_DDI_QCOW2 */
  bytes(): AsyncGenerator<Batch>
}

/** What a header says. */
interface Layout {
  readonly size: number
  readonly clusterBits: number
  readonly hasZeroFlag: boolean
  readonly compression: 'deflate' | 'zstd'
  /** Of the first-level table, for the whole disk. */
  readonly tableOffset: number
}

function malformed(what: string): DdiError {
  return new DdiError('ERR_DDI_QCOW2', `qcow2 image: ${what}`)
}

function unsupported(what: string): DdiError {
  return new DdiError(
    'ERR_DDI_PULL_FORMAT',
    `a qcow2 image with ${what} is not supported: convert it to a raw one first`,
  )
}

/**
 * Opens a disk image in qcow2 format, version 2 or 3; its clusters are looked up as they are read. Snapshots are ignored.
 * @param file as it is stored
 * @throws ERR_DDI_QCOW2, ERR_DDI_PULL_FORMAT for encryption, backing and data files, extended entries and other versions
 */
export async function openQcow2(file: Source): Promise<Qcow2> {
  if (file.size < headerLength) throw malformed('the header is truncated')
  const layout = parseHeader(Buffer.from(await file.read(0, Math.min(file.size, extendedHeaderLength))))
  return { size: layout.size, bytes: () => bytesOf(file, layout) }
}

function parseHeader(header: Buffer): Layout {
  const version = header.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw unsupported(`version ${version}`)
  if (header.readBigUInt64BE(8) !== 0n) throw unsupported('a backing file')
  if (header.readUInt32BE(32) !== 0) throw unsupported('encryption')
  const features = version === 2 || header.length < extendedHeaderLength - 1 ? 0n : header.readBigUInt64BE(72)
  if ((features & incompatible.corrupt) !== 0n) throw malformed('it is marked as corrupt')
  if ((features & incompatible.dataFile) !== 0n) throw unsupported('a data file')
  if ((features & incompatible.extendedEntries) !== 0n) throw unsupported('extended entries')
  if ((features & ~readable) !== 0n) throw unsupported(`the features 0x${features.toString(16)}`)
  const compression = (features & incompatible.compression) === 0n ? 0 : (header[104] ?? 0)
  if (compression > 1) throw unsupported(`compression ${compression}`)
  const clusterBits = header.readUInt32BE(20)
  if (clusterBits < 9 || clusterBits > 21) throw malformed(`clusters of 2^${clusterBits} bytes`)
  const size = header.readBigUInt64BE(24)
  const perTable = 1n << BigInt(2 * clusterBits - 3)
  const tables = (size + perTable - 1n) / perTable
  if (size > BigInt(Number.MAX_SAFE_INTEGER) || tables > BigInt(header.readUInt32BE(36)))
    throw malformed(`the table has too few entries for ${size} bytes`)
  const tableOffset = header.readBigUInt64BE(40)
  if (tableOffset > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('the table lies beyond the file')
  return {
    size: Number(size),
    clusterBits,
    hasZeroFlag: version === 3,
    compression: compression === 1 ? 'zstd' : 'deflate',
    tableOffset: Number(tableOffset),
  }
}

async function* bytesOf(file: Source, layout: Layout): AsyncGenerator<Batch> {
  const clusterSize = 2 ** layout.clusterBits
  const entries = clusterSize / 8
  const perTable = clusterSize * entries
  const [zeroes] = zeroBatch(clusterSize)
  for (let start = 0, index = 0; start < layout.size; start += perTable, index++) {
    const tableAt = (await readWhole(file, layout.tableOffset + index * 8, 8)).readBigUInt64BE() & offsetMask
    const end = Math.min(start + perTable, layout.size)
    if (tableAt === 0n) {
      yield zeroBatch(end - start)
      continue
    }
    const table = await readWhole(file, Number(tableAt), clusterSize)
    const perStep = Math.max(step, clusterSize)
    for (let at = start; at < end; at += perStep) {
      const count = Math.ceil((Math.min(at + perStep, end) - at) / clusterSize)
      const clusters = Array.from({ length: count }, async (_, number) => {
        const from = at + number * clusterSize
        const entry = table.readBigUInt64BE(((from - start) / clusterSize) * 8)
        const bytes = (await readCluster(file, layout, entry)) ?? zeroes!
        return bytes.subarray(0, layout.size - from)
      })
      yield await Promise.all(clusters)
    }
  }
}

/** @returns undefined for zeroes */
async function readCluster(file: Source, layout: Layout, entry: bigint): Promise<Uint8Array | undefined> {
  const clusterSize = 2 ** layout.clusterBits
  if ((entry & compressedFlag) !== 0n) return await readCompressed(file, layout, entry)
  const offset = Number(entry & offsetMask)
  if (offset === 0 || (layout.hasZeroFlag && (entry & zeroFlag) !== 0n)) return undefined
  if (offset >= file.size) throw malformed(`a cluster lies at byte ${offset} of ${file.size}`)
  const stored = await file.read(offset, Math.min(clusterSize, file.size - offset))
  // The last one of a file may be cut where its zeroes begin.
  return stored.length === clusterSize ? stored : Buffer.concat([stored], clusterSize)
}

async function readCompressed(file: Source, { clusterBits, compression }: Layout, entry: bigint): Promise<Uint8Array> {
  const offsetBits = BigInt(62 - (clusterBits - 8))
  const offset = Number(entry & ((1n << offsetBits) - 1n))
  const sectors = Number((entry & (compressedFlag - 1n)) >> offsetBits) + 1
  const length = Math.min(sectors * sector - (offset % sector), file.size - offset)
  if (length <= 0) throw malformed(`a compressed cluster lies at byte ${offset} of ${file.size}`)
  const packed = await file.read(offset, length)
  const size = 2 ** clusterBits
  const bytes = await (compression === 'zstd' ? unpackZstd(packed, size) : unpackDeflate(packed, size)).catch(
    (error: unknown) => {
      if (error instanceof DdiError && error.kind !== 'image') throw error
      throw malformed(`the compressed cluster at byte ${offset} is corrupt: ${(error as Error).message}`)
    },
  )
  if (bytes.length !== size) throw malformed(`the compressed cluster at byte ${offset} is too short`)
  return bytes
}

/** What follows the end, up to that of a sector, belongs to the next cluster. */
async function unpackDeflate(packed: Uint8Array, size: number): Promise<Uint8Array> {
  return await inflate(packed, { maxOutputLength: size, finishFlush: constants.Z_SYNC_FLUSH })
}

async function unpackZstd(packed: Uint8Array, size: number): Promise<Uint8Array> {
  const decode = zstdDecoder(mostWindow)
  const output = Buffer.alloc(size)
  let [rest, filled] = [packed, 0]
  for (let isComplete = false; !isComplete && rest.length > 0 && filled < size; ) {
    const [complete, produced, consumed] = await decode(output.subarray(filled), rest, false)
    if (produced === 0 && consumed === 0) break
    ;[isComplete, rest, filled] = [complete, rest.subarray(consumed), filled + produced]
  }
  return output.subarray(0, filled)
}

async function readWhole(file: Source, offset: number, length: number): Promise<Buffer> {
  if (offset + length > file.size) throw malformed(`a table lies at byte ${offset} of ${file.size}`)
  return Buffer.from(await file.read(offset, length))
}

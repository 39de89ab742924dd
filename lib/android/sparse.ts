import { concatSources } from '../bytes/concat.js'
import { crc32, equalOctets } from '../bytes/native.js'
import { repeatSource, zeroSource } from '../bytes/repeat.js'
import { sliceSource } from '../bytes/slice.js'
import type { Run, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { throwIfAborted, type Work, workNames } from '../work.js'

// AOSP's libsparse/sparse_format.h, version 1; all numbers are little-endian.
const magic = 0xed26ff3a
const headerLength = 28
const chunkHeaderLength = 12
const chunkType = { raw: 0xcac1, fill: 0xcac2, dontCare: 0xcac3, crc32: 0xcac4 } as const
/** A chunk of a few bytes in the file takes memory here; real images have some thousands. */
const mostChunks = 1 << 20
const windowLength = 64 * 1024
const copyStep = 1024 * 1024

/** A checksum of all bytes before `end`. */
interface Checksum {
  readonly end: number
  readonly value: number
}

/**
 * An Android sparse image, expanded as it is read; “don’t care” chunks read as zeroes. It has no `where`: its chunks do not lie on
 * sector boundaries.
 */
export interface SparseSource extends Source {
  /** Of the image, in bytes. */
  readonly blockSize: number
  /** What the image defines, in order; there are zeroes in between. */
  readonly written: readonly Run[]
  /** Reads all of it. @throws ERR_DDI_SPARSE_CRC if the image has checksums that its bytes do not match */
  verify(options?: Work): Promise<void>
}

function malformed(what: string): DdiError {
  return new DdiError('ERR_DDI_SPARSE_FORMAT', `Android sparse image: ${what}`)
}

/** Whether bytes begin as an Android sparse image. */
export async function isSparse(source: Source): Promise<boolean> {
  if (source.size < headerLength) return false
  const bytes = await source.read(0, 4)
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === magic
}

/** A source as it is, or what it expands to if it is an Android sparse image. @throws as {@link openSparse} */
export async function expand(
  file: Source,
): Promise<{ readonly source: Source; readonly sparse: SparseSource | undefined }> {
  const sparse = (await isSparse(file)) ? await openSparse(file) : undefined
  return { source: sparse ?? file, sparse }
}

/**
 * Opens an Android sparse image; its chunks are found and checked at once, its bytes read when they are requested.
 * @param file the image as it is stored
 * @throws ERR_DDI_SPARSE_FORMAT, and what `file.read` throws
 */
export async function openSparse(file: Source): Promise<SparseSource> {
  const header = await readHeader(file)
  const { parts, written, checksums } = await readChunks(file, header)
  const whole = concatSources(parts)
  const read = (offset: number, length: number) => whole.read(offset, length)
  return {
    size: whole.size,
    blockSize: header.blockSize,
    written,
    read,
    async verify({ signal, onProgress } = {}) {
      let value = 0
      let done = 0
      for (const { end, value: claimed } of checksums) {
        while (done < end) {
          throwIfAborted(signal)
          const bytes = await read(done, Math.min(copyStep, end - done))
          value = crc32(bytes, value)
          done += bytes.length
          onProgress?.({ done, total: whole.size })
        }
        if (value !== claimed)
          throw new DdiError(
            'ERR_DDI_SPARSE_CRC',
            `Android sparse image: the CRC-32 of its first ${end} bytes is ${hex(value)}, not ${hex(claimed)} as it claims: get the image again`,
          )
      }
    },
  }
}

type Header = Awaited<ReturnType<typeof readHeader>>

interface Chunks {
  /** What the chunks expand to, one after the other. */
  readonly parts: readonly Source[]
  readonly written: readonly Run[]
  readonly checksums: readonly Checksum[]
}

async function readChunks(file: Source, header: Header): Promise<Chunks> {
  const { blockSize, size, chunkCount, chunkLength, checksum, at } = header
  const parts: Source[] = []
  const written: Run[] = []
  const checksums: Checksum[] = []
  const read = windowed(file)
  let offset = at
  let end = 0
  for (let number = 0; number < chunkCount; number++) {
    if (offset + chunkLength > file.size) throw malformed(`it ends within chunk ${number} of ${chunkCount}`)
    const chunk = checkedChunk(await read(offset, chunkLength), { number, offset, left: file.size - offset, header })
    const length = chunk.blocks * blockSize
    if (end + length > size)
      throw malformed(`chunk ${number} at byte ${offset} goes to byte ${end + length} of an image of ${size}`)
    const word = async () => (await read(offset + chunkLength, 4)).getUint32(0, true)
    if (chunk.type === chunkType.raw) parts.push(sliceSource(file, { start: offset + chunkLength, length }))
    else if (chunk.type === chunkType.fill) parts.push(repeatSource(await word(), length))
    else if (chunk.type === chunkType.dontCare) parts.push(zeroSource(length))
    else checksums.push({ end, value: await word() })
    if (length > 0 && (chunk.type === chunkType.raw || chunk.type === chunkType.fill))
      written.push({ start: end, length })
    end += length
    offset += chunk.total
  }
  if (end !== size) throw malformed(`its chunks have ${end} bytes, and its header says ${size}`)
  if (checksum !== 0) checksums.push({ end: size, value: checksum })
  return { parts, written, checksums }
}

/** A chunk's header, checked: its kind, its length in blocks of the image, and in bytes of the file. */
function checkedChunk(
  view: DataView,
  { number, offset, left, header }: { number: number; offset: number; left: number; header: Header },
) {
  const bad = (what: string) => malformed(`chunk ${number} at byte ${offset} ${what}`)
  const [type, total] = [view.getUint16(0, true), view.getUint32(8, true)]
  // A checksum covers what is before it, and adds nothing.
  const blocks = type === chunkType.crc32 ? 0 : view.getUint32(4, true)
  const data = total - header.chunkLength
  if (data < 0 || total > left) throw bad(`claims ${total} bytes, of which the file has ${left}`)
  const lengths: Readonly<Record<number, number>> = {
    [chunkType.raw]: blocks * header.blockSize,
    [chunkType.fill]: 4,
    [chunkType.dontCare]: 0,
    [chunkType.crc32]: 4,
  }
  const expected = lengths[type]
  if (expected === undefined) throw bad(`is of type 0x${type.toString(16)}`)
  if (data !== expected) throw bad(`has ${data} bytes of data; its type has ${expected}`)
  return { type, blocks, total }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

async function readHeader(file: Source) {
  if (file.size < headerLength) throw malformed(`only ${file.size} bytes`)
  const bytes = await file.read(0, headerLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  if (view.getUint32(0, true) !== magic) throw malformed('the signature is missing')
  const major = view.getUint16(4, true)
  if (major !== 1) throw malformed(`version ${major}; only 1 is known`)
  const [at, chunkLength] = [view.getUint16(8, true), view.getUint16(10, true)]
  if (at < headerLength || chunkLength < chunkHeaderLength)
    throw malformed(`headers of ${at} and ${chunkLength} bytes, shorter than ${headerLength} and ${chunkHeaderLength}`)
  const [blockSize, blocks, chunkCount, checksum] = [12, 16, 20, 24].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ]
  if (blockSize === 0 || blockSize % 4 !== 0) throw malformed(`blocks of ${blockSize} bytes`)
  if (!Number.isSafeInteger(blocks * blockSize)) throw malformed(`${blocks} blocks of ${blockSize} bytes`)
  if (chunkCount > mostChunks) throw malformed(`${chunkCount} chunks; at most ${mostChunks} are supported`)
  return { blockSize, size: blocks * blockSize, chunkCount, chunkLength, checksum, at }
}

/** Serves small sequential reads from larger ones. */
function windowed(file: Source): (offset: number, length: number) => Promise<DataView> {
  let start = 0
  let bytes: Uint8Array = new Uint8Array()
  return async (offset, length) => {
    if (offset < start || offset + length > start + bytes.length) {
      start = offset
      bytes = await file.read(offset, Math.min(Math.max(windowLength, length), file.size - offset))
    }
    return new DataView(bytes.buffer, bytes.byteOffset + offset - start, length)
  }
}

/** Options of {@link encodeSparse}. */
export interface EncodeSparseOptions extends Work {
  /** What to write, in order, in whole blocks; the rest becomes “don’t care” chunks. Default: all. */
  readonly written?: readonly Run[]
  /** In bytes, a multiple of 4. Default: 4096. */
  readonly blockSize?: number
}
const encodeSparseOptionNames: OptionNames<EncodeSparseOptions> = { ...workNames, written: true, blockSize: true }

/**
 * Encodes bytes as an Android sparse image: blocks of one repeated word become fill chunks.
 * @param source of whole blocks
 * @param target takes the image from byte 0
 * @returns the length of the image in bytes
 * @throws ERR_DDI_USAGE if `source` or `written` are not whole blocks, or more than 2^32 of them
 */
export async function encodeSparse(source: Source, target: Target, options: EncodeSparseOptions = {}): Promise<number> {
  checkOptions(options, encodeSparseOptionNames, 'encodeSparse')
  const { blockSize = 4096, written = [{ start: 0, length: source.size }], onProgress, signal } = options
  for (const { start, length } of [...written, { start: 0, length: source.size }])
    if (start % blockSize !== 0 || length % blockSize !== 0)
      throw new DdiError(
        'ERR_DDI_USAGE',
        `an Android sparse image has whole blocks of ${blockSize} bytes, which ${start} and ${length} are not`,
      )
  if (source.size / blockSize >= 2 ** 32)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `an Android sparse image has fewer than 2^32 blocks: ${source.size} bytes are too many`,
    )
  const writer = new ChunkWriter(target, blockSize)
  let end = 0
  for (const { start, length } of written) {
    await writer.skip(start - end)
    for (let done = 0; done < length; ) {
      throwIfAborted(signal)
      const bytes = await source.read(
        start + done,
        Math.min(copyStep - (copyStep % blockSize) || blockSize, length - done),
      )
      await writer.add(bytes)
      done += bytes.length
      onProgress?.({ done: start + done, total: source.size })
    }
    end = start + length
  }
  await writer.skip(source.size - end)
  return await writer.finish(source.size / blockSize)
}

/** A chunk’s length has 32 bits. */
const largestRawChunk = 1024 * 1024 * 1024

class ChunkWriter {
  readonly #target: Target
  readonly #blockSize: number
  #at = headerLength
  #chunks = 0
  /** The chunk that may still grow; its header is written once it is complete. */
  #open:
    | { readonly at: number; readonly kind: 'raw' | 'fill' | 'dontCare'; readonly value: number; blocks: number }
    | undefined

  constructor(target: Target, blockSize: number) {
    this.#target = target
    this.#blockSize = blockSize
  }

  async skip(length: number): Promise<void> {
    if (length > 0) await this.#extend('dontCare', 0, length / this.#blockSize)
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const value = repeatedWord(bytes.subarray(at, at + this.#blockSize))
      let end = at + this.#blockSize
      while (end < bytes.length && repeatedWord(bytes.subarray(end, end + this.#blockSize)) === value)
        end += this.#blockSize
      const blocks = (end - at) / this.#blockSize
      if (value === undefined) {
        await this.#extend('raw', 0, blocks)
        await this.#target.write(this.#at, bytes.subarray(at, end))
        this.#at += end - at
      } else await this.#extend('fill', value, blocks)
      at = end
    }
  }

  async #extend(kind: 'raw' | 'fill' | 'dontCare', value: number, blocks: number): Promise<void> {
    const open = this.#open
    const full = kind === 'raw' && open && (open.blocks + blocks) * this.#blockSize > largestRawChunk
    if (open?.kind === kind && open.value === value && !full) {
      open.blocks += blocks
      return
    }
    await this.#close()
    this.#open = { at: this.#at, kind, value, blocks }
    this.#at += chunkHeaderLength + (kind === 'fill' ? 4 : 0)
  }

  async #close(): Promise<void> {
    if (!this.#open) return
    const { at, kind, value, blocks } = this.#open
    const header = new Uint8Array(chunkHeaderLength + (kind === 'fill' ? 4 : 0))
    const view = new DataView(header.buffer)
    view.setUint16(0, chunkType[kind], true)
    view.setUint32(4, blocks, true)
    view.setUint32(8, header.length + (kind === 'raw' ? blocks * this.#blockSize : 0), true)
    if (kind === 'fill') view.setUint32(12, value, true)
    await this.#target.write(at, header)
    this.#chunks++
    this.#open = undefined
  }

  async finish(blocks: number): Promise<number> {
    await this.#close()
    const header = new Uint8Array(headerLength)
    const view = new DataView(header.buffer)
    view.setUint32(0, magic, true)
    view.setUint16(4, 1, true)
    view.setUint16(8, headerLength, true)
    view.setUint16(10, chunkHeaderLength, true)
    view.setUint32(12, this.#blockSize, true)
    view.setUint32(16, blocks, true)
    view.setUint32(20, this.#chunks, true)
    await this.#target.write(0, header)
    return this.#at
  }
}

/** The word that a block repeats, if there is one. */
function repeatedWord(block: Uint8Array): number | undefined {
  if (!equalOctets(block.subarray(4), block.subarray(0, -4))) return undefined
  return new DataView(block.buffer, block.byteOffset).getUint32(0, true)
}

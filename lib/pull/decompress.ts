import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Tool } from '../tool.js'
import { type Batch, batchesOf } from './batches.js'
import { corrupt, lz4Decoder, lzmaDecoder, type Step, usualMemory, zstdDecoder } from './decoders.js'
import type { Compression } from './formats.js'
import { throughProcess } from './process.js'

const outputSize = 1024 * 1024
const mostFree = 8

const bzip2: Tool = { command: ['bzip2', '--decompress', '--stdout', '--quiet'], package: 'bzip2' }

/** Buffers that are used again after they were written: fresh memory takes as long as the work done in it. */
export class ReusedMemory {
  readonly #free: Uint8Array[] = []

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(outputSize)
  }

  /** @param chunk from a decompression, and no longer used */
  give(chunk: Uint8Array): void {
    if (chunk.length === outputSize && this.#free.length < mostFree) this.#free.push(chunk)
  }
}

/**
 * Decompresses a stream, on other threads or in another process.
 * @param maxMemory the largest dictionary or window, in bytes
 * @param memory takes chunks back
 * @throws ERR_DDI_PULL_COMPRESSION if it is corrupt or ends early, ERR_DDI_PULL_MEMORY, ERR_DDI_LIBRARY_MISSING, and what `bytes` throws
 */
export async function* decompress(
  bytes: AsyncIterable<Batch>,
  compression: Compression,
  maxMemory = usualMemory,
  memory = new ReusedMemory(),
): AsyncGenerator<Batch> {
  switch (compression) {
    case 'none':
      yield* bytes
      return
    case 'gzip':
      yield* throughStream(joined(bytes), createGunzip({ chunkSize: outputSize }), compression)
      return
    case 'zstd':
      yield* throughDecoder(gathered(bytes, memory), zstdDecoder(maxMemory), memory, compression)
      return
    case 'xz':
    case 'lzma':
      yield* throughDecoder(gathered(bytes, memory), lzmaDecoder(compression, maxMemory), memory, compression)
      return
    case 'lz4':
      yield* throughDecoder(gathered(bytes, memory), lz4Decoder(), memory, compression)
      return
    case 'bzip2':
      yield* throughProcess(bytes, bzip2, { failed: (said) => corrupt('bzip2', new Error(said)) })
  }
}

async function* throughDecoder(
  bytes: AsyncIterable<Uint8Array>,
  step: Step,
  memory: ReusedMemory,
  name: string,
): AsyncGenerator<Batch> {
  let isComplete = false
  let output = memory.take()
  let filled = 0
  const inputs = async function* () {
    for await (const input of bytes) yield { input, last: false }
    yield { input: new Uint8Array(0), last: true }
  }
  for await (const { input, last } of inputs()) {
    let rest = input
    for (let more = true; more; ) {
      const [complete, produced, consumed] = await step(output.subarray(filled), rest, last)
      isComplete = complete
      rest = rest.subarray(consumed)
      filled += produced
      const full = filled === output.length
      // A full output may have left more behind.
      more = rest.length > 0 || (full && !isComplete)
      if (!full) continue
      yield [output]
      output = memory.take()
      filled = 0
    }
  }
  if (filled > 0) yield [output.subarray(0, filled)]
  if (!isComplete) throw corrupt(name, new Error('the end is missing'))
}

/** For decoders for which each step is a round trip to another thread. */
async function* joined(bytes: AsyncIterable<Batch>): AsyncGenerator<Uint8Array> {
  for await (const batch of bytes) yield Buffer.concat(batch)
}

/** The same, in memory that is used again for the next chunk. */
async function* gathered(bytes: AsyncIterable<Batch>, memory: ReusedMemory): AsyncGenerator<Uint8Array> {
  const chunk = memory.take()
  for await (const batch of bytes) {
    let filled = 0
    for (const part of batch)
      for (let at = 0; at < part.length; ) {
        const piece = part.subarray(at, at + chunk.length - filled)
        chunk.set(piece, filled)
        at += piece.length
        filled += piece.length
        if (filled < chunk.length) continue
        yield chunk
        filled = 0
      }
    if (filled > 0) yield chunk.subarray(0, filled)
  }
  memory.give(chunk)
}

/** Errors of the input are thrown as they are, not as corrupt. */
async function* throughStream(
  bytes: AsyncIterable<Uint8Array>,
  stream: NodeJS.ReadWriteStream,
  compression: string,
): AsyncGenerator<Batch> {
  const input = Readable.from(bytes, { objectMode: false })
  let inputError: unknown
  input.on('error', (error) => {
    inputError = error
    ;(stream as unknown as Readable).destroy(error)
  })
  input.pipe(stream)
  try {
    yield* batchesOf(stream as unknown as Readable)
  } catch (error) {
    throw inputError ?? corrupt(compression, error)
  } finally {
    input.destroy()
    ;(stream as unknown as Readable).destroy()
  }
}

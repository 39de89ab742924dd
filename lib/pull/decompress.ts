import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { DCtx } from 'zstd-napi/binding.js'
import { addon } from '../../bindings/addon.js'
import { DdiError } from '../errors.js'
import type { Tool } from '../tool.js'
import { type Batch, batchesOf, chunksOf } from './batches.js'
import type { Compression } from './formats.js'
import { throughProcess } from './process.js'

const outputSize = 1024 * 1024
const mostFree = 8

/** The most memory for all threads of a decoder, in bytes. */
const xzMemory = 128 * 1024 * 1024

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
 * @param memory takes chunks back
 * @throws ERR_DDI_PULL_COMPRESSION if it is corrupt or ends early, ERR_DDI_LIBRARY_MISSING, and what `bytes` throws
 */
export async function* decompress(
  bytes: AsyncIterable<Batch>,
  compression: Compression,
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
      yield* throughDecoder(chunksOf(bytes), await zstdDecoder(), memory, compression)
      return
    case 'xz':
      yield* throughDecoder(joined(bytes), xzDecoder(), memory, compression)
      return
    case 'bzip2':
      yield* throughProcess(bytes, bzip2, { failed: (said) => corrupt('bzip2', new Error(said)) })
  }
}

/**
 * One step of a decoder.
 * @param last there is no more input than this
 * @returns whether the stream is complete so far, how many bytes were written, and how many were read
 */
type Step = (
  output: Uint8Array,
  input: Uint8Array,
  last: boolean,
) => Promise<readonly [complete: boolean, produced: number, consumed: number]>

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

async function zstdDecoder(): Promise<Step> {
  const context = await zstdContext()
  let isComplete = false
  return async (output, input, last) => {
    if (last) return [isComplete, 0, 0]
    try {
      const [hint, produced, consumed] = context.decompressStream(output, input)
      isComplete = hint === 0
      return [isComplete, produced, consumed]
    } catch (error) {
      throw corrupt('zstd', error)
    }
  }
}

async function zstdContext(): Promise<DCtx> {
  try {
    const { default: binding } = await import('zstd-napi/binding.js')
    return new binding.DCtx()
  } catch (error) {
    throw new DdiError(
      'ERR_DDI_LIBRARY_MISSING',
      'zstd-napi cannot be loaded: run npm rebuild zstd-napi, which needs a compiler',
      { cause: error },
    )
  }
}

/** Results of lzma_code(), lzma/base.h. */
const lzmaErrors: Readonly<Record<number, string>> = {
  5: 'out of memory',
  6: `it needs more than ${xzMemory} bytes of memory`,
  7: 'not in xz format',
  8: 'options that liblzma does not support',
  9: 'the data do not match their checksum',
}
const lzmaStreamEnd = 1

function xzDecoder(): Step {
  const decoder = addon().xzOpen(xzMemory)
  if (!decoder) throw new DdiError('ERR_DDI_LIBRARY_MISSING', 'liblzma is not installed: install liblzma5')
  return async (output, input, last) => {
    const [result, produced, consumed] = await addon().xzDecode(decoder, output, input, last)
    const wrong = lzmaErrors[result]
    if (wrong !== undefined) throw corrupt('xz', new Error(wrong))
    return [result === lzmaStreamEnd, produced, consumed]
  }
}

function corrupt(compression: string, error: unknown): DdiError {
  return new DdiError(
    'ERR_DDI_PULL_COMPRESSION',
    `the ${compression} stream is corrupt or ends early: ${(error as Error).message}`,
    { cause: error },
  )
}

/** For decoders for which each step is a round trip to another thread. */
async function* joined(bytes: AsyncIterable<Batch>): AsyncGenerator<Uint8Array> {
  for await (const batch of bytes) yield Buffer.concat(batch)
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

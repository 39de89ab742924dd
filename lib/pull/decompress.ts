import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { DCtx } from 'zstd-napi/binding.js'
import { DdiError, systemCode } from '../errors.js'
import { chunksOf } from './chunks.js'

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd'

/** How many bytes `detectCompression` looks at. */
export const magicLength = 6
const magics: readonly (readonly [Exclude<Compression, 'none'>, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['gzip', [0x1f, 0x8b]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
]

/** How bytes are compressed, by their beginning: what a file is called may lie. */
export function detectCompression(head: Uint8Array): Compression {
  return magics.find(([, magic]) => magic.every((byte, index) => head[index] === byte))?.[0] ?? 'none'
}

const outputSize = 1024 * 1024
const mostFree = 8

/** xz unpacks the blocks of a stream on all cores, within this much memory. */
const xzMemory = '128MiB'

/** Outputs that were written are filled again: fresh memory costs as much as what is done with it. */
export class ReusedMemory {
  readonly #free: Uint8Array[] = []

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(outputSize)
  }

  /** @param chunk one that came from a decompression, and that nobody looks at any more */
  give(chunk: Uint8Array): void {
    if (chunk.length === outputSize && this.#free.length < mostFree) this.#free.push(chunk)
  }
}

/**
 * Decompresses a stream, on threads or in a process of its own.
 * @param memory takes chunks back
 * @throws ERR_DDI_PULL_COMPRESSION where it is corrupt or ends early, ERR_DDI_LIBRARY_MISSING, and what `bytes` throws
 */
export async function* decompress(
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
  memory = new ReusedMemory(),
): AsyncGenerator<Uint8Array> {
  switch (compression) {
    case 'none':
      yield* bytes
      return
    case 'gzip':
      yield* throughStream(bytes, createGunzip({ chunkSize: outputSize }), compression)
      return
    case 'zstd':
      yield* throughZstd(bytes, memory)
      return
    case 'xz':
      yield* throughProcess(
        bytes,
        ['xz', '--decompress', '--stdout', '--quiet', '--threads=0', `--memlimit-mt-decompress=${xzMemory}`],
        'xz-utils',
      )
      return
    case 'bzip2':
      yield* throughProcess(bytes, ['bzip2', '--decompress', '--stdout', '--quiet'], 'bzip2')
  }
}

async function* throughZstd(bytes: AsyncIterable<Uint8Array>, memory: ReusedMemory): AsyncGenerator<Uint8Array> {
  const context = await zstdContext()
  let inFrame = false
  let output = memory.take()
  let filled = 0
  for await (const chunk of bytes) {
    let rest = chunk
    for (let more = rest.length > 0; more; ) {
      const [hint, produced, consumed] = step(context, output.subarray(filled), rest)
      inFrame = hint !== 0
      rest = rest.subarray(consumed)
      filled += produced
      const full = filled === output.length
      // What fills its output may have left more behind.
      more = rest.length > 0 || (full && inFrame)
      if (!full) continue
      yield output
      output = memory.take()
      filled = 0
    }
  }
  if (filled > 0) yield output.subarray(0, filled)
  if (inFrame) throw corrupt('zstd', new Error('the last frame is not complete'))
}

function step(context: DCtx, output: Uint8Array, input: Uint8Array) {
  try {
    return context.decompressStream(output, input)
  } catch (error) {
    throw corrupt('zstd', error)
  }
}

async function zstdContext() {
  try {
    const { default: binding } = await import('zstd-napi/binding.js')
    return new binding.DCtx()
  } catch (error) {
    throw new DdiError(
      'ERR_DDI_LIBRARY_MISSING',
      'zstd-napi cannot be loaded: npm rebuild zstd-napi, which needs a compiler',
      { cause: error },
    )
  }
}

function corrupt(compression: string, error: unknown): DdiError {
  return new DdiError(
    'ERR_DDI_PULL_COMPRESSION',
    `the ${compression} stream is corrupt, or ends early: ${(error as Error).message}`,
    { cause: error },
  )
}

/** What is wrong with the input is told as it is, and not as corrupt. */
async function* throughStream(
  bytes: AsyncIterable<Uint8Array>,
  stream: NodeJS.ReadWriteStream,
  compression: string,
): AsyncGenerator<Uint8Array> {
  const input = Readable.from(bytes, { objectMode: false })
  let inputError: unknown
  input.on('error', (error) => {
    inputError = error
    ;(stream as unknown as Readable).destroy(error)
  })
  input.pipe(stream)
  try {
    yield* chunksOf(stream as unknown as Readable)
  } catch (error) {
    throw inputError ?? corrupt(compression, error)
  } finally {
    input.destroy()
  }
}

async function* throughProcess(
  bytes: AsyncIterable<Uint8Array>,
  command: readonly [string, ...string[]],
  name: string,
): AsyncGenerator<Uint8Array> {
  const [program, ...rest] = command
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close').catch((error: unknown) => error)
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = `${said}${text.toString()}`.slice(0, 1000)
  })
  const input = Readable.from(bytes, { objectMode: false })
  let inputError: unknown
  input.on('error', (error) => {
    inputError = error
    child.kill('SIGKILL')
  })
  // One that has found an error reads no more, which its status tells.
  child.stdin.on('error', () => input.destroy())
  input.pipe(child.stdin)
  try {
    yield* chunksOf(child.stdout)
    const result = await ended
    if (inputError) throw inputError
    if (systemCode(result) === 'ENOENT')
      throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${program} is not installed: install ${name}`, { cause: result })
    if ((result as [number | null])[0] !== 0) throw corrupt(program, new Error(said.trim() || 'it stopped'))
  } finally {
    input.destroy()
    child.kill('SIGKILL')
  }
}

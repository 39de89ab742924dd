import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { DdiError, systemCode } from '../errors.js'

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

/** xz unpacks the blocks of a stream on all cores, within this much memory. */
const xzMemory = '128MiB'

/**
 * Decompresses a stream, on threads or in a process of its own.
 * @throws ERR_DDI_PULL_COMPRESSION where it is corrupt or ends early, ERR_DDI_LIBRARY_MISSING, and what `bytes` throws
 */
export async function* decompress(
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  switch (compression) {
    case 'none':
      yield* bytes
      return
    case 'gzip':
      yield* throughStream(bytes, createGunzip({ chunkSize: 256 * 1024 }), compression)
      return
    case 'zstd':
      yield* throughStream(bytes, await zstdStream(), compression)
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

async function zstdStream(): Promise<NodeJS.ReadWriteStream> {
  try {
    const { DecompressStream } = await import('zstd-napi')
    return new DecompressStream()
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
    for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) yield chunk
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
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) yield chunk
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

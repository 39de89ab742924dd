import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { DdiError, systemCode } from '../errors.js'
import type { Tool } from '../tool.js'
import { type Batch, batchesOf, chunksOf } from './batches.js'

/**
 * Pipes bytes through a program.
 * @param failed makes an error of what a failed program wrote to stderr
 * @throws ERR_DDI_LIBRARY_MISSING, the error of `failed`, and what `bytes` throws
 */
export async function* throughProcess(
  bytes: AsyncIterable<Batch>,
  { command: [program, ...rest], package: name, env }: Tool,
  failed: (said: string) => DdiError,
): AsyncGenerator<Batch> {
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const ended = once(child, 'close').catch((error: unknown) => error)
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = `${said}${text.toString()}`.slice(0, 1000)
  })
  const input = Readable.from(chunksOf(bytes), { objectMode: false })
  let inputError: unknown
  input.on('error', (error) => {
    inputError = error
    child.kill('SIGKILL')
  })
  // A program that found an error reads no more; its exit status is what counts.
  child.stdin.on('error', () => input.destroy())
  input.pipe(child.stdin)
  try {
    yield* batchesOf(child.stdout)
    const result = await ended
    if (inputError) throw inputError
    if (systemCode(result) === 'ENOENT')
      throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${program} is not installed: install ${name}`, { cause: result })
    if ((result as [number | null])[0] !== 0) throw failed(said.trim() || 'it stopped without a message')
  } finally {
    input.destroy()
    child.kill('SIGKILL')
  }
}

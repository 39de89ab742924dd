import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { type DdiError, systemError } from '../errors.js'
import { startProgram, systemPath, type Tool, toolPath } from '../tool.js'
import { type Batch, batchesOf, chunksOf } from './batches.js'

/** What becomes of what a program writes to stderr. */
export interface Complaints {
  /** Makes an error of it, or of its beginning. */
  readonly failed: (said: string) => DdiError
  /** Whether a line is a failure although the program goes on. Default: none is */
  readonly isFailure?: (line: string) => boolean
}

/** How much of that is kept, in characters. */
const mostSaid = 1000

/**
 * Pipes bytes through a program.
 * @throws ERR_DDI_LIBRARY_MISSING, the error of `failed`, and what `bytes` throws
 */
export async function* throughProcess(
  bytes: AsyncIterable<Batch>,
  tool: Tool,
  { failed, isFailure = () => false }: Complaints,
): AsyncGenerator<Batch> {
  const child = await startProgram([await toolPath(tool), ...tool.command.slice(1)], {
    env: { ...process.env, ...tool.env, PATH: systemPath },
  })
  const ended = once(child, 'close').catch((error: unknown) => error)
  let [said, failures] = ['', '']
  createInterface(child.stderr).on('line', (line) => {
    said = `${said}${line}\n`.slice(0, mostSaid)
    if (isFailure(line)) failures = `${failures}${line}\n`.slice(0, mostSaid)
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
    if (result instanceof Error) throw systemError(result, `cannot run ${tool.command[0]}`)
    if ((result as [number | null])[0] !== 0) throw failed(said.trim() || 'it stopped without a message')
    if (failures !== '') throw failed(failures.trim())
  } finally {
    input.destroy()
    child.kill('SIGKILL')
  }
}

// Standard input and output for work that reads and writes anywhere in a file.
import { createReadStream, createWriteStream, fstatSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openScratchDirectory } from '../bytes/scratch.js'
import { systemError } from '../errors.js'
import { throwIfAborted } from '../work.js'

/** What has a path until it is disposed of. */
interface Placed extends AsyncDisposable {
  readonly path: string
}

/**
 * The file of a path; for `-` one with what comes from standard input.
 * @throws ERR_DDI_NO_SPACE, ERR_DDI_IO, ERR_DDI_ABORTED
 */
export async function inputFile(path: string, signal: AbortSignal): Promise<Placed> {
  const asItIs = (path: string) => ({ path, [Symbol.asyncDispose]: async () => {} })
  if (path !== '-') return asItIs(path)
  if (fstatSync(0).isFile()) return asItIs('/proc/self/fd/0')
  const directory = await streamDirectory()
  const dispose = () => directory[Symbol.asyncDispose]()
  try {
    const copy = join(directory.path, 'standard input')
    await pipeline(process.stdin, createWriteStream(copy, { flags: 'wx', mode: 0o600 }), { signal })
    return { path: copy, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throwIfAborted(signal)
    throw systemError(error, 'cannot store what comes from standard input')
  }
}

/** A directory for what came from standard input, or goes to standard output when it is complete. */
export async function streamDirectory(): Promise<Placed> {
  return await openScratchDirectory(join(tmpdir(), 'ddi-stream'))
}

/** Writes a file to standard output. @throws ERR_DDI_ABORTED, ERR_DDI_IO */
export async function printFile(path: string, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), process.stdout, { end: false, signal })
  } catch (error) {
    throwIfAborted(signal)
    // What standard output does not take is said where all output is.
    if ((error as NodeJS.ErrnoException).syscall !== 'write') throw systemError(error, `cannot read ${path}`)
  }
}

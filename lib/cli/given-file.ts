import { constants, open, readSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { promisify } from 'node:util'
import { readBounded, readSmallFile } from '../bytes/small-file.js'
import { systemCode, systemError } from '../errors.js'

const openDescriptor = promisify(open)

/**
 * Reads all of a small file that an option names, which may be a pipe that somebody writes; `-` is standard input.
 * @throws as {@link readSmallFile}
 */
export async function readGiven(path: string): Promise<Buffer> {
  try {
    if (path === '-') return await readBounded('standard input', process.stdin)
    if (await isPipe(path)) return await readBounded(path, readPipe(path))
  } catch (error) {
    throw systemError(error, `cannot read ${path}`)
  }
  return await readSmallFile(path)
}

async function isPipe(path: string): Promise<boolean> {
  // What is wrong with the path, reading it says.
  const stats = await stat(path).catch(() => undefined)
  return stats?.isFIFO() ?? false
}

/** Without a writer, a pipe is at its end at once: nobody is waited for. */
async function* readPipe(path: string): AsyncGenerator<Buffer> {
  const fd = await openDescriptor(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const socket = new Socket({ fd, readable: true, writable: false })
  try {
    const first = Buffer.alloc(65536)
    let length: number | undefined
    try {
      length = readSync(fd, first)
    } catch (error) {
      // There is a writer, who has written nothing yet.
      if (systemCode(error) !== 'EAGAIN') throw error
    }
    if (length === 0) return
    if (length !== undefined) yield first.subarray(0, length)
    yield* socket as AsyncIterable<Buffer>
  } finally {
    socket.destroy()
  }
}

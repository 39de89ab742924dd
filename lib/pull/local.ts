import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { DdiError, systemError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { type Batch, batchesOf } from './batches.js'
import type { Beginning, Download } from './transport.js'

/**
 * Begins to read a local file, which counts as the same one as long as its size and time of change are.
 * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_USAGE for a URL that names no local path
 */
export async function openLocal(url: URL, { from, validator }: Beginning, signal: AbortSignal): Promise<Download> {
  const path = localPath(url)
  const stats = await stat(path).catch((error: unknown) => {
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_PULL_NOT_FOUND' })
  })
  if (!stats.isFile()) throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `${path} is not a regular file`)
  const own = `${stats.size}-${stats.mtimeMs}`
  const start = validator === own ? Math.min(from, stats.size) : 0
  return { start, size: stats.size, validator: own, bytes: bytesOf(path, start, signal) }
}

function localPath(url: URL): string {
  try {
    const path = fileURLToPath(url)
    if (path.includes('\0')) throw new Error('a path has no NUL')
    return path
  } catch (error) {
    throw new DdiError('ERR_DDI_USAGE', `${url}: ${(error as Error).message}`, { cause: error })
  }
}

/** Opens the file only when it is read: an error of a stream without a listener would end the process. */
async function* bytesOf(path: string, start: number, signal: AbortSignal): AsyncGenerator<Batch> {
  try {
    yield* batchesOf(createReadStream(path, { start, highWaterMark: 1024 * 1024, signal }))
  } catch (error) {
    throwIfAborted(signal)
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_PULL_NOT_FOUND' })
  }
}

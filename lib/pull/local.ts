import type { BigIntStats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { DdiError, systemError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { type Batch, batchesOf, lengthOf } from './batches.js'
import type { Beginning, Download, Validator } from './transport.js'

/**
 * Begins to read a local file, which counts as the same one as long as its size and time of change are.
 * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PERMISSION, ERR_DDI_USAGE for a URL that names no local path
 */
export async function openLocal(
  url: URL,
  { from, validator }: Omit<Beginning, 'verified'>,
  signal: AbortSignal,
): Promise<Download> {
  const path = localPath(url)
  const stats = await statLocal(path)
  const own = validatorOf(stats)
  const size = Number(stats.size)
  const start = validator === own ? Math.min(from, size) : 0
  return { start, size, validator: own, bytes: bytesOf(path, { start, size, validator: own }, signal) }
}

/** @throws ERR_DDI_PULL_NOT_FOUND for what is no regular file, ERR_DDI_PERMISSION */
export async function statLocal(path: string): Promise<BigIntStats> {
  const stats = await stat(path, { bigint: true }).catch((error: unknown) => {
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_PULL_NOT_FOUND' })
  })
  if (!stats.isFile()) throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `${path} is not a regular file`)
  return stats
}

function validatorOf({ dev, ino, size, mtimeNs }: BigIntStats): Validator {
  return [dev, ino, size, mtimeNs].join('-')
}

/** @throws ERR_DDI_USAGE for a URL that names no path of this machine */
export function localPath(url: URL): string {
  try {
    const path = fileURLToPath(url)
    if (path.includes('\0')) throw new Error('a path has no NUL')
    return path
  } catch (error) {
    throw new DdiError('ERR_DDI_USAGE', `${url}: ${(error as Error).message}`, { cause: error })
  }
}

/** Opens the file only when it is read: an error of a stream without a listener would end the process. */
async function* bytesOf(
  path: string,
  { start, size, validator }: Omit<Download, 'bytes'>,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  try {
    await using file = await open(path)
    // Both before and after: what is read is one state of the file.
    const requireSame = async (at: number) => {
      if (at === size && validatorOf(await file.stat({ bigint: true })) === validator) return
      throw new DdiError('ERR_DDI_PULL_CHANGED', `${path} changed while it was read: pull it again`)
    }
    await requireSame(size!)
    throwIfAborted(signal)
    let at = start
    const bytes = file.createReadStream({ start, highWaterMark: 1024 * 1024, signal, autoClose: false })
    for await (const batch of batchesOf(bytes)) {
      at += lengthOf(batch)
      yield batch
    }
    await requireSame(at)
  } catch (error) {
    throwIfAborted(signal)
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_PULL_NOT_FOUND' })
  }
}

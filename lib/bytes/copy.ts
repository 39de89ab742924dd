import { throwIfAborted, type Work } from '../work.js'
import { guardSource } from './guard.js'
import type { Source, Target } from './source.js'

const step = 4 * 1024 * 1024
const page = 4096
const zeroes = Buffer.alloc(step)

export interface CopyOptions extends Work {
  /** Skips pages of zeroes: for targets that are holes until something is written. Default: false. */
  readonly sparse?: boolean
}

/** Copies a whole source to the beginning of a target, and flushes it. @throws what they throw, and ERR_DDI_ABORTED */
export async function copy(
  from: Source,
  to: Target,
  { sparse = false, onProgress, signal }: CopyOptions = {},
): Promise<void> {
  const source = guardSource(from)
  for (let done = 0; done < source.size; ) {
    throwIfAborted(signal)
    const bytes = await source.read(done, Math.min(step, source.size - done))
    if (!sparse) await to.write(done, bytes)
    else for (const { start, end } of nonzeroRuns(bytes)) await to.write(done + start, bytes.subarray(start, end))
    done += bytes.length
    onProgress?.({ done, total: source.size })
  }
  await to.flush()
}

/** Makes a range of a target read as zeroes: not stored where it can, else written. @throws as `write` */
export async function writeZeroes(to: Target, offset: number, length: number): Promise<void> {
  if (await to.punch?.(offset, length)) return
  for (let done = 0; done < length; done += step)
    await to.write(offset + done, zeroes.subarray(0, Math.min(step, length - done)))
}

/** The runs of pages that are not all zeroes. @param bytes at most 4 MiB */
export function* nonzeroRuns(bytes: Uint8Array): Generator<{ start: number; end: number }> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let start: number | undefined
  for (let at = 0; at < bytes.length; at += page) {
    const end = Math.min(at + page, bytes.length)
    const isZero = buffer.compare(zeroes, 0, end - at, at, end) === 0
    if (isZero && start !== undefined) {
      yield { start, end: at }
      start = undefined
    } else if (!isZero) start ??= at
  }
  if (start !== undefined) yield { start, end: bytes.length }
}

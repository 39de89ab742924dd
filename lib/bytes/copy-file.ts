import { addon } from '../../bindings/addon.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { throwIfAborted, type Work } from '../work.js'
import { writeZeroes } from './copy.js'
import type { FileSource } from './file.js'
import { locate, type OpenedFile, type Run, type Target } from './source.js'

const step = 16 * 1024 * 1024

/**
 * Copies the beginning of a file to that of a target, in the kernel where that can: holes become zeroes, which are not stored where the
 * target can. The device begins to write what was copied meanwhile; to flush the target is the caller's.
 * @param length in bytes
 * @throws ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED
 */
export async function copyFromFile(
  from: FileSource,
  to: Target,
  length: number,
  { signal, onProgress }: Work = {},
): Promise<void> {
  const writeback = writebackBeside()
  try {
    for (let at = 0; at < length; ) {
      throwIfAborted(signal)
      const data = await nextData(from, at, length)
      if (data.start > at) await writeZeroes(to, at, data.start - at)
      const part = Math.min(data.length, step)
      await copyPart(from, to, { start: data.start, length: part }, writeback)
      at = data.start + part
      onProgress?.({ done: at, total: length })
    }
  } finally {
    await writeback.settled()
  }
}

interface Writeback {
  begin(file: OpenedFile, run: Run): void
  /** Nothing uses the files any more. */
  settled(): Promise<void>
}

/** Has a device begin to write what was copied, in order, while more is copied: a flush has less to wait for then. */
function writebackBeside(): Writeback {
  let last = Promise.resolve()
  return {
    begin({ fd, path }, { start, length }) {
      // What goes wrong with it, the flush tells.
      last = last.then(() => addon().startWriteback(fd, path, start, length)).catch(() => {})
    },
    settled: () => last,
  }
}

/** The next run of a file that is no hole, from `at` on and before `end`; of a length of 0 if there is none. */
async function nextData(from: FileSource, at: number, end: number): Promise<Run> {
  const { fd, path } = from
  try {
    const data = await addon().seekData(fd, path, at)
    if (data < 0 || data >= end) {
      // A file that was truncated has no data there either.
      await from.read(end - 1, 1)
      return { start: end, length: 0 }
    }
    const hole = await addon().seekHole(fd, path, data)
    return { start: data, length: (hole < 0 ? end : Math.min(hole, end)) - data }
  } catch (error) {
    // Block devices know of no holes.
    if (systemCode(error) === 'EINVAL') return { start: at, length: end - at }
    throw systemError(error, `cannot read ${path}`)
  }
}

async function copyPart(from: FileSource, to: Target, { start, length }: Run, writeback: Writeback): Promise<void> {
  await to.announce?.(length)
  const places = locate(to, start, length)
  let at = start
  for (const place of places ?? [])
    if (place.kind === 'linear' && (await copyInKernel(from, at, place.base.fd, place))) {
      writeback.begin(place.base, place)
      at += place.length
    } else break
  if (at < start + length) await to.write(at, await from.read(at, start + length - at))
}

/** @returns false if the kernel cannot copy between these; nothing is copied then */
async function copyInKernel(from: FileSource, at: number, fd: number, { start, length }: Run): Promise<boolean> {
  let copied: number
  try {
    copied = await addon().copyRange(from.fd, from.path, at, fd, start, length)
  } catch (error) {
    if (['EINVAL', 'EXDEV', 'ENOTSUP', 'ENOSYS', 'EBADF'].includes(systemCode(error) ?? '')) return false
    throw systemError(error, `cannot copy ${from.path}`)
  }
  if (copied === length) return true
  throw new DdiError(
    'ERR_DDI_SHORT_READ',
    `${from.path} ends at byte ${at + copied}: it was truncated while it was copied`,
  )
}

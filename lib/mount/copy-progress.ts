import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Work } from '../work.js'

const pause = 200

/**
 * Waits for a program that copies a file or directory, and tells how much of the copy is there.
 * @param part what progress is reported under
 */
export async function watchCopy(
  copying: Promise<unknown>,
  { from, to, part }: { readonly from: string; readonly to: string; readonly part: string },
  { onProgress }: Pick<Work, 'onProgress'>,
): Promise<void> {
  const ended = new AbortController()
  const watching = onProgress && watch(from, to, ended.signal, (done, total) => onProgress({ done, total, part }))
  try {
    await copying
  } finally {
    ended.abort()
    await watching
  }
  if (!onProgress) return
  const total = await bytesIn(to)
  onProgress({ done: total, total, part })
}

async function watch(
  from: string,
  to: string,
  signal: AbortSignal,
  report: (done: number, total: number) => void,
): Promise<void> {
  const total = await bytesIn(from, signal)
  while (!signal.aborted) {
    report(Math.min(total, await bytesIn(to, signal)), total)
    await sleep(pause, undefined, { signal }).catch(() => undefined)
  }
}

/** The bytes of all files below a path, as far as they can be counted until the signal. */
async function bytesIn(path: string, signal?: AbortSignal): Promise<number> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats?.isDirectory()) return stats?.isFile() ? stats.size : 0
  let bytes = 0
  for (const name of await readdir(path).catch(() => []))
    if (!signal?.aborted) bytes += await bytesIn(join(path, name), signal)
  return bytes
}

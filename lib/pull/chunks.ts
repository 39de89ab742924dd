import { on } from 'node:events'
import type { Readable } from 'node:stream'

/** Many small steps cost more than what they do; large ones cost memory. */
const batchSize = 1024 * 1024

/** How long bytes wait for more, in milliseconds: what has come should not be lost with the process. */
const longestWait = 4

/** The chunks of a stream as they come. A stream’s own iterator joins them, or pauses at each. @throws the stream’s error */
export async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array> {
  // One that has ended says so no more.
  if (!stream.destroyed && !stream.readableEnded) {
    const events = on(stream, 'data', { close: ['end', 'close'], highWaterMark: 64, lowWaterMark: 16 } as object)
    for await (const [chunk] of events) yield chunk as Uint8Array
  }
  if (stream.errored) throw stream.errored
}

/**
 * Chunks in lists that are worth a step of their own.
 * @throws what `chunks` throws, after it has given what came before
 */
export async function* inBatches(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Uint8Array[]> {
  const iterator = chunks[Symbol.asyncIterator]()
  const following = () => {
    const next = iterator.next()
    // Whoever waits for it is told.
    next.catch(() => {})
    return next
  }
  let next = following()
  let isOver = false
  try {
    while (!isOver) {
      const first = await next
      if (first.done) return
      const batch = [first.value]
      let length = first.value.length
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, longestWait, 'late')
      })
      next = following()
      while (length < batchSize) {
        const result = await Promise.race([next, late]).catch(() => 'failed' as const)
        if (typeof result === 'string') break
        isOver = result.done === true
        if (result.done) break
        batch.push(result.value)
        length += result.value.length
        next = following()
      }
      clearTimeout(timer)
      yield batch
    }
  } finally {
    // One that waits for its next chunk ends when it has it: nobody waits for that here.
    iterator.return?.().catch(() => {})
  }
}

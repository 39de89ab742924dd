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
  let batch: Uint8Array[] = []
  let length = 0
  let began = 0
  const take = () => {
    const whole = batch
    batch = []
    length = 0
    return whole
  }
  try {
    for await (const chunk of chunks) {
      if (length === 0) began = performance.now()
      batch.push(chunk)
      length += chunk.length
      if (length >= batchSize || performance.now() - began > longestWait) yield take()
    }
  } catch (error) {
    if (length > 0) yield take()
    throw error
  }
  if (length > 0) yield take()
}

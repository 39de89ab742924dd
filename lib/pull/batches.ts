import { finished, type Readable } from 'node:stream'

/** Some chunks of a stream, in order: enough that a step for them costs less than what it does. */
export type Batch = readonly Uint8Array[]

/** What a batch grows to where there is no hurry, and at the most before its stream has to wait, in bytes. */
const batchSize = 1024 * 1024
const most = 4 * batchSize

/** How long bytes wait for more, in milliseconds: what has come should not be lost with the process. */
const longestWait = 4

/**
 * The bytes of a stream, as they come. Its own iterator wakes its reader for each chunk, or joins and copies them.
 * @throws the stream’s error, after it has given what came before
 */
export async function* batchesOf(stream: Readable): AsyncGenerator<Batch> {
  let batch: Uint8Array[] = []
  let length = 0
  let isDue = false
  let isOver = false
  let wake = () => {}
  let timer: NodeJS.Timeout | undefined
  const due = () => {
    isDue = true
    wake()
  }
  const take = (chunk: Uint8Array) => {
    batch.push(chunk)
    length += chunk.length
    if (length >= batchSize) due()
    else timer ??= setTimeout(due, longestWait)
    if (length >= most) stream.pause()
  }
  const release = finished(stream, { writable: false }, () => {
    isOver = true
    wake()
  })
  stream.on('data', take)
  try {
    for (;;) {
      if (!isDue && !isOver)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      if (length === 0 && isOver) break
      const next = batch
      isDue = false
      batch = []
      length = 0
      clearTimeout(timer)
      timer = undefined
      stream.resume()
      yield next
    }
  } finally {
    clearTimeout(timer)
    stream.off('data', take)
    release()
  }
  if (stream.errored) throw stream.errored
}

/** The chunks of all batches, one by one. */
export async function* chunksOf(batches: AsyncIterable<Batch>): AsyncGenerator<Uint8Array> {
  for await (const batch of batches) yield* batch
}

export function lengthOf(batch: Batch): number {
  let length = 0
  for (const chunk of batch) length += chunk.length
  return length
}

/** Bytes `start` to `end` of a batch, or what there is of them; nothing is copied. */
export function slice(batch: Batch, start: number, end: number): Batch {
  if (start <= 0 && end >= lengthOf(batch)) return batch
  let at = 0
  const parts = batch.map((chunk) => {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at))
    at += chunk.length
    return part
  })
  return parts.filter((part) => part.length > 0)
}

import { finished, type Readable } from 'node:stream'

/** Consecutive chunks of a stream, enough of them to be worth a step of their own. */
export type Batch = readonly Uint8Array[]

/** The usual size of a batch, and the size at which its stream is paused, in bytes. */
const batchSize = 1024 * 1024
const most = 4 * batchSize

/** How long bytes wait for more, in milliseconds: if the process is killed, what waits is lost. */
const longestWait = 4

/**
 * The bytes of a stream as they arrive. The iterator of Node.js wakes its reader for each chunk, or joins and copies them.
 * @throws the stream’s error, after everything that came before it
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
  // One that comes when nobody reads any more would end the process.
  stream.on('error', () => {})
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

/** The first bytes of a stream, at least `length` unless it is shorter, and all of it. */
export async function peek(
  batches: AsyncGenerator<Batch>,
  length: number,
): Promise<{ head: Uint8Array; all: AsyncGenerator<Batch> }> {
  const first: Uint8Array[] = []
  while (lengthOf(first) < length) {
    const next = await batches.next()
    if (next.done) break
    first.push(...next.value)
  }
  const all = async function* () {
    yield first
    yield* batches
  }
  return { head: Buffer.concat(first), all: all() }
}

export function lengthOf(batch: Batch): number {
  let length = 0
  for (const chunk of batch) length += chunk.length
  return length
}

/** Nobody has to look into it to know that these are zeroes. */
const zeroes = new Uint8Array(2 * 1024 * 1024)

/** Zeroes that are stored nowhere. @param length in bytes */
export function zeroBatch(length: number): Batch {
  const whole = Math.floor(length / zeroes.length)
  const rest = length % zeroes.length
  return [...Array.from({ length: whole }, () => zeroes), ...(rest > 0 ? [zeroes.subarray(0, rest)] : [])]
}

/** Whether a batch is of nothing but {@link zeroBatch}. */
export function isZeroBatch(batch: Batch): boolean {
  return batch.length > 0 && batch.every(({ buffer }) => buffer === zeroes.buffer)
}

/** Bytes `start` to `end` of a batch, as far as it has them, without copying. */
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

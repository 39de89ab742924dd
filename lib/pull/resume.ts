import { createHash, type Hash } from 'node:crypto'
import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { changed, isRecognizable, type OpenAnswer, type PartRequest, requireSameFile } from './answer.js'
import { type Batch, lengthOf, slice } from './batches.js'
import type { HttpClient } from './http.js'
import { type Clock, retryDelay } from './pace.js'
import { requestedDelay } from './unavailable.js'

/** A server whose connections may break, and how patient we are with it. */
export interface Server extends Pick<HttpClient, 'get'> {
  /** How often in a row a transfer without progress is tried again. */
  readonly retries: number
  /** For how long besides, in milliseconds. */
  readonly retryTime: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** In bytes: after less of it, the server may be in trouble, and is given time. */
const muchProgress = 1024 * 1024

/** Requests again until the server answers. @throws as {@link HttpClient.get} */
export async function getPatiently(server: Server, request: PartRequest): Promise<OpenAnswer> {
  const patience = patienceWith(server)
  for (;;) {
    try {
      return await server.get(request)
    } catch (error) {
      await patience.outlast(error)
    }
  }
}

/** Counts failures without progress. */
function patienceWith({ retries, retryTime, clock }: Server) {
  let [failures, since] = [0, clock.now()]
  return {
    /**
     * Waits before another attempt, at least as long as the server wants.
     * @param pauses whether it needs time. Default: true
     * @throws the error, if it is one too many, or will not pass
     */
    async outlast(error: unknown, pauses = true): Promise<void> {
      if (!isBroken(error) || (failures >= retries && clock.now() - since >= retryTime)) throw error
      const delay = retryDelay(failures++)
      if (pauses) await clock.sleep(Math.max(delay, requestedDelay(error)))
    },
    progressed() {
      ;[failures, since] = [0, clock.now()]
    },
  }
}

/**
 * The bytes of a part, without an end if that of the file is not known; if a connection breaks, another one continues where it broke.
 * What nothing identifies begins anew, and has to begin with the same bytes.
 * @param first an answer that begins with them, if there is one already
 * @throws ERR_DDI_PULL_CHANGED, ERR_DDI_PULL_BROKEN after too many attempts without progress, and as {@link HttpClient.get}
 */
export async function* withoutBreaks(server: Server, part: PartRequest, first?: OpenAnswer): AsyncGenerator<Batch> {
  const { url, until, size } = part
  // The rest of the file needs no end, which a server might not take.
  const request = { ...part, until: until === size ? null : until }
  const seen = isRecognizable(part) ? undefined : createHash('sha256')
  const patience = patienceWith(server)
  let at = part.from
  let answer = first
  for (;;) {
    const from = at
    try {
      answer ??= await getPatiently(server, { ...request, from })
      if (answer !== first && !seen) requireSameFile(part, answer)
      const wanted = { url, from, until: request.until ?? Number.POSITIVE_INFINITY, seen }
      for await (const batch of cut(answer, wanted)) {
        throwIfAborted(server.signal)
        patience.progressed()
        at += lengthOf(batch)
        if (size !== null && at > size)
          throw new DdiError(
            'ERR_DDI_PULL_RESPONSE',
            `${url} has more than the ${size} bytes that the server announced`,
          )
        yield batch
      }
      if (until === null || at === until) return
      throw new DdiError('ERR_DDI_PULL_BROKEN', `${url}: the server sent ${at} of ${until} bytes`)
    } catch (error) {
      // All of it came before the connection broke.
      if (isBroken(error) && at === until) return
      await patience.outlast(error, at - from < muchProgress)
    } finally {
      // Bytes beyond those that were requested are not waited for.
      answer?.cancel()
      answer = undefined
    }
  }
}

/** Whether it may work at another attempt. */
function isBroken(error: unknown): boolean {
  return error instanceof DdiError && error.code === 'ERR_DDI_PULL_BROKEN'
}

interface Wanted {
  readonly url: URL
  readonly from: number
  readonly until: number
  /** Of the bytes before `from`, which those of the answer have to equal; what is wanted is added. */
  readonly seen: Hash | undefined
}

/**
 * Bytes `from` to `until` of an answer, which has all of the file if the server has no ranges.
 * @throws ERR_DDI_PULL_CHANGED if other bytes come before
 */
async function* cut(answer: OpenAnswer, { url, from, until, seen }: Wanted): AsyncGenerator<Batch> {
  let at = answer.start
  const again = seen && from > 0 ? createHash('sha256') : undefined
  for await (const batch of answer.bytes) {
    if (again && at < from) {
      addTo(again, slice(batch, 0, from - at))
      if (at + lengthOf(batch) >= from && again.digest('hex') !== seen!.copy().digest('hex')) throw changed(url)
    }
    const wanted = slice(batch, from - at, until - at)
    at += lengthOf(batch)
    if (seen) addTo(seen, wanted)
    if (wanted.length > 0) yield wanted
    // A body that ends here is read to its end, after which its connection can be used again.
    if (at >= until && answer.end !== until) return
  }
  // It ended before what came of it earlier.
  if (again && at < from) throw changed(url)
}

function addTo(hash: Hash, batch: Batch): void {
  for (const chunk of batch) hash.update(chunk)
}

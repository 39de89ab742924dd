import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { type OpenAnswer, type PartRequest, requireSameFile } from './answer.js'
import { type Batch, lengthOf, slice } from './batches.js'
import type { HttpClient } from './http.js'
import { type Clock, retryDelay } from './pace.js'

/** A server whose connections may break, and how patient we are with it. */
export interface Server extends Pick<HttpClient, 'get'> {
  /** How often in a row a transfer without progress is tried again. */
  readonly retries: number
  /** Whether a size is enough for files to count as the same, because all bytes are verified. */
  readonly bySize: boolean
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** In bytes: after less of it, the server may be in trouble, and is given time. */
const muchProgress = 1024 * 1024

/** Requests again until the server answers. @throws as {@link HttpClient.get} */
export async function getPatiently({ get, retries, clock }: Server, request: PartRequest): Promise<OpenAnswer> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await get(request)
    } catch (error) {
      if (!isBroken(error) || attempt >= retries) throw error
      await clock.sleep(retryDelay(attempt))
    }
  }
}

/**
 * The bytes of a part, without an end if that of the file is not known; if a connection breaks, another one continues where it broke.
 * @param first an answer that begins with them, if there is one already
 * @throws ERR_DDI_PULL_CHANGED, ERR_DDI_PULL_BROKEN after too many attempts without progress, and as {@link HttpClient.get}
 */
export async function* withoutBreaks(server: Server, part: PartRequest, first?: OpenAnswer): AsyncGenerator<Batch> {
  const { url, until, size, validator } = part
  // The rest of the file needs no end, which a server might not take.
  const request = { url, size, validator, until: until === size ? null : until }
  let at = part.from
  let answer = first
  for (let failures = 0; ; ) {
    const from = at
    try {
      answer ??= await getPatiently(server, { ...request, from })
      if (answer !== first && isRecognizable(server, part)) requireSameFile(url, part, answer)
      for await (const batch of cut(answer, from, request.until ?? Number.POSITIVE_INFINITY)) {
        throwIfAborted(server.signal)
        failures = 0
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
      if (!isBroken(error) || !isRecognizable(server, part) || failures++ >= server.retries) throw error
      if (at - from < muchProgress) await server.clock.sleep(retryDelay(failures))
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

/** Whether another answer can be recognized as one of the same file. */
function isRecognizable({ bySize }: Server, { size, validator }: PartRequest): boolean {
  return validator !== null || (size !== null && bySize)
}

/** Bytes `from` to `until` of an answer, which has all of the file if the server has no ranges. */
async function* cut(answer: OpenAnswer, from: number, until: number): AsyncGenerator<Batch> {
  let at = answer.start
  for await (const batch of answer.bytes) {
    const wanted = slice(batch, from - at, until - at)
    at += lengthOf(batch)
    if (wanted.length > 0) yield wanted
    // A body that ends here is read to its end, after which its connection can be used again.
    if (at >= until && answer.end !== until) return
  }
}

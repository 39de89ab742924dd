import { setTimeout as wait } from 'node:timers/promises'
import { aborted } from '../work.js'
import { type Batch, chunksOf } from './batches.js'

/** Time, in milliseconds. */
export interface Clock {
  now(): number
  /** @throws ERR_DDI_ABORTED */
  sleep(duration: number): Promise<void>
}

/** The machine’s clock. @param signal ends a sleep */
export function systemClock(signal: AbortSignal): Clock {
  return {
    now: () => performance.now(),
    async sleep(duration) {
      await wait(duration, undefined, { signal }).catch(() => {
        throw aborted(signal)
      })
    },
  }
}

const firstDelay = 250
const longestDelay = 8_000

/**
 * How long to wait before a request is tried again, in milliseconds: twice as long each time, up to 8 s, and at random up to half
 * less, so that many clients of a server that was restarted do not come back at once.
 * @param attempt counts from 0
 * @param random from 0 to 1
 */
export function retryDelay(attempt: number, random = Math.random()): number {
  const longest = Math.min(longestDelay, firstDelay * 2 ** attempt)
  return longest / 2 + (random * longest) / 2
}

/** Shorter sleeps are not worth a timer, in milliseconds. */
const shortestSleep = 5

/** The same bytes, at no more than `rate` bytes per second from now on. */
export async function* atRate(bytes: AsyncIterable<Batch>, rate: number, clock: Clock): AsyncGenerator<Batch> {
  if (rate === Number.POSITIVE_INFINITY) {
    yield* bytes
    return
  }
  const began = clock.now()
  let sent = 0
  for await (const chunk of chunksOf(bytes)) {
    sent += chunk.length
    yield [chunk]
    const early = (sent / rate) * 1000 - (clock.now() - began)
    if (early > shortestSleep) await clock.sleep(early)
  }
}

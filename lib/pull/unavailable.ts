import { DdiError } from '../errors.js'

/** The longest time that a server is waited for at its request, in milliseconds. */
const longestDelay = 5 * 60_000

/** What a server that may have a file later said of when. */
class Unavailable extends DdiError {
  readonly delay: number

  constructor(message: string, delay: number) {
    super('ERR_DDI_PULL_BROKEN', message)
    this.delay = delay
  }
}

/** Whether the answer with a status may be another one later. */
export function isPassing(status: number): boolean {
  return [408, 425, 429].includes(status) || status >= 500
}

/**
 * The error of an answer that may be another one later.
 * @param retryAfter the header field: seconds, or a date (RFC 9110, section 10.2.3)
 */
export function unavailable(
  url: URL,
  status: number,
  retryAfter: string | string[] | undefined,
  now = Date.now(),
): DdiError {
  return new Unavailable(`${url}: the server answers ${status}`, delayIn(String(retryAfter), now))
}

function delayIn(field: string, now: number): number {
  const seconds = /^\d+$/.test(field)
    ? Number(field)
    : (/ GMT$/.test(field) ? Date.parse(field) - now : Number.NaN) / 1000
  return Number.isNaN(seconds) ? 0 : Math.min(Math.max(seconds * 1000, 0), longestDelay)
}

/** How long the server wants to be left alone after an error, in milliseconds. */
export function requestedDelay(error: unknown): number {
  return error instanceof Unavailable ? error.delay : 0
}

import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import type { FetchOptions } from './fetch.js'

/** What became of something that no boot depends on. */
export type Optional<Result> =
  | { readonly state: 'done'; readonly result: Result }
  /** Whether the server kept us waiting, and would again. */
  | { readonly state: 'left-out'; readonly isAway: boolean }

/** For how long a boot waits for such a thing, in seconds, while nothing of it comes. */
export const longestWait = 30

/**
 * Does what no boot depends on: whoever rules the network can withhold it, but is not to stop or hold up the machine by it.
 * @param what people call it
 * @param late that it took too long
 * @throws ERR_DDI_ABORTED by the signal of the options; whatever else is wrong is told
 */
export async function optional<Result>(
  what: string,
  options: FetchOptions,
  attempt: (options: FetchOptions) => Promise<Result>,
  late?: AbortSignal,
): Promise<Optional<Result>> {
  const { signal, retry = 0, onNote } = options
  const signals = [signal, late].filter((one) => one !== undefined)
  const bounded = { ...options, retry: Math.min(retry, longestWait), signal: AbortSignal.any(signals) }
  try {
    return { state: 'done', result: await attempt(bounded) }
  } catch (error) {
    throwIfAborted(signal)
    if (!(error instanceof DdiError)) throw error
    const isLate = late?.aborted === true
    onNote?.(`${what} left out: ${isLate ? 'it did not come in time' : `${error.message} (${error.code})`}`)
    return { state: 'left-out', isAway: isLate || error.code === 'ERR_DDI_PULL_BROKEN' }
  }
}

import { setTimeout as wait } from 'node:timers/promises'
import { DdiError } from '../errors.js'
import { retryDelay } from '../pull/pace.js'
import { aborted } from '../work.js'

/** How long a server that is away is waited for. */
export interface Patience {
  /** Seconds without any progress; Infinity is for ever. */
  readonly longest: number
  /** Called for each failure that is waited out. */
  readonly onFailure: (error: DdiError) => void
  readonly signal?: AbortSignal | undefined
}

/** May pass: the server does not answer, or has just exchanged the file. */
const passing: readonly string[] = ['ERR_DDI_PULL_BROKEN', 'ERR_DDI_PULL_CHANGED']

/**
 * Tries again while a server is away.
 * @param attempt calls `progressed` when something came: patience begins anew then
 * @throws what `attempt` throws if that will not pass, or did not; ERR_DDI_ABORTED
 */
export async function patiently<Result>(
  { longest, onFailure, signal }: Patience,
  attempt: (progressed: () => void) => Promise<Result>,
): Promise<Result> {
  let [since, failures] = [performance.now(), 0]
  const progressed = () => {
    ;[since, failures] = [performance.now(), 0]
  }
  for (;;) {
    try {
      return await attempt(progressed)
    } catch (error) {
      const mayPass = error instanceof DdiError && passing.includes(error.code)
      if (!mayPass || performance.now() - since >= longest * 1000) throw error
      onFailure(error)
      await wait(retryDelay(failures++), undefined, { ...(signal && { signal }) }).catch(() => {
        throw aborted(signal!)
      })
    }
  }
}

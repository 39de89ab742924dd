import { setTimeout as wait } from 'node:timers/promises'
import { aborted } from '../work.js'

/** Between two looks at what the kernel says, in ms: it sends news of devices and networks by sockets that Node.js does not have. */
const interval = 50

/**
 * Looks until there is something.
 * @param patience in ms
 * @returns undefined if there is nothing by then
 * @throws ERR_DDI_ABORTED
 */
export async function lookFor<Found>(
  look: () => Promise<Found | undefined>,
  patience: number,
  signal?: AbortSignal,
): Promise<Found | undefined> {
  for (const start = performance.now(); ; ) {
    const found = await look()
    if (found !== undefined || performance.now() - start >= patience) return found
    await wait(interval, undefined, { ...(signal && { signal }) }).catch(() => {
      throw aborted(signal!)
    })
  }
}

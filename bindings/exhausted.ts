import { DdiError } from '../lib/errors.js'

/**
 * A library that does not load for want of memory or descriptors is not missing. dlopen(3) tells why in words only: those
 * of glibc and musl.
 * @throws ERR_DDI_LIMIT
 */
export function refuseExhausted(error: unknown, what: string): void {
  if (/cannot allocate memory|failed to map segment|too many open files|out of memory/i.test((error as Error).message))
    throw new DdiError('ERR_DDI_LIMIT', `${what} cannot be loaded: ${(error as Error).message}`, { cause: error })
}

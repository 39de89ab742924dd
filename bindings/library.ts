import { DdiError } from '../lib/errors.js'
import { refuseExhausted } from './exhausted.js'

/**
 * That a library of the system does not load.
 * @param error what dlopen(3) says
 * @param advice what to install
 * @throws ERR_DDI_LIMIT if it is there, but memory or descriptors are not
 */
export function missingLibrary(error: unknown, library: string, advice: string): DdiError {
  refuseExhausted(error, library)
  return new DdiError('ERR_DDI_LIBRARY_MISSING', `${library} cannot be loaded: install ${advice}`, { cause: error })
}

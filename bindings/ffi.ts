import { createRequire } from 'node:module'
import { DdiError } from '../lib/errors.js'
import { refuseExhausted } from './exhausted.js'

export type Ffi = typeof import('ffi-rs')

const opened = new Map<string, Ffi>()

/**
 * ffi-rs, with a system library open in it under a name.
 * @param advice what to install if it is missing
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_LIMIT
 */
export function openLibrary(library: string, path: string, advice: string): Ffi {
  const known = opened.get(library)
  if (known) return known
  try {
    // It asks for a report to learn which C library this is, which asks name servers for the name of every server we are connected to.
    Object.assign(process.report ?? {}, { excludeNetwork: true })
    const ffi = createRequire(import.meta.url)('ffi-rs') as Ffi
    ffi.open({ library, path })
    opened.set(library, ffi)
    return ffi
  } catch (error) {
    refuseExhausted(error, path)
    throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${path} cannot be loaded: install ${advice}`, { cause: error })
  }
}

import { createRequire } from 'node:module'
import { DdiError } from '../lib/errors.js'
import { refuseExhausted } from './exhausted.js'

export type Ffi = typeof import('ffi-rs')

const opened = new Map<string, Ffi>()

function load(path: string): Ffi {
  try {
    // It asks for a report to learn which C library this is, which asks name servers for the name of every server we are connected to.
    Object.assign(process.report ?? {}, { excludeNetwork: true })
    return createRequire(import.meta.url)('ffi-rs') as Ffi
  } catch (error) {
    refuseExhausted(error, 'ffi-rs')
    throw new DdiError(
      'ERR_DDI_LIBRARY_MISSING',
      `${path} cannot be called: ffi-rs has no binary here for ${process.platform} ${process.arch}. It is an optional package of npm’s: run npm install --include=optional`,
      { cause: error },
    )
  }
}

/**
 * ffi-rs, with a system library open in it under a name.
 * @param advice what to install if it is missing
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_LIMIT
 */
export function openLibrary(library: string, path: string, advice: string): Ffi {
  const known = opened.get(library)
  if (known) return known
  const ffi = load(path)
  try {
    ffi.open({ library, path })
    opened.set(library, ffi)
    return ffi
  } catch (error) {
    refuseExhausted(error, path)
    throw new DdiError('ERR_DDI_LIBRARY_MISSING', `${path} cannot be loaded: install ${advice}`, { cause: error })
  }
}

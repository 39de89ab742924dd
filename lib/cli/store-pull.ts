import type { Readable } from 'node:stream'
import type { VerifyMode } from '../pull/checksums.js'
import { imageOptions } from './options.js'
import { pullOptions } from './pull-options.js'
import { verifyMode } from './values.js'
import { option } from './verb.js'

/** Of downloads into a store. */
export const storePullOptions = {
  ...pullOptions,
  verify: option(
    '--verify <how>',
    'no, checksum (by SHA256SUMS or URL.sha256), signature (of the checksums), or a SHA-256 (default: signature; no for what is on this machine)',
    verifyMode,
  ),
  certificate: imageOptions.certificate,
}

/** What is on this machine, or comes from standard input, was given by who may write to the disk. */
export function localOrSigned(given: VerifyMode | undefined, from: string | URL | Readable): VerifyMode {
  const isRemote = typeof from === 'string' && !from.startsWith('file:')
  return given ?? (isRemote ? 'signature' : 'no')
}

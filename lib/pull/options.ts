import { validateHeaderName, validateHeaderValue } from 'node:http'
import { DdiError } from '../errors.js'
import type { OptionNames } from '../options.js'
import { type Work, workNames } from '../work.js'
import { type ClientIdentity, checkIdentity, soundAuthorities } from './certificates.js'
import type { VerifyMode } from './checksums.js'
import { usualMemory } from './decoders.js'
import type { Credentials } from './netrc.js'

/** Options of {@link pull}. */
export interface PullOptions extends Work {
  /** What the download is verified by. Default: signature. */
  readonly verify?: VerifyMode
  /** Path of OpenPGP keys for signatures. Default: systemd’s. */
  readonly keyring?: string
  /** Bytes at most, unpacked. Default: 64 GiB. */
  readonly maxSize?: number
  /** The largest dictionary or window of a compressed file, in bytes: unpacking takes so much memory. Default: 128 MiB. */
  readonly maxMemory?: number
  /** Extra request headers, for the server of the address and no other. */
  readonly headers?: Readonly<Record<string, string>>
  /** For the server of the address and no other; those in the address itself take precedence. */
  readonly credentials?: Credentials
  /** Certificates to trust besides this machine’s, PEM or DER. */
  readonly authorities?: string | Uint8Array
  /** For the server of the address, if it requests one, and no other. */
  readonly client?: ClientIdentity
  /** In milliseconds, 0 for none: for connecting (default: 30 s), for the headers of an answer, and for each next byte (60 s). */
  readonly timeouts?: { readonly connect?: number; readonly headers?: number; readonly stall?: number }
  /** How often in a row a transfer without progress is tried again. Default: 5. */
  readonly retries?: number
  /** For how long a transfer without progress is tried again besides, in milliseconds. Default: 0. */
  readonly retryTime?: number
  /** How many parts of a file are downloaded at once if the server supports ranges; each takes 8 MiB of memory. Default: 1. */
  readonly connections?: number
  /** Bytes per second at most. Default: no limit. */
  readonly rateLimit?: number
}

/** Options that were checked, with their defaults. */
export interface Settings extends Omit<PullOptions, 'authorities'> {
  /** PEM. */
  readonly authorities?: string
  readonly verify: VerifyMode
  readonly maxSize: number
  readonly maxMemory: number
  readonly headers: Readonly<Record<string, string>>
  readonly timeouts: { readonly connect: number; readonly headers: number; readonly stall: number }
  readonly retries: number
  readonly retryTime: number
  readonly connections: number
  readonly rateLimit: number
}

export const pullOptionNames: OptionNames<PullOptions> = {
  verify: true,
  keyring: true,
  maxSize: true,
  maxMemory: true,
  headers: true,
  credentials: true,
  authorities: true,
  client: true,
  timeouts: true,
  retries: true,
  retryTime: true,
  connections: true,
  rateLimit: true,
  ...workNames,
}

/**
 * Checks the values of options, and adds the defaults.
 * @throws ERR_DDI_USAGE, ERR_DDI_CERTIFICATE, ERR_DDI_KEY
 */
export function settingsOf(options: PullOptions): Settings {
  const { verify = 'signature', maxSize = 64 * 1024 ** 3, maxMemory = usualMemory } = options
  const { headers = {}, timeouts = {} } = options
  const { retries = 5, retryTime = 0, connections = 1, rateLimit = Number.POSITIVE_INFINITY } = options
  const { connect = 30_000, headers: answer = 60_000, stall = 60_000 } = timeouts
  requireNumber('maxSize', maxSize, maxSize > 0, 'a number of bytes above 0')
  requireNumber('maxMemory', maxMemory, maxMemory > 0, 'a number of bytes above 0')
  requireNumber('rateLimit', rateLimit, rateLimit > 0, 'a number of bytes per second above 0')
  requireNumber('retries', retries, Number.isSafeInteger(retries) && retries >= 0, 'an integer from 0')
  requireNumber('retryTime', retryTime, retryTime >= 0, 'milliseconds from 0')
  requireNumber('connections', connections, Number.isSafeInteger(connections) && connections >= 1, 'an integer from 1')
  for (const [name, value] of Object.entries({ connect, headers: answer, stall }))
    requireNumber(
      `timeouts.${name}`,
      value,
      Number.isInteger(value) && value >= 0 && value < 2 ** 31,
      'whole milliseconds from 0 to 2³¹',
    )
  for (const [name, value] of Object.entries(headers)) requireHeader(name, value)
  const { authorities, ...others } = options
  if (options.client) checkIdentity(options.client)
  return {
    ...others,
    ...(authorities !== undefined && { authorities: soundAuthorities(authorities) }),
    verify: checkedMode(verify),
    maxSize,
    maxMemory,
    headers,
    timeouts: { connect, headers: answer, stall },
    retries,
    retryTime,
    connections,
    rateLimit,
  }
}

function requireNumber(name: string, value: number, isValid: boolean, expected: string): void {
  if (typeof value !== 'number' || !isValid)
    throw new DdiError('ERR_DDI_USAGE', `invalid ${name} ${String(value)}: expected ${expected}`)
}

/** Of a connection, and of bodies: requests have none. */
const ownFields = [
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

function requireHeader(name: string, value: string): void {
  if (ownFields.includes(name.toLowerCase()))
    throw new DdiError('ERR_DDI_USAGE', `invalid headers: ${name} is not for you to set`)
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch (error) {
    throw new DdiError('ERR_DDI_USAGE', `invalid headers: ${(error as Error).message}`, { cause: error })
  }
}

function checkedMode(mode: VerifyMode): VerifyMode {
  if (mode === 'no' || mode === 'checksum' || mode === 'signature') return mode
  const sha256 = (mode as { readonly sha256?: unknown } | null)?.sha256
  if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/i.test(sha256)) return { sha256: sha256.toLowerCase() }
  throw new DdiError(
    'ERR_DDI_USAGE',
    'invalid verify: expected no, checksum, signature, or { sha256 } of 64 hexadecimal digits',
  )
}

import { DdiError } from '../errors.js'
import type { VerifyMode } from '../pull/checksums.js'
import { type ImageClass, type ImageKind, imageClasses } from '../pull/names.js'

/** One download that a machine is told to make as it boots. */
export interface PullRequest {
  readonly kind: ImageKind
  readonly class: ImageClass
  readonly readOnly: boolean
  readonly verify: VerifyMode
  /** Attach it when it is there. */
  readonly blockDevice: boolean
  /** `remote` is what replaces the last component of the URL that the firmware booted from; or nothing. */
  readonly bootOrigin: boolean
  /** Below /run, where it is gone with the next boot; null: as the place asks for, in the initrd or on the host. */
  readonly runtime: boolean | null
  /** What it is called here; null: by the URL. */
  readonly local: string | null
  readonly remote: string
}

/**
 * Parses `OPTIONS:LOCAL:REMOTE`, systemd-import-generator(8), with a SHA-256 as `verify=` too.
 * @throws ERR_DDI_USAGE
 */
export function parsePullExpression(text: string): PullRequest {
  const refuse = (what: string) => new DdiError('ERR_DDI_USAGE', `${JSON.stringify(text)}: ${what}`)
  const [, options, local, remote] = /^([^:]*):([^:]*):(.*)$/s.exec(text) ?? []
  if (options === undefined || local === undefined || remote === undefined)
    throw refuse('write it as OPTIONS:LOCAL:REMOTE')
  const words = options.split(',').filter((word) => word !== '')
  const kinds = words.filter((word): word is ImageKind => word === 'raw' || word === 'tar')
  const classes = words.filter((word): word is ImageClass => Object.hasOwn(imageClasses, word))
  const [kind] = kinds
  const [use] = classes
  if (kind === undefined || kinds.length > 1) throw refuse('one of raw and tar has to be there')
  if (use === undefined || classes.length > 1)
    throw refuse(`one of ${Object.keys(imageClasses).join(', ')} has to be there`)
  let request: PullRequest = {
    kind,
    class: use,
    readOnly: false,
    verify: 'signature',
    blockDevice: false,
    bootOrigin: false,
    runtime: null,
    local: local === '' ? null : local,
    remote,
  }
  for (const word of words) {
    if (word === kind || word === use) continue
    const [, name = word, value] = /^(verify|runtime)=(.*)$/.exec(word) ?? []
    if (name === 'ro' || name === 'rw') request = { ...request, readOnly: name === 'ro' }
    else if (name === 'blockdev') request = { ...request, blockDevice: true }
    else if (name === 'bootorigin') request = { ...request, bootOrigin: true }
    else if (name === 'verify' && (value === 'no' || value === 'checksum' || value === 'signature'))
      request = { ...request, verify: value }
    else if (name === 'verify' && value !== undefined && /^[0-9a-f]{64}$/i.test(value))
      request = { ...request, verify: { sha256: value.toLowerCase() } }
    else if (name === 'runtime' && value !== undefined && booleans.has(value))
      request = { ...request, runtime: booleans.get(value)! }
    // What is not understood may be what makes it safe.
    else throw refuse(`${word} is no option`)
  }
  if (request.blockDevice && kind !== 'raw') throw refuse('blockdev is for raw images')
  if (!request.bootOrigin && !/^(https?|file):\/\//.test(remote))
    throw refuse(`${JSON.stringify(remote)} is no http, https or file URL`)
  return request
}

/** As systemd’s parse_boolean() takes them. */
const booleans = new Map<string, boolean>([
  ...['1', 'yes', 'y', 'true', 't', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'n', 'false', 'f', 'off'].map((word) => [word, false] as const),
])

/**
 * The requests of the `import.pull` credential: one a line, comments begin with #.
 * @returns the text of each
 */
export function expressionsIn(credential: string): string[] {
  return credential
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

import { DdiError } from '../errors.js'
import { type ImageClass, imageClasses } from '../image-classes.js'
import { booleans } from '../kernel-command-line.js'
import type { VerifyMode } from '../pull/checksums.js'
import type { ImageKind } from '../pull/names.js'

/** One download that a machine is to make as it boots. */
export interface PullRequest {
  readonly kind: ImageKind
  readonly class: ImageClass
  readonly readOnly: boolean
  readonly verify: VerifyMode
  /** Attach the image after pulling it. */
  readonly blockDevice: boolean
  /** `remote` replaces the last component of the URL that the firmware booted from, or is empty. */
  readonly bootOrigin: boolean
  /** Put it below /run, where it is gone with the next boot; null: in the initrd yes, on the host no. */
  readonly runtime: boolean | null
  /** The local name; null: taken from the URL. */
  readonly local: string | null
  readonly remote: string
}

/**
 * Parses `OPTIONS:LOCAL:REMOTE`, systemd-import-generator(8); `verify=` takes a SHA-256, too.
 * @throws ERR_DDI_USAGE
 */
export function parsePullExpression(text: string): PullRequest {
  const refuse = (what: string) => new DdiError('ERR_DDI_USAGE', `${JSON.stringify(text)}: ${what}`)
  const [, options, local, remote] = /^([^:]*):([^:]*):(.*)$/s.exec(text) ?? []
  if (options === undefined || local === undefined || remote === undefined)
    throw refuse('expected OPTIONS:LOCAL:REMOTE')
  const words = options.split(',').filter((word) => word !== '')
  const kinds = words.filter((word): word is ImageKind => word === 'raw' || word === 'tar')
  const classes = words.filter((word): word is ImageClass => Object.hasOwn(imageClasses, word))
  const [kind] = kinds
  const [use] = classes
  if (kind === undefined || kinds.length > 1) throw refuse('exactly one of raw and tar is needed')
  if (use === undefined || classes.length > 1)
    throw refuse(`exactly one of ${Object.keys(imageClasses).join(', ')} is needed`)
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
    // An unknown option may be what makes the request safe.
    else throw refuse(`unknown option ${word}`)
  }
  if (request.blockDevice && kind !== 'raw') throw refuse('blockdev works only with raw images')
  if (!request.bootOrigin && !(/^(https?|file):\/\//.test(remote) && URL.canParse(remote)))
    throw refuse(`${JSON.stringify(remote)} is not an http, https or file URL`)
  return request
}

/**
 * The requests in the `import.pull` credential: one per line, comments begin with #.
 * @returns the text of each
 */
export function expressionsIn(credential: string): string[] {
  return credential
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

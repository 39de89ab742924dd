import { DdiError } from '../errors.js'
import type { Batch } from './batches.js'
import type { FileState, Validator } from './transport.js'
import { isPassing, unavailable } from './unavailable.js'

/** A request for a file, or for a part of it; its size and validator are of what is here already. */
export interface PartRequest extends FileState {
  readonly url: URL
  /**
   * Whether a known SHA-256 decides at the end if the bytes are those of the file: mirrors that give different validators are one file
   * then, if its size is the same.
   */
  readonly verified: boolean
  /** Whether a page for people is what was asked for. Default: false */
  readonly page?: boolean
  /** The first byte. Not 0 only if what is here can be continued, or `until` is given. */
  readonly from: number
  /** The byte after the last one; null for the end of the file. */
  readonly until: number | null
}

/** What a server sends of a file. */
export interface Answer extends FileState {
  /** The first byte: 0 if the server sends the whole file, because it changed or because the server has no ranges. */
  readonly start: number
  /** The byte after the last one; null if the server does not say. */
  readonly end: number | null
}

/** An answer whose bytes are on their way. */
export interface OpenAnswer extends Answer {
  /** @throws ERR_DDI_PULL_BROKEN, ERR_DDI_ABORTED */
  readonly bytes: AsyncIterable<Batch>
  /** Gives up bytes that were not read. */
  cancel(): void
}

/** Header fields by their lower-case name. */
export type HeaderFields = Readonly<Record<string, string | string[] | undefined>>

/** Whether bytes that are already here are to be continued. */
function isContinuing(request: PartRequest): boolean {
  return request.from > 0 && isRecognizable(request)
}

/** Whether another answer can be recognized as one of the same file. */
export function isRecognizable({ verified, validator }: Pick<PartRequest, 'verified' | 'validator'>): boolean {
  return verified || validator !== null
}

/** The header fields of a request for a part: RFC 9110, sections 14.2 and 13.1.5. */
export function rangeFields(request: PartRequest): Record<string, string> {
  const { from, until, validator, verified } = request
  const continuing = isContinuing(request)
  return {
    // Ranges are of the file as it is, and not of a compressed form that the server makes up.
    'accept-encoding': 'identity',
    ...((continuing || until !== null) && { range: `bytes=${from}-${until === null ? '' : until - 1}` }),
    // A mirror would send all of it again.
    ...(continuing && !verified && { 'if-range': validator! }),
  }
}

/**
 * Servers may ignore If-Range, so whatever an answer says of its file counts.
 * @param known what the bytes that are here belong to, recognizable
 * @throws ERR_DDI_PULL_CHANGED unless the answer is of the same file
 */
export function requireSameFile(known: PartRequest, answer: FileState): void {
  const maybeSize = known.size === answer.size || known.size === null || answer.size === null
  if (!maybeSize || (!known.verified && known.validator !== answer.validator)) throw changed(known.url)
}

export function changed(url: URL): DdiError {
  return new DdiError('ERR_DDI_PULL_CHANGED', `${url} changed while it was downloaded: pull it again`)
}

/**
 * What an answer says that its body is.
 * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_FORBIDDEN, ERR_DDI_PULL_BROKEN if the server may have it later, ERR_DDI_PULL_RESPONSE,
 *   ERR_DDI_PULL_CHANGED if bytes that are here cannot be continued
 */
export function parseAnswer(request: PartRequest, status: number, fields: HeaderFields): Answer {
  const { url, from, validator } = request
  const refusal = (code: 'ERR_DDI_PULL_NOT_FOUND' | 'ERR_DDI_PULL_FORBIDDEN' | 'ERR_DDI_PULL_RESPONSE', what: string) =>
    new DdiError(code, `${url}: ${what}`)
  if (status === 404 || status === 410)
    throw refusal('ERR_DDI_PULL_NOT_FOUND', `the server has no such file (${status})`)
  if (status === 403)
    throw refusal('ERR_DDI_PULL_FORBIDDEN', 'the server does not give it away, or has no such file (403)')
  if (isPassing(status)) throw unavailable(url, status, fields['retry-after'])
  if (status === 407) throw refusal('ERR_DDI_PULL_RESPONSE', 'the proxy answers 407: it wants a name and a password')
  // A byte that exists was requested: the file has become shorter.
  if (status === 416 && isContinuing(request)) throw changed(url)
  if (status === 206) {
    if (rangeFields(request)['range'] === undefined)
      throw refusal('ERR_DDI_PULL_RESPONSE', 'the server sends a part, and all of the file was requested')
    const range = String(fields['content-range'])
    const [, start, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(range) ?? []
    const size = total === '*' ? null : Number(total)
    if (Number(start) !== from || Number(last) < from || (size !== null && Number(last) >= size))
      throw refusal('ERR_DDI_PULL_RESPONSE', `bytes from ${from} were requested, and the server sends ${range}`)
    // Without the end, what comes may be less than the rest.
    if ((request.until ?? request.size ?? size) === null) throw changed(url)
    const answer = { start: from, end: Number(last) + 1, size, validator: validatorOf(fields) ?? impliedBy(validator) }
    if (isContinuing(request)) requireSameFile(request, answer)
    return answer
  }
  if (status !== 200) throw refusal('ERR_DDI_PULL_RESPONSE', `the server answers ${status}`)
  const encoding = foreignEncoding(fields)
  if (encoding !== undefined)
    throw refusal('ERR_DDI_PULL_RESPONSE', `the server encodes the file (${encoding}), and was asked not to`)
  const [page] =
    /^(text\/html|application\/(xhtml\+xml|(problem\+)?json))\b/i.exec(String(fields['content-type'])) ?? []
  // Some servers know no better type for an image.
  if (page !== undefined && !request.page && !request.verified)
    throw refusal('ERR_DDI_PULL_RESPONSE', `the server sends ${page}, not an image`)
  const length = fields['content-length']
  const size = typeof length === 'string' ? Number(length) : null
  return { start: 0, end: size, size, validator: validatorOf(fields) }
}

/** Servers name the packing of a file as it is stored, too, and a download is unpacked by what it begins with. */
const knownEncodings = /^(identity|(x-)?gzip|(x-)?bzip2|(x-)?xz|zstd)$/i

function foreignEncoding(fields: HeaderFields): string | undefined {
  const names = String(fields['content-encoding'] ?? 'identity').split(',')
  return names.map((name) => name.trim()).find((name) => !knownEncodings.test(name))
}

/** The validator of an answer that names none: a time of change may be left out of one to If-Range, a tag may not. RFC 9110, 15.3.7. */
function impliedBy(validator: Validator | null): Validator | null {
  return validator?.startsWith('"') ? null : validator
}

/** A strong entity tag, or the time of the last change. Files with the same weak tag may differ. */
function validatorOf(fields: HeaderFields): Validator | null {
  const tag = fields['etag']
  if (typeof tag === 'string' && tag.startsWith('"')) return tag
  const changed = fields['last-modified']
  return typeof changed === 'string' ? changed : null
}

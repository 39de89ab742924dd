import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { DdiError } from '../errors.js'
import { aborted, throwIfAborted } from '../work.js'
import { type HeaderFields, type OpenAnswer, type PartRequest, parseAnswer, rangeFields } from './answer.js'
import { type Batch, batchesOf } from './batches.js'
import { type Dispatchers, openDispatchers } from './dispatchers.js'
import type { Credentials } from './netrc.js'
import type { Settings } from './options.js'

export interface HttpClient extends AsyncDisposable {
  /**
   * Makes one request, and follows redirects.
   * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_FORBIDDEN, ERR_DDI_PULL_RESPONSE, ERR_DDI_PULL_REDIRECT, ERR_DDI_PULL_BROKEN if it may work later,
   *   ERR_DDI_ABORTED
   */
  get(request: PartRequest): Promise<OpenAnswer>
}

const mostRedirects = 10

/** A client for http and https, through the proxies of the environment. @param signal ends all its requests */
export async function openHttp(settings: Settings, signal: AbortSignal): Promise<HttpClient> {
  let opened: Promise<Dispatchers> | undefined
  const { request } = (await import('undici')).default
  const ownFields = { ...(settings.credentials && authorization(settings.credentials)), ...lowerCase(settings.headers) }

  async function follow(url: URL, fields: HeaderFields): Promise<Dispatcher.ResponseData> {
    let at = url
    // Files need no proxy, and nothing that is wrong with one.
    opened ??= openDispatchers(settings)
    const { own, others } = await opened
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      // What is meant for one host is not sent to another.
      const isOwn = at.host === url.host
      const headers = { 'user-agent': 'ddi', ...(isOwn && ownFields), ...fields }
      const response = await inTime(settings.timeouts, signal, (signal) =>
        request(at, { dispatcher: isOwn ? own : others, headers, signal }),
      )
      // Whoever reads the body gets its error; without a reader it is not an unhandled one.
      response.body.on('error', () => {})
      if (![301, 302, 303, 307, 308].includes(response.statusCode)) return response
      // It may never end.
      response.body.destroy()
      at = redirectTarget(at, response.headers['location'])
    }
    throw new DdiError('ERR_DDI_PULL_REDIRECT', `${url} redirects more than ${mostRedirects} times`)
  }

  return {
    async get(part) {
      try {
        const { statusCode, headers, body } = await follow(part.url, rangeFields(part))
        const cancel = () => void body.destroy()
        try {
          const answer = parseAnswer(part, statusCode, headers)
          // The body of a 416 is not of the file.
          const isEmpty = answer.start === answer.end
          return { ...answer, bytes: isEmpty ? nothing() : bytesOf(part.url, body, signal), cancel }
        } catch (error) {
          cancel()
          throw error
        }
      } catch (error) {
        throw failed(part.url, error, signal)
      }
    },
    async [Symbol.asyncDispose]() {
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]()
    },
  }
}

/**
 * Waits for the headers of an answer. Answers that only announce one, and steps of a proxy, begin undici’s timeouts anew.
 * @throws ERR_DDI_ABORTED
 */
async function inTime<Answer>(
  { connect, headers }: Settings['timeouts'],
  signal: AbortSignal,
  request: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const ending = new AbortController()
  const abort = () => ending.abort(aborted(signal))
  const late = () => ending.abort(new Error('no answer in time'))
  // A proxy takes as long as a server may.
  const timer = connect > 0 && headers > 0 ? setTimeout(late, 2 * (connect + headers)) : undefined
  signal.addEventListener('abort', abort, { once: true })
  try {
    // undici aborts what it has sent, and not what waits for a proxy.
    const ended = new Promise<never>((_, reject) => {
      ending.signal.addEventListener('abort', () => reject(ending.signal.reason), { once: true })
    })
    if (signal.aborted) abort()
    return await Promise.race([ended, request(AbortSignal.any([ending.signal, signal]))])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

async function* bytesOf(url: URL, body: Readable, signal: AbortSignal): AsyncGenerator<Batch> {
  try {
    yield* batchesOf(body)
  } catch (error) {
    throw failed(url, error, signal)
  }
}

async function* nothing(): AsyncGenerator<Batch> {}

/**
 * Where a redirect leads.
 * @param location the header field
 * @throws ERR_DDI_PULL_REDIRECT if that is nowhere, or less safe
 */
export function redirectTarget(from: URL, location: string | string[] | undefined): URL {
  if (typeof location !== 'string' || !URL.canParse(location, from.href))
    throw new DdiError('ERR_DDI_PULL_REDIRECT', `${from} redirects to nowhere`)
  const target = new URL(location, from)
  if (target.protocol !== 'https:' && (target.protocol !== 'http:' || from.protocol === 'https:'))
    throw new DdiError('ERR_DDI_PULL_REDIRECT', `${from} redirects to ${target}, which is less safe`)
  return target
}

/** So that a field that is given replaces one of ours. */
function lowerCase(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]))
}

/** RFC 7617 */
function authorization({ login, password }: Credentials): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}` }
}

/** Errors of undici for requests that it does not make. */
const refusals = ['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']

/** @throws ERR_DDI_ABORTED if that is why */
function failed(url: URL, error: unknown, signal: AbortSignal): DdiError {
  throwIfAborted(signal)
  return error instanceof DdiError ? error : brokenError(url, error)
}

function brokenError(url: URL, error: unknown): DdiError {
  const { code, message } = error as { code?: string; message?: string }
  const kind = refusals.includes(code ?? '') ? 'ERR_DDI_USAGE' : 'ERR_DDI_PULL_BROKEN'
  return new DdiError(kind, `${url}: ${code === undefined ? message : `${code}: ${message}`}`, {
    cause: error,
  })
}

import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { type OpenAnswer, type PartRequest, parseAnswer, rangeFields } from './answer.js'
import { type Batch, batchesOf } from './batches.js'
import { openConnections } from './connections.js'
import type { Credentials } from './netrc.js'
import type { Settings } from './options.js'
import { basicAuthorization, type Response } from './response.js'

export interface HttpClient extends Disposable {
  /**
   * Makes one request, and follows redirects.
   * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_FORBIDDEN, ERR_DDI_PULL_RESPONSE, ERR_DDI_PULL_REDIRECT, ERR_DDI_PULL_CERTIFICATE, ERR_DDI_PULL_BROKEN if it may work later,
   *   ERR_DDI_ABORTED
   */
  get(request: PartRequest): Promise<OpenAnswer>
}

const mostRedirects = 10

/** A client for http and https, through the proxies of the environment. @param signal ends all its requests */
export function openHttp(settings: Settings, signal: AbortSignal): HttpClient {
  const connections = openConnections(settings, signal)
  const ownFields = { ...(settings.credentials && authorization(settings.credentials)), ...lowerCase(settings.headers) }

  async function follow(url: URL, fields: Readonly<Record<string, string>>): Promise<Response> {
    let at = url
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      // What is meant for one host is not sent to another.
      const isOwn = at.host === url.host
      const headers = { 'user-agent': 'ddi', ...(isOwn && ownFields), ...fields }
      const response = await connections.send({ url: at, headers, isOwn })
      // Whoever reads the body gets its error; without a reader it is not an unhandled one.
      response.on('error', () => {})
      if (![301, 302, 303, 307, 308].includes(response.statusCode)) return response
      // It may never end.
      response.destroy()
      at = redirectTarget(at, response.headers['location'])
    }
    throw new DdiError('ERR_DDI_PULL_REDIRECT', `${url} redirects more than ${mostRedirects} times`)
  }

  return {
    async get(part) {
      try {
        const body = await follow(part.url, rangeFields(part))
        const cancel = () => void body.destroy()
        try {
          const answer = parseAnswer(part, body.statusCode, body.headers)
          // The body of a 416 is not of the file.
          const isEmpty = answer.start === answer.end
          return { ...answer, bytes: isEmpty ? nothing() : bytesOf(part.url, body), cancel }
        } catch (error) {
          cancel()
          throw error
        }
      } catch (error) {
        throw failed(part.url, error, signal)
      }
    },
    [Symbol.dispose]: () => connections[Symbol.dispose](),
  }

  async function* bytesOf(url: URL, body: Response): AsyncGenerator<Batch> {
    try {
      yield* inTime(batchesOf(body), settings.timeouts.stall, () => body.destroy(new Error('no bytes in time')))
    } catch (error) {
      throw failed(url, error, signal)
    }
  }
}

/** The same bytes; `late` is called if the next ones do not come in time, in ms. Time that the reader takes does not count. */
async function* inTime(bytes: AsyncGenerator<Batch>, longest: number, late: () => void): AsyncGenerator<Batch> {
  try {
    for (;;) {
      const timer = longest > 0 ? setTimeout(late, longest) : undefined
      const next = await bytes.next().finally(() => clearTimeout(timer))
      if (next.done) return
      yield next.value
    }
  } finally {
    await bytes.return(undefined)
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

function authorization({ login, password }: Credentials): { readonly authorization: string } {
  return { authorization: basicAuthorization(login, password) }
}

/** How OpenSSL says that a certificate does not verify, as Node.js passes it on: trying again changes nothing. */
const untrusted =
  /^(CERT_|UNABLE_TO_|(DEPTH_ZERO_)?SELF_SIGNED_|ERR_TLS_CERT_|INVALID_(CA|PURPOSE)$|PATH_LENGTH_EXCEEDED$)/

/** @throws ERR_DDI_ABORTED if that is why */
function failed(url: URL, error: unknown, signal: AbortSignal): DdiError {
  throwIfAborted(signal)
  if (error instanceof DdiError) return error
  const { code, message, cause } = error as NodeJS.ErrnoException
  const what = code === undefined ? message : `${code}: ${message}`
  // Over HTTP/2, a stream is cancelled, and says why.
  const why = (cause as NodeJS.ErrnoException | undefined)?.code ?? code
  if (why !== undefined && untrusted.test(why))
    return new DdiError('ERR_DDI_PULL_CERTIFICATE', `${url}: its certificate does not verify: ${what}`, {
      cause: error,
    })
  return new DdiError('ERR_DDI_PULL_BROKEN', `${url}: ${what}`, { cause: error })
}

import type { Readable } from 'node:stream'
import { rootCertificates } from 'node:tls'
import type { Dispatcher } from 'undici'
import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'
import { type HeaderFields, type OpenAnswer, type PartRequest, parseAnswer, rangeFields } from './answer.js'
import { type Batch, batchesOf } from './batches.js'
import type { Credentials } from './netrc.js'
import type { Settings } from './options.js'

export interface HttpClient extends AsyncDisposable {
  /**
   * Makes one request, and follows redirects.
   * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_RESPONSE, ERR_DDI_PULL_REDIRECT, ERR_DDI_PULL_BROKEN if it may work later,
   *   ERR_DDI_ABORTED
   */
  get(request: PartRequest): Promise<OpenAnswer>
}

const mostRedirects = 10

/** A client for http and https, through the proxies of the environment. @param signal ends all its requests */
export async function openHttp(settings: Settings, signal: AbortSignal): Promise<HttpClient> {
  const dispatcher = await openDispatcher(settings)
  const { request } = (await import('undici')).default
  const ownFields = { ...(settings.credentials && authorization(settings.credentials)), ...settings.headers }

  async function follow(url: URL, fields: HeaderFields): Promise<Dispatcher.ResponseData> {
    let at = url
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      // What is meant for one host is not sent to another.
      const headers = { 'user-agent': 'ddi', ...(at.host === url.host && ownFields), ...fields }
      const response = await request(at, { dispatcher, headers, signal })
      // Whoever reads the body gets its error; without a reader it is not an unhandled one.
      response.body.on('error', () => {})
      if (![301, 302, 303, 307, 308].includes(response.statusCode)) return response
      await response.body.dump()
      at = redirectTarget(at, response.headers['location'])
    }
    throw new DdiError('ERR_DDI_PULL_REDIRECT', `${url} redirects more than ${mostRedirects} times`)
  }

  const failed = (url: URL, error: unknown) => {
    throwIfAborted(signal)
    return error instanceof DdiError ? error : brokenError(url, error)
  }

  async function* bytesOf(url: URL, body: Readable): AsyncGenerator<Batch> {
    try {
      yield* batchesOf(body)
    } catch (error) {
      throw failed(url, error)
    }
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
          return { ...answer, bytes: isEmpty ? nothing() : bytesOf(part.url, body), cancel }
        } catch (error) {
          cancel()
          throw error
        }
      } catch (error) {
        throw failed(part.url, error)
      }
    },
    // Bodies that nobody reads any more would keep it waiting.
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
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

/** RFC 7617 */
function authorization({ login, password }: Credentials): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}` }
}

async function openDispatcher({ authorities, client, timeouts }: Settings): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent } = (await import('undici')).default
  const proxied = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].some((name) => process.env[name])
  const tls = {
    ...(authorities !== undefined && { ca: [...rootCertificates, authorities] }),
    ...(client && { cert: client.certificate, key: client.key }),
  }
  const settings = {
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.stall,
    connect: { timeout: timeouts.connect, ...tls },
    // For servers behind a proxy.
    requestTls: tls,
  }
  // Only if it is needed: undici warns on stderr that it is experimental.
  return proxied ? new EnvHttpProxyAgent(settings) : new Agent(settings)
}

function brokenError(url: URL, error: unknown): DdiError {
  const { code, message } = error as { code?: string; message?: string }
  return new DdiError('ERR_DDI_PULL_BROKEN', `${url}: ${code === undefined ? message : `${code}: ${message}`}`, {
    cause: error,
  })
}

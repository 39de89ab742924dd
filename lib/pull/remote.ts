import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { rootCertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Dispatcher } from 'undici'
import { DdiError, systemError } from '../errors.js'
import { throwIfAborted, type Work } from '../work.js'
import { type Batch, batchesOf, chunksOf, lengthOf, slice } from './batches.js'
import type { Credentials } from './netrc.js'

export interface TransportOptions extends Pick<Work, 'signal'> {
  /** More request headers. */
  readonly headers?: Readonly<Record<string, string>>
  /** For the server of the address, and no other; those in the address itself count first. */
  readonly credentials?: Credentials
  /** More certificates to trust, PEM. */
  readonly authorities?: string
  /** A certificate of ours with its key, both PEM, for servers that ask for one. */
  readonly client?: { readonly certificate: string; readonly key: string }
  /** For connecting, for the headers of an answer, and for each next byte, in milliseconds. */
  readonly timeouts?: { readonly connect?: number; readonly headers?: number; readonly stall?: number }
  /** How often in a row a transfer that makes no progress is begun again. Default: 5. */
  readonly retries?: number
  /** How many parts of a file are downloaded at once, where the server has ranges; each takes 8 MiB of memory. Default: 1. */
  readonly connections?: number
  /** Bytes a second at most. Default: any. */
  readonly rateLimit?: number
}

/** What identifies one state of a file on a server, for resuming. */
export type Validator = string

/** A file on a server, as its next bytes come. */
export interface Download {
  /** Where these bytes begin. 0 although more was asked for: the file is another than before. */
  readonly start: number
  /** Of the whole file, where the server says; in bytes. */
  readonly size: number | null
  readonly validator: Validator | null
  /** From `start` to the end; broken connections are taken up again. */
  readonly bytes: AsyncIterable<Batch>
}

const mostRedirects = 10
const firstDelay = 250
const longestDelay = 8_000
/** In bytes: less of it, and the server may be in trouble. */
const muchProgress = 1024 * 1024
/** What one of several connections asks for at once, in bytes. */
const segmentSize = 8 * 1024 * 1024

/** Where bytes come from: a file, or an HTTP server. */
export interface Transport extends AsyncDisposable {
  /**
   * Begins a download.
   * @param from take it up at this byte, if the file is still that of `validator`
   * @throws ERR_DDI_PULL_NOT_FOUND, ERR_DDI_PULL_RESPONSE, ERR_DDI_PULL_REDIRECT, ERR_DDI_PULL_BROKEN
   */
  download(url: URL, from?: number, validator?: Validator | null): Promise<Download>
  /** Whether the server has such a file. @throws as `download` */
  has(url: URL): Promise<boolean>
  /** A short file, whole; undefined where there is none. @throws as `download`, and where it has more than `most` bytes */
  read(url: URL, most: number): Promise<Uint8Array | undefined>
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

/** A download as a server has begun to answer it. */
interface Answered extends Download {
  /** Where the bytes of this answer end, where it says so. */
  readonly end: number | null
  readonly body: Readable
}

/** Opens a transport: http, https and file, proxies as the environment says. @throws ERR_DDI_USAGE for other schemes */
export async function openTransport(options: TransportOptions = {}): Promise<Transport> {
  const { retries = 5, connections = 1, signal } = options
  const dispatcher = await makeDispatcher(options)
  const basic = options.credentials && authorization(options.credentials)
  const { request } = (await import('undici')).default

  /** One request, its redirects followed. */
  async function ask(url: URL, headers: Record<string, string>): Promise<Answer> {
    let at = url
    for (let redirects = 0; ; redirects++) {
      if (redirects > mostRedirects)
        throw new DdiError('ERR_DDI_PULL_REDIRECT', `${url} redirects more than ${mostRedirects} times`)
      const sameHost = at.host === url.host
      // What is meant for one host is not told another.
      const own = sameHost && { ...basic, ...options.headers }
      const sent = { 'user-agent': 'ddi', ...own, ...headers }
      const answer = await request(at, { dispatcher, headers: sent, ...(signal && { signal }) })
      // Whoever reads it gets its error; one that nobody reads is nobody's.
      answer.body.on('error', () => {})
      if (![301, 302, 303, 307, 308].includes(answer.statusCode))
        return { status: answer.statusCode, headers: answer.headers, body: answer.body }
      await answer.body.dump()
      const location = answer.headers['location']
      if (typeof location !== 'string' || !URL.canParse(location, at.href))
        throw new DdiError('ERR_DDI_PULL_REDIRECT', `${at} redirects to nowhere`)
      const next = new URL(location, at)
      if (!['http:', 'https:'].includes(next.protocol) || (at.protocol === 'https:' && next.protocol === 'http:'))
        throw new DdiError('ERR_DDI_PULL_REDIRECT', `${at} redirects to ${next}, which is less safe`)
      at = next
    }
  }

  /** Begins at `from`, or at 0 where the file is not that of the validator any more; asks for no more than up to `until`. */
  async function begin(url: URL, from: number, validator: Validator | null, until?: number): Promise<Answered> {
    const resuming = from > 0 && validator !== null
    const range: Record<string, string> = {
      ...((resuming || until !== undefined) && { range: `bytes=${from}-${until === undefined ? '' : until - 1}` }),
      ...(resuming && { 'if-range': validator }),
    }
    const answer = await ask(url, { 'accept-encoding': 'identity', ...range })
    const { status, headers, body } = answer
    const refuse = (code: 'ERR_DDI_PULL_NOT_FOUND' | 'ERR_DDI_PULL_RESPONSE' | 'ERR_DDI_PULL_BROKEN', what: string) => {
      body.destroy()
      return new DdiError(code, `${url}: ${what}`)
    }
    const found = validatorOf(headers)
    if (status === 404 || status === 410)
      throw refuse('ERR_DDI_PULL_NOT_FOUND', `the server has no such file (${status})`)
    // A server that is overloaded may have it later.
    if (status === 429 || status >= 500) throw refuse('ERR_DDI_PULL_BROKEN', `the server answers ${status}`)
    if (status === 416 && resuming) return { start: from, end: from, size: from, validator, bytes: nothing(), body }
    if (status === 206) {
      const [, start, last, size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(String(headers['content-range'] ?? '')) ?? []
      if (Number(start) !== from)
        throw refuse(
          'ERR_DDI_PULL_RESPONSE',
          `bytes from ${from} were asked for, and the server sends ${String(headers['content-range'])}`,
        )
      return {
        start: from,
        end: Number(last) + 1,
        size: size === undefined || size === '*' ? null : Number(size),
        validator: found ?? validator,
        bytes: batchesOf(body),
        body,
      }
    }
    if (status !== 200) throw refuse('ERR_DDI_PULL_RESPONSE', `the server answers ${status}`)
    if (/^text\/html\b/.test(String(headers['content-type'] ?? '')))
      throw refuse('ERR_DDI_PULL_RESPONSE', 'the server sends a web page, not an image')
    const length = headers['content-length']
    const size = typeof length === 'string' ? Number(length) : null
    return { start: 0, end: size, size, validator: found, bytes: batchesOf(body), body }
  }

  async function* nothing(): AsyncGenerator<Batch> {}

  async function delay(attempt: number): Promise<void> {
    const longest = Math.min(longestDelay, firstDelay * 2 ** attempt)
    await sleep(longest / 2 + (Math.random() * longest) / 2, undefined, signal ? { signal } : {})
  }

  /** Begins, and begins again where the network does not let it. */
  async function beginPatiently(
    url: URL,
    from: number,
    validator: Validator | null,
    until?: number,
  ): Promise<Answered> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await begin(url, from, validator, until)
      } catch (error) {
        throwIfAborted(signal)
        const broken = !(error instanceof DdiError) || error.code === 'ERR_DDI_PULL_BROKEN'
        if (!broken || attempt >= retries) throw brokenError(url, error)
        await delay(attempt)
      }
    }
  }

  /**
   * The bytes from `start` to `until`, which is the end where it is null; goes on where a connection breaks.
   * @param file what they are of
   * @param first an answer that has begun with them
   */
  async function* withoutBreaks(
    url: URL,
    start: number,
    until: number | null,
    file: Pick<Download, 'size' | 'validator'>,
    first?: Answered,
  ): AsyncGenerator<Batch> {
    let at = start
    let current = first
    const asked = until === file.size || until === null ? undefined : until
    for (let failures = 0; ; ) {
      const from = at
      try {
        current ??= await beginPatiently(url, at, file.validator, asked)
        // A server without ranges sends all of it again; that is as good, if it is the same file.
        let skip = at - current.start
        const same = file.validator !== null ? current.validator === file.validator : current.size === file.size
        if (!same) throw new DdiError('ERR_DDI_PULL_CHANGED', `${url} changed while it was downloaded: begin again`)
        for await (const batch of current.bytes) {
          throwIfAborted(signal)
          const wanted = slice(batch, skip, skip + (asked ?? Number.POSITIVE_INFINITY) - at)
          skip = Math.max(0, skip - lengthOf(batch))
          if (wanted.length === 0) continue
          failures = 0
          at += lengthOf(wanted)
          if (file.size !== null && at > file.size)
            throw new DdiError(
              'ERR_DDI_PULL_RESPONSE',
              `${url} has more than the ${file.size} bytes that the server told`,
            )
          yield wanted
          if (at === asked && current.end !== asked) return
        }
        if (until === null || at === until) return
        throw new DdiError('ERR_DDI_PULL_BROKEN', `${url}: the server sent ${at} of ${until} bytes`)
      } catch (error) {
        throwIfAborted(signal)
        if (error instanceof DdiError && error.code !== 'ERR_DDI_PULL_BROKEN') throw error
        if (file.validator === null && file.size === null) throw brokenError(url, error)
        if (failures++ >= retries) throw brokenError(url, error)
        // Whoever gives much and then breaks need not be spared.
        if (at - from < muchProgress) await delay(failures)
      } finally {
        // What was not asked for is not waited for.
        current?.body.destroy()
        current = undefined
      }
    }
  }

  /** All bytes from where `first` starts, in order, parts of them on their way beside each other. */
  async function* inSegments(url: URL, first: Answered, size: number): AsyncGenerator<Batch> {
    const collect = async (start: number, end: number, begun?: Answered) => {
      const batches: Batch[] = []
      for await (const batch of withoutBreaks(url, start, end, { ...first, size }, begun)) batches.push(batch)
      return batches
    }
    let at = first.end!
    const coming = [collect(first.start, at, first)]
    for (let part = coming.shift(); part; part = coming.shift()) {
      for (; coming.length < connections - 1 && at < size; at = Math.min(at + segmentSize, size)) {
        const next = collect(at, Math.min(at + segmentSize, size))
        // Whoever waits for it is told.
        next.catch(() => {})
        coming.push(next)
      }
      yield* await part
    }
  }

  /** Keeps to the limit of the rate. */
  async function* paced(bytes: AsyncIterable<Batch>): AsyncGenerator<Batch> {
    const { rateLimit } = options
    if (rateLimit === undefined) {
      yield* bytes
      return
    }
    const began = performance.now()
    let sent = 0
    for await (const chunk of chunksOf(bytes)) {
      sent += chunk.length
      yield [chunk]
      const early = (sent / rateLimit) * 1000 - (performance.now() - began)
      if (early > 5) await sleep(early, undefined, signal ? { signal } : {})
    }
  }

  async function download(url: URL, from = 0, validator: Validator | null = null): Promise<Download> {
    if (url.protocol === 'file:') {
      const local = await openLocal(url, from, validator, signal)
      return { ...local, bytes: paced(local.bytes) }
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new DdiError(
        'ERR_DDI_USAGE',
        `${url.protocol.slice(0, -1)} is no scheme to pull by: http, https and file are`,
      )
    let first = await beginPatiently(url, from, validator, connections > 1 ? from + segmentSize : undefined)
    // A part of what is not known to end is of no use.
    if (connections > 1 && first.size === null && first.end !== null) {
      first.body.destroy()
      first = await beginPatiently(url, from, validator)
    }
    const { start, end, size, validator: found } = first
    const isWhole = size === null || end === size
    const bytes =
      isWhole || found === null ? withoutBreaks(url, start, size, first, first) : inSegments(url, first, size)
    return { start, size, validator: found, bytes: paced(bytes) }
  }

  return {
    download,
    async has(url) {
      try {
        const found = await download(url)
        await found.bytes[Symbol.asyncIterator]().return?.()
        return true
      } catch (error) {
        if (error instanceof DdiError && error.code === 'ERR_DDI_PULL_NOT_FOUND') return false
        throw error
      }
    },
    async read(url, most) {
      let found: Download
      try {
        found = await download(url)
      } catch (error) {
        if (error instanceof DdiError && error.code === 'ERR_DDI_PULL_NOT_FOUND') return undefined
        throw error
      }
      const parts: Uint8Array[] = []
      let length = 0
      for await (const batch of found.bytes) {
        length += lengthOf(batch)
        if (length > most)
          throw new DdiError('ERR_DDI_PULL_RESPONSE', `${url} has more than ${most} bytes, which no such file has`)
        parts.push(...batch)
      }
      return Buffer.concat(parts)
    },
    // Bodies that nobody reads any more would keep it waiting.
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

/** RFC 7617 */
function authorization({ login, password }: Credentials): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}` }
}

async function makeDispatcher({ authorities, client, timeouts = {} }: TransportOptions): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent } = (await import('undici')).default
  const proxied = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].some((name) => process.env[name])
  const { connect = 30_000, headers = 60_000, stall = 60_000 } = timeouts
  const tls = {
    ...(authorities !== undefined && { ca: [...rootCertificates, authorities] }),
    ...(client && { cert: client.certificate, key: client.key }),
  }
  const settings = {
    headersTimeout: headers,
    bodyTimeout: stall,
    connect: { timeout: connect, ...tls },
    // The same for what lies behind a proxy.
    requestTls: tls,
  }
  // Only where it is needed: undici calls it experimental, aloud.
  return proxied ? new EnvHttpProxyAgent(settings) : new Agent(settings)
}

/** A strong entity tag, or the time of the last change. Weak tags are of files that may differ. */
function validatorOf(headers: Answer['headers']): Validator | null {
  const tag = headers['etag']
  if (typeof tag === 'string' && tag.startsWith('"')) return tag
  const changed = headers['last-modified']
  return typeof changed === 'string' ? changed : null
}

function brokenError(url: URL, error: unknown): DdiError {
  if (error instanceof DdiError) return error
  const { code, message } = error as { code?: string; message?: string }
  return new DdiError('ERR_DDI_PULL_BROKEN', `${url}: ${code === undefined ? message : `${code}: ${message}`}`, {
    cause: error,
  })
}

/** A file, which is the same as long as its size and time are. */
async function openLocal(
  url: URL,
  from: number,
  validator: Validator | null,
  signal: AbortSignal | undefined,
): Promise<Download> {
  const path = fileURLToPath(url)
  const stats = await stat(path).catch((error: unknown) => {
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_PULL_NOT_FOUND' })
  })
  if (!stats.isFile()) throw new DdiError('ERR_DDI_PULL_NOT_FOUND', `${path} is no file`)
  const own = `${stats.size}-${stats.mtimeMs}`
  const start = validator === own ? Math.min(from, stats.size) : 0
  return {
    start,
    size: stats.size,
    validator: own,
    bytes: bytesOf(path, start, signal),
  }
}

/** A file from a byte on, opened when it is asked for: an error of a stream that nobody listens to yet would end the process. */
async function* bytesOf(path: string, start: number, signal: AbortSignal | undefined): AsyncGenerator<Batch> {
  try {
    yield* batchesOf(createReadStream(path, { start, highWaterMark: 1 << 20, ...(signal && { signal }) }))
  } catch (error) {
    throwIfAborted(signal)
    throw systemError(error, `cannot read ${path}`, { ENOENT: 'ERR_DDI_PULL_NOT_FOUND', EIO: 'ERR_DDI_IO' })
  }
}

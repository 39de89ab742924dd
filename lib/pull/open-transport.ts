import { DdiError } from '../errors.js'
import { lengthOf } from './batches.js'
import { openHttp } from './http.js'
import { openLocal } from './local.js'
import type { Settings } from './options.js'
import { atRate, systemClock } from './pace.js'
import { getPatiently, type Server } from './resume.js'
import { downloadFrom } from './segments.js'
import type { Beginning, Download, Transport } from './transport.js'

const nothing: Beginning = { from: 0, size: null, validator: null, verified: false }

/** Opens a transport for http, https and file. */
export async function openTransport(settings: Settings): Promise<Transport> {
  const { retries, retryTime, connections, rateLimit } = settings
  const closing = new AbortController()
  const signal = settings.signal ? AbortSignal.any([settings.signal, closing.signal]) : closing.signal
  const clock = systemClock(signal)
  const http = openHttp(settings, signal)
  const server: Server = { get: http.get, retries, retryTime, clock, signal }

  async function begin(url: URL, after: Beginning): Promise<Download> {
    switch (url.protocol) {
      case 'file:':
        return await openLocal(url, after, signal)
      case 'http:':
      case 'https:':
        return await downloadFrom(server, { url, until: null, ...after }, connections)
      default:
        throw new DdiError('ERR_DDI_USAGE', `${url.protocol.slice(0, -1)} is not supported: use http, https or file`)
    }
  }

  async function download(url: URL, after: Beginning = nothing): Promise<Download> {
    const found = await begin(url, after)
    return { ...found, bytes: atRate(found.bytes, rateLimit, clock) }
  }

  return {
    download,
    async has(url) {
      if (url.protocol === 'file:') return (await unlessMissing(download(url))) !== undefined
      // One byte: some servers refuse HEAD, and an answer with all bytes is as good.
      const first = { url, ...nothing, until: 1 }
      const found = await unlessMissing(getPatiently(server, first))
      found?.cancel()
      return found !== undefined
    },
    async read(url, most, page = false) {
      const found = await unlessMissing(download(url, { ...nothing, page }))
      if (!found) return undefined
      const parts: Uint8Array[] = []
      let length = 0
      for await (const batch of found.bytes) {
        length += lengthOf(batch)
        if (length > most)
          throw new DdiError('ERR_DDI_PULL_RESPONSE', `${url} has more than ${most} bytes, too many for such a file`)
        parts.push(...batch)
      }
      return Buffer.concat(parts)
    },
    async [Symbol.asyncDispose]() {
      // Parts that nobody waits for any more would be requested again and again.
      closing.abort()
      http[Symbol.dispose]()
    },
  }
}

/** Who may not list a bucket of S3 is not told that a file is missing. */
const missing: readonly string[] = ['ERR_DDI_PULL_NOT_FOUND', 'ERR_DDI_PULL_FORBIDDEN']

async function unlessMissing<Found>(found: Promise<Found>): Promise<Found | undefined> {
  try {
    return await found
  } catch (error) {
    if (error instanceof DdiError && missing.includes(error.code)) return undefined
    throw error
  }
}

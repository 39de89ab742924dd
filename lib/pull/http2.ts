import { type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import type { SecureContext } from 'node:tls'
import { deadline, type Limits, type Outgoing, pathOf, type Response } from './response.js'

/** Whether a server refused a connection because it speaks nothing but HTTP/2. */
export function speaksOnlyHttp2(error: unknown): boolean {
  return /alert no application protocol/.test((error as Error).message)
}

/** Sends a request over a connection of its own, and waits for the head of its answer. RFC 9113. */
export async function sendByHttp2(
  { url, headers }: Outgoing,
  secureContext: SecureContext,
  { timeouts, signal }: Limits,
): Promise<Response> {
  const session = connect(url.origin, { secureContext })
  return await new Promise<Response>((resolve, reject) => {
    const limit = deadline((error) => session.destroy(error))
    const fail = (error: Error) => {
      limit.clear()
      session.destroy()
      reject(error)
    }
    limit.next('connection', timeouts.connect)
    session.once('connect', () => limit.next('answer', timeouts.headers))
    session.once('error', fail)
    const stream: ClientHttp2Stream = session.request({ ...headers, ':path': pathOf(url) }, { signal })
    stream.once('close', () => session.close())
    // After the head, whoever reads the body gets the error.
    stream.on('error', fail)
    stream.once('response', (fields: IncomingHttpHeaders & { readonly ':status'?: number }) => {
      limit.clear()
      resolve(Object.assign(stream, { statusCode: fields[':status'] ?? 0, headers: fields }))
    })
  })
}

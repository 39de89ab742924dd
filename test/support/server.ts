// An HTTP server on loopback that does as it is told, wrongly too.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly requests: readonly { readonly path: string; readonly range: string | undefined }[]
  /** Bytes of bodies that were sent. */
  readonly sent: number
}

export type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void

export interface ServedFile {
  readonly bytes: Buffer
  readonly etag?: string
  /** Closes the connection after so many bytes of each answer. */
  readonly breakAfter?: number
  readonly ignoreRange?: boolean
}

/** Serves files with entity tags and ranges, and what handlers make of the other paths. */
export async function serve(files: Readonly<Record<string, ServedFile | Handler>>): Promise<TestServer> {
  const requests: { path: string; range: string | undefined }[] = []
  let sent = 0
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    requests.push({ path, range: request.headers.range })
    const file = files[path]
    if (!file) response.writeHead(404).end()
    else if (typeof file === 'function') file(request, response, requests.filter((one) => one.path === path).length)
    else {
      const { bytes, etag = '"one"', breakAfter, ignoreRange = false } = file
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const partial = from > 0 && !ignoreRange && request.headers['if-range'] === etag
      const body = partial ? bytes.subarray(from) : bytes
      response.writeHead(partial ? 206 : 200, {
        etag,
        'content-length': body.length,
        ...(partial && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
      })
      const part = breakAfter === undefined ? body : body.subarray(0, breakAfter)
      sent += part.length
      if (part.length === body.length) response.end(part)
      else response.write(part, () => response.destroy())
    }
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get sent() {
      return sent
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

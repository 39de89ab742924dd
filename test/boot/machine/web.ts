// The web server of a test network, a process inside of it. It misbehaves on command, and tells its parent of every request.
import { createReadStream, type Stats, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'

/** What is wrong with a file, or with the way to it. */
export type Fault =
  /** The connection ends after so many bytes of each of the next `times` answers; then nothing listens for `awayMs`. */
  | { readonly kind: 'cut'; readonly after: number; readonly times: number; readonly awayMs: number }
  /** That status, and no file. */
  | { readonly kind: 'status'; readonly status: number }
  /** A page for people with status 200, as captive portals send it. */
  | { readonly kind: 'page' }
  /** The request is taken, and nothing is ever said. */
  | { readonly kind: 'silence' }

export interface WebRequest {
  readonly method: string
  readonly path: string
  readonly range: string | null
  /** 0: not answered. */
  readonly status: number
}

/** To the server: its faults by path, all anew; or whether it is away. */
export type Order = { readonly faults: Readonly<Record<string, Fault>> } | { readonly away: boolean }

/** From the server: that an order was carried out, and each request. */
export type Report = { readonly done: true } | { readonly request: WebRequest }

const [folder = ''] = process.argv.slice(2)
let faults: Readonly<Record<string, Fault>> = {}
const cuts = new Map<string, number>()

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url ?? '/', 'http://here').pathname)
  const status = answer(path, request, response)
  report({ request: { method: request.method ?? 'GET', path, range: request.headers.range ?? null, status } })
})
const report = (what: Report) => void process.send?.(what)
const done = () => report({ done: true })

function leave(left: () => void): void {
  server.close(left)
  server.closeAllConnections()
}

/** @returns the status */
function answer(path: string, request: IncomingMessage, response: ServerResponse): number {
  const fault = faults[path]
  if (fault?.kind === 'silence') return 0
  if (fault?.kind === 'page')
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><title>Log in</title>')
  else if (fault?.kind === 'status') response.writeHead(fault.status).end()
  else {
    const stats = path.includes('..') ? undefined : statSync(join(folder, path), { throwIfNoEntry: false })
    if (stats?.isFile()) send(path, stats, request, response)
    else response.writeHead(404).end()
  }
  return response.statusCode
}

function send(path: string, { size, mtimeMs }: Stats, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers } = request
  const etag = `"${size}-${mtimeMs}"`
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const partial = first !== undefined && (headers['if-range'] ?? etag) === etag
  const from = partial ? Number(first) : 0
  const to = partial && last ? Math.min(Number(last), size - 1) : size - 1
  if (partial && from > to) return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
  response.writeHead(partial ? 206 : 200, {
    etag,
    'accept-ranges': 'bytes',
    'content-length': to - from + 1,
    'content-type': 'application/octet-stream',
    ...(partial && { 'content-range': `bytes ${from}-${to}/${size}` }),
  })
  if (method === 'HEAD' || size === 0) return void response.end()
  const fault = faults[path]
  const past = cuts.get(path) ?? 0
  const cut = fault?.kind === 'cut' && past < fault.times ? fault : undefined
  const end = cut ? Math.min(to, from + cut.after - 1) : to
  const body = createReadStream(join(folder, path), { start: from, end })
  body.pipe(response, { end: !cut })
  if (!cut) return
  cuts.set(path, past + 1)
  const breakOff = () => {
    if (cut.awayMs === 0) response.destroy()
    else leave(() => setTimeout(() => listen(), cut.awayMs))
  }
  // What was written is to arrive first.
  body.once('end', () => setTimeout(breakOff, 200))
}

function listen(then?: () => void): void {
  server.listen(80, '::', then)
}

process.on('message', (order: Order) => {
  if ('faults' in order) {
    faults = order.faults
    cuts.clear()
    done()
  } else if (order.away && server.listening) leave(done)
  else if (!order.away && !server.listening) listen(done)
  else done()
})
// With this process, the last one in it, the network is gone.
process.on('disconnect', () => process.exit())
listen(done)

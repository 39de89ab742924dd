import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as requestPlainly } from 'node:http'
import { request as requestSecurely, Agent as SecureAgent } from 'node:https'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, rootCertificates, type SecureContextOptions, TLSSocket } from 'node:tls'
import type { Settings } from './options.js'
import { proxyFor } from './proxies.js'

/** A request without a body. */
export interface Outgoing {
  readonly url: URL
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** To the server of the address that was given: it gets the client certificate. */
  readonly isOwn: boolean
}

/** Connections to servers, which are used again. */
export interface Connections extends Disposable {
  /** Sends a request. @returns its answer, without what only announces one; ERR_DDI_USAGE for a proxy that cannot be one */
  send(outgoing: Outgoing): Promise<IncomingMessage>
}

/** Through the proxies of the environment, if there are any. @param signal ends everything */
export function openConnections({ client, authorities, timeouts }: Settings, signal: AbortSignal): Connections {
  const plain = new PlainAgent({ keepAlive: true })
  const trusted = authorities === undefined ? {} : { ca: [...rootCertificates, authorities] }
  const others = new SecureAgent({ keepAlive: true, ...trusted })
  const identity = client && { ...trusted, cert: client.certificate, key: client.key }
  const own = identity ? new SecureAgent({ keepAlive: true, ...identity }) : others

  async function send({ url, headers, isOwn }: Outgoing): Promise<IncomingMessage> {
    const proxy = proxyFor(url)
    if (url.protocol === 'http:') {
      const at = proxy ? { ...serverOf(proxy), path: url.href } : { ...serverOf(url), path: pathOf(url) }
      const fields = proxy ? { host: url.host, ...authorizationAt(proxy), ...headers } : headers
      const request = proxy?.protocol === 'https:' ? requestSecurely : requestPlainly
      const agent = proxy?.protocol === 'https:' ? others : plain
      return await answerTo(request({ ...at, headers: fields, agent, signal }), 'response', timeouts)
    }
    const at = { ...serverOf(url), path: pathOf(url), headers, signal }
    if (!proxy) return await answerTo(requestSecurely({ ...at, agent: isOwn ? own : others }), 'response', timeouts)
    const socket = await tunnel(proxy, url, { trusted, identity: isOwn && identity ? identity : trusted })
    const request = requestSecurely({ ...at, createConnection: () => socket })
    return await answerTo(request, 'response', timeouts)
  }

  /** A connection to a server that a proxy passes on. */
  async function tunnel(
    proxy: URL,
    url: URL,
    { trusted, identity }: Readonly<Record<'trusted' | 'identity', SecureContextOptions>>,
  ): Promise<Duplex> {
    const request = proxy.protocol === 'https:' ? requestSecurely : requestPlainly
    const path = `${url.hostname}:${url.port || 443}`
    const headers = { host: path, ...authorizationAt(proxy) }
    const connecting = request({
      ...serverOf(proxy),
      method: 'CONNECT',
      path,
      headers,
      agent: false,
      signal,
      ...trusted,
    })
    const { statusCode, socket } = await answerTo(connecting, 'connect', timeouts)
    if (statusCode !== 200) throw new Error(`the proxy answers ${statusCode}`)
    const { host } = serverOf(url)
    return connect({ socket, host, ...(isIP(host) === 0 && { servername: host }), ...identity })
  }

  return {
    send,
    [Symbol.dispose]() {
      for (const agent of [plain, own, others]) agent.destroy()
    },
  }
}

function serverOf({ hostname, port }: URL): { readonly host: string; readonly port?: string } {
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), ...(port !== '' && { port }) }
}

function pathOf({ pathname, search }: URL): string {
  return `${pathname}${search}`
}

function authorizationAt({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const [name, secret] = [username, password].map(decodeURIComponent)
  return { 'proxy-authorization': `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}` }
}

/** Sends a request, and waits for the head of its answer: first for a connection, and then for the server. */
async function answerTo(
  request: ClientRequest,
  event: 'response' | 'connect',
  timeouts: Settings['timeouts'],
): Promise<IncomingMessage> {
  return await new Promise<IncomingMessage>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const waitFor = (what: string, longest: number) => {
      clearTimeout(timer)
      timer = longest > 0 ? setTimeout(() => request.destroy(new Error(`no ${what} in time`)), longest) : undefined
    }
    waitFor('connection', timeouts.connect)
    request.once('socket', (socket) => {
      const opened = () => waitFor('answer', timeouts.headers)
      const isOpen = !socket.connecting && (!(socket instanceof TLSSocket) || isShaken(socket))
      if (isOpen) opened()
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', opened)
    })
    request.once(event, (answer: IncomingMessage) => {
      clearTimeout(timer)
      resolve(answer)
    })
    // After the head, whoever reads the body gets the error.
    request.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    request.end()
  })
}

/** Whether a connection has been used before. */
function isShaken(socket: TLSSocket): boolean {
  return ![null, 'unknown'].includes(socket.getProtocol())
}

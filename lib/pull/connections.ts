import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as requestPlainly } from 'node:http'
import { request as requestSecurely, Agent as SecureAgent } from 'node:https'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, type SecureContext, TLSSocket } from 'node:tls'
import { DdiError } from '../errors.js'
import { type SecureContexts, secureContexts } from './authorities.js'
import { sendByHttp2, speaksOnlyHttp2 } from './http2.js'
import type { Settings } from './options.js'
import { proxyFor } from './proxies.js'
import { basicAuthorization, deadline, type Limits, type Outgoing, pathOf, type Response } from './response.js'
import { isPassing } from './unavailable.js'

/** Connections to servers, which are used again. */
export interface Connections extends Disposable {
  /** Sends a request. @returns its answer, without what only announces one; ERR_DDI_USAGE for a proxy that cannot be one */
  send(outgoing: Outgoing): Promise<Response>
}

/** What is sent over these connections: RFC 7301. */
const ALPNProtocols = ['http/1.1']

/** Through the proxies of the environment, if there are any. @param signal ends everything */
export function openConnections({ client, authorities, timeouts }: Settings, signal: AbortSignal): Connections {
  const plain = new PlainAgent({ keepAlive: true })
  const agents: { destroy(): void }[] = [plain]
  let opened: Promise<SecureAgents> | undefined

  /** Most addresses of a boot need none, and parsing authorities takes time. */
  async function openSecure(): Promise<SecureAgents> {
    const contexts = await secureContexts(authorities, client)
    const agentOf = (secureContext: SecureContext) => new SecureAgent({ keepAlive: true, ALPNProtocols, secureContext })
    const others = agentOf(contexts.others)
    const own = contexts.own === contexts.others ? others : agentOf(contexts.own)
    agents.push(own, others)
    return { contexts, own, others }
  }

  async function send(outgoing: Outgoing): Promise<Response> {
    const { url, headers } = outgoing
    const proxy = proxyFor(url)
    const isSecure = url.protocol === 'https:' || proxy?.protocol === 'https:'
    if (isSecure) opened ??= openSecure()
    const secure = isSecure ? await opened : undefined
    if (url.protocol === 'https:') return await sendSecurely(outgoing, proxy, secure!, { timeouts, signal })
    const at = proxy
      ? { ...serverOf(proxy), path: `${url.origin}${pathOf(url)}` }
      : { ...serverOf(url), path: pathOf(url) }
    const fields = proxy ? { host: url.host, ...authorizationAt(proxy), ...headers } : headers
    const request = secure ? requestSecurely : requestPlainly
    const answer = answerTo(
      request({ ...at, headers: fields, agent: secure?.others ?? plain, signal }),
      'response',
      timeouts,
    )
    return await (proxy ? namingProxy(answer, proxy) : answer)
  }

  return {
    send,
    [Symbol.dispose]() {
      for (const agent of agents) agent.destroy()
    },
  }
}

interface SecureAgents {
  readonly contexts: SecureContexts
  readonly own: SecureAgent
  readonly others: SecureAgent
}

async function sendSecurely(
  outgoing: Outgoing,
  proxy: URL | undefined,
  { contexts, own, others }: SecureAgents,
  limits: Limits,
): Promise<Response> {
  const { url, headers, isOwn } = outgoing
  const at = { ...serverOf(url), path: pathOf(url), headers, signal: limits.signal }
  const secureContext = isOwn ? contexts.own : contexts.others
  if (proxy) {
    const socket = await tunnel(proxy, url, contexts.others, limits)
    const { host } = serverOf(url)
    const secured = connect({
      socket,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      secureContext,
      ALPNProtocols,
    })
    return await answerTo(requestSecurely({ ...at, createConnection: () => secured }), 'response', limits.timeouts)
  }
  try {
    return await answerTo(requestSecurely({ ...at, agent: isOwn ? own : others }), 'response', limits.timeouts)
  } catch (error) {
    if (!speaksOnlyHttp2(error)) throw error
    return await sendByHttp2(outgoing, secureContext, limits)
  }
}

/** A connection to a server that a proxy passes on. */
async function tunnel(
  proxy: URL,
  url: URL,
  secureContext: SecureContext,
  { timeouts, signal }: Limits,
): Promise<Duplex> {
  const request = proxy.protocol === 'https:' ? requestSecurely : requestPlainly
  const path = `${url.hostname}:${url.port || 443}`
  const headers = { host: path, ...authorizationAt(proxy) }
  const at = { ...serverOf(proxy), method: 'CONNECT', path, headers, agent: false, signal, secureContext }
  const { statusCode, socket } = await namingProxy(answerTo(request(at), 'connect', timeouts), proxy)
  if (statusCode === 200) return socket
  socket.destroy()
  const what = `the proxy ${proxy.host} answers ${statusCode}`
  throw isPassing(statusCode) ? new Error(what) : new DdiError('ERR_DDI_PULL_RESPONSE', `${url}: ${what}`)
}

/** Says of a connection that fails which proxy it was to. */
async function namingProxy<Result>(work: Promise<Result>, proxy: URL): Promise<Result> {
  return await work.catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException
    throw Object.assign(new Error(`the proxy ${proxy.host}: ${message}`, { cause: error }), { code })
  })
}

function serverOf({ hostname, port }: URL): { readonly host: string; readonly port?: string } {
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), ...(port !== '' && { port }) }
}

function authorizationAt({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  return { 'proxy-authorization': basicAuthorization(decodeURIComponent(username), decodeURIComponent(password)) }
}

/** Each answer has a status. */
type Answered = IncomingMessage & { readonly statusCode: number }

/** Sends a request, and waits for the head of its answer: first for a connection, and then for the server. */
async function answerTo(
  request: ClientRequest,
  event: 'response' | 'connect',
  timeouts: Settings['timeouts'],
): Promise<Answered> {
  return await new Promise<Answered>((resolve, reject) => {
    const limit = deadline((error) => request.destroy(error))
    limit.next('connection', timeouts.connect)
    request.once('socket', (socket) => {
      const opened = () => limit.next('answer', timeouts.headers)
      const isOpen = !socket.connecting && (!(socket instanceof TLSSocket) || isShaken(socket))
      if (isOpen) opened()
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', opened)
    })
    request.once(event, (answer: Answered) => {
      limit.clear()
      resolve(answer)
    })
    // After the head, whoever reads the body gets the error.
    request.on('error', (error) => {
      limit.clear()
      reject(error)
    })
    request.end()
  })
}

/** Whether a connection has been used before. */
function isShaken(socket: TLSSocket): boolean {
  return ![null, 'unknown'].includes(socket.getProtocol())
}

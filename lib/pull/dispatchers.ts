import { rootCertificates } from 'node:tls'
import type { Dispatcher } from 'undici'
import { DdiError } from '../errors.js'
import type { Settings } from './options.js'

/** What sends requests. */
export interface Dispatchers extends AsyncDisposable {
  /** For the server of the address: it gets the client certificate. */
  readonly own: Dispatcher
  /** For the servers that it redirects to. */
  readonly others: Dispatcher
}

/** Through the proxies of the environment, if there are any. @throws ERR_DDI_USAGE for a proxy that cannot be one */
export async function openDispatchers(settings: Settings): Promise<Dispatchers> {
  const { client, authorities } = settings
  const trusted = authorities === undefined ? {} : { ca: [...rootCertificates, authorities] }
  const toProxies: Dispatcher[] = []
  const others = await openDispatcher(settings, trusted, toProxies)
  const own = client
    ? await openDispatcher(settings, { ...trusted, cert: client.certificate, key: client.key }, toProxies)
    : others
  return {
    own,
    others,
    // Bodies that nobody reads any more would keep it waiting, and so would proxies that do not answer.
    async [Symbol.asyncDispose]() {
      for (const one of new Set([...toProxies, own, others])) await one.destroy()
    },
  }
}

/** @param toProxies gets what connects to the proxies */
async function openDispatcher({ timeouts }: Settings, tls: object, toProxies: Dispatcher[]): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent, Pool } = (await import('undici')).default
  const [httpProxy, httpsProxy] = [proxyOf('http_proxy', 'HTTP_PROXY'), proxyOf('https_proxy', 'HTTPS_PROXY')]
  const settings = {
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.stall,
    connect: { timeout: timeouts.connect, ...tls },
    // For servers behind a proxy.
    requestTls: tls,
    // A proxy that does not answer is not waited for longer than a server.
    clientFactory: (origin: URL, options: object) => {
      const pool = new Pool(origin, { ...options, headersTimeout: timeouts.headers })
      toProxies.push(pool)
      return pool
    },
  }
  // Only if it is needed: undici warns on stderr that it is experimental.
  if (httpProxy === undefined && httpsProxy === undefined) return new Agent(settings)
  return new EnvHttpProxyAgent({
    ...settings,
    ...(httpProxy !== undefined && { httpProxy }),
    ...(httpsProxy !== undefined && { httpsProxy }),
  })
}

/** The proxy that the first of some variables of the environment names: a URL, or a host as curl takes it. */
function proxyOf(...names: readonly string[]): string | undefined {
  const name = names.find((one) => process.env[one])
  if (name === undefined) return undefined
  const value = process.env[name]!
  const url = value.includes('://') ? value : `http://${value}`
  if (URL.canParse(url) && isProxy(new URL(url))) return url
  // It may contain a password.
  throw new DdiError('ERR_DDI_USAGE', `the environment variable ${name} is not the URL of an http or https proxy`)
}

function isProxy({ protocol, hostname, username, password }: URL): boolean {
  if (!['http:', 'https:'].includes(protocol) || hostname === '') return false
  return [username, password].every((text) => !/%(?![0-9a-f]{2})/i.test(text))
}

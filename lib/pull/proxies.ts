import { DdiError } from '../errors.js'

/**
 * The proxy that the environment names for an address, in the variables of curl.
 * @throws ERR_DDI_USAGE for a proxy that cannot be one
 */
export function proxyFor(url: URL): URL | undefined {
  const scheme = url.protocol.slice(0, -1)
  const name = [`${scheme}_proxy`, `${scheme.toUpperCase()}_PROXY`].find((one) => process.env[one])
  if (name === undefined || needsNone(url)) return undefined
  const value = process.env[name]!
  const proxy = value.includes('://') ? value : `http://${value}`
  if (URL.canParse(proxy) && isProxy(new URL(proxy))) return new URL(proxy)
  // It may contain a password.
  throw new DdiError('ERR_DDI_USAGE', `the environment variable ${name} is not the URL of an http or https proxy`)
}

function isProxy({ protocol, hostname, username, password }: URL): boolean {
  if (!['http:', 'https:'].includes(protocol) || hostname === '') return false
  return [username, password].every((text) => !/%(?![0-9a-f]{2})/i.test(text))
}

/** Hosts and domains, with a port or without; `*` is all of them. */
function needsNone({ hostname, port, protocol }: URL): boolean {
  const own = port || (protocol === 'https:' ? '443' : '80')
  const entries = (process.env['no_proxy'] || process.env['NO_PROXY'] || '').toLowerCase().split(/[\s,]+/)
  return entries.some((entry) => {
    const [, name = '', given = own] = /^(?:\*?\.)?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? []
    return name === '*' || (name !== '' && given === own && (hostname === name || hostname.endsWith(`.${name}`)))
  })
}

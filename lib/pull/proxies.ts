import { BlockList, isIP } from 'node:net'
import { DdiError } from '../errors.js'

/**
 * The proxy that the environment names for an address, as for curl: `http_proxy` and `https_proxy`, each for addresses of its scheme alone,
 * else `all_proxy`, unless `no_proxy` has the host.
 * @throws ERR_DDI_USAGE for a proxy that cannot be one
 */
export function proxyFor(url: URL): URL | undefined {
  const scheme = url.protocol.slice(0, -1)
  const names = [scheme, 'all'].flatMap((one) => [`${one}_proxy`, `${one}_proxy`.toUpperCase()])
  const name = names.find((one) => process.env[one])
  if (name === undefined || needsNone(url, process.env['no_proxy'] || process.env['NO_PROXY'] || '')) return undefined
  const value = process.env[name]!
  const proxy = value.includes('://') ? value : `http://${value}`
  if (URL.canParse(proxy) && isProxy(new URL(proxy))) return new URL(proxy)
  // It may contain a password.
  const [, other] = /^(socks[a-z0-9]*):\/\//i.exec(value) ?? []
  throw new DdiError(
    'ERR_DDI_USAGE',
    other === undefined
      ? `the environment variable ${name} is not the URL of an http or https proxy`
      : `the environment variable ${name} names a proxy of the kind ${other}, which is not supported: name an http or https proxy`,
  )
}

function isProxy({ protocol, hostname, username, password }: URL): boolean {
  if (!['http:', 'https:'].includes(protocol) || hostname === '') return false
  return [username, password].every((text) => !/%(?![0-9a-f]{2})/i.test(text))
}

/**
 * Whether a list names the host of an address: hosts and domains, each with what is below it and with a port or without, addresses, networks
 * (`10.0.0.0/8`); `*` is all of them.
 */
export function needsNone({ hostname, port, protocol }: URL, list: string): boolean {
  const host = bare(hostname)
  const own = port || (protocol === 'https:' ? '443' : '80')
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true
      if (isIP(host) !== 0 && covers(entry, host)) return true
      const [, name = '', given = own] = /^(?:\*?\.)?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? []
      if (given !== own || name === '') return false
      return isIP(host) === 0 ? host === bare(name) || host.endsWith(`.${bare(name)}`) : covers(name, host)
    })
}

/** Without the brackets of an address, or the dot at the end of a name. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

/** Whether an address is another one, or in a network. */
function covers(entry: string, address: string): boolean {
  const [name = '', prefix] = entry.split('/')
  const [network, family] = [bare(name), isIP(bare(name))]
  const length = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix)
  if (family === 0 || family !== isIP(address) || !Number.isInteger(length) || length > (family === 4 ? 32 : 128))
    return false
  const type = family === 4 ? 'ipv4' : 'ipv6'
  const networks = new BlockList()
  networks.addSubnet(network, length, type)
  return networks.check(address, type)
}

import { isIP } from 'node:net'
import { DdiError } from '../errors.js'

/** How a network card gets its addresses. */
export type Addressing =
  /** From others. `any`: whatever of these gives one first; `auto6`: router advertisements; `either6`: these or DHCPv6. */
  | { readonly kind: 'dhcp' | 'dhcp6' | 'auto6' | 'either6' | 'any' }
  /** None but the one of IPv6 that every card gives itself. */
  | { readonly kind: 'link6' }
  | { readonly kind: 'static'; readonly address: string; readonly prefix: number; readonly gateway: string | null }
  | { readonly kind: 'off' }

/** What one `ip=` says. */
export interface InterfaceSettings {
  /** The name of the card; null: any. */
  readonly device: string | null
  readonly addressing: Addressing
  readonly hostname: string | null
  readonly nameServers: readonly string[]
  /** In bytes. */
  readonly mtu: number | null
  /** That the card is to have: `52:54:00:12:34:56`. */
  readonly mac: string | null
}

/** What one `rd.route=` says. */
export interface Route {
  /** `10.0.0.0/8` or `default` */
  readonly destination: string
  readonly gateway: string
  readonly device: string | null
}

/** `bootp`, `both` and `rarp` are older ways of what is DHCP now. */
const kinds = {
  dhcp: 'dhcp',
  bootp: 'dhcp',
  both: 'dhcp',
  'single-dhcp': 'dhcp',
  dhcp6: 'dhcp6',
  auto6: 'auto6',
  either6: 'either6',
  any: 'any',
  on: 'any',
  link6: 'link6',
  'link-local': 'link6',
  off: 'off',
  none: 'off',
  static: 'off',
} as const

/**
 * Parses `ip=`: the forms of the kernel (Documentation/admin-guide/nfs/nfsroot.rst), and those of dracut.cmdline(7), which has methods of
 * IPv6, addresses in brackets, and prefixes for masks:
 *
 *     METHOD
 *     DEVICE:METHOD[:MTU[:MAC]]
 *     ADDRESS:SERVER:GATEWAY:MASK:HOSTNAME:DEVICE:METHOD[:DNS0[:DNS1[:NTP0]]]
 *     ADDRESS:PEER:GATEWAY:MASK:HOSTNAME:DEVICE:METHOD[:MTU[:MAC]]
 *
 * What is left out at the end counts as empty. With an address, the method does not matter.
 * @throws ERR_DDI_USAGE
 */
export function parseIpParameter(text: string): InterfaceSettings {
  const refuse = refusal(`ip=${text}`)
  const words = splitFields(text)
  const [first = '', second = ''] = words
  if (words.length === 1) {
    const addressing = isMethod(first) ? ({ kind: kinds[first] } as const) : undefined
    if (addressing) return { ...nothingElse, addressing }
  } else if (isMethod(second) && !versionOf(first)) {
    if (first === '') throw refuse('the name of the network card is missing')
    const addressing = { kind: kinds[second] } as const
    return { ...nothingElse, device: deviceName(first, refuse), addressing, ...linkSettings(words.slice(2), refuse) }
  }
  return parseLong(words, refuse)
}

const nothingElse = { device: null, hostname: null, nameServers: [], mtu: null, mac: null } as const

type Refusal = (why: string) => DdiError

function refusal(what: string): Refusal {
  return (why) => new DdiError('ERR_DDI_USAGE', `${what} on the kernel command line: ${why}`)
}

/** At colons, but for those in brackets, which go. */
function splitFields(text: string): string[] {
  return [...`:${text}`.matchAll(/:(?:\[([^\]]*)\](?=:|$)|([^:]*))/g)].map(([, inner, plain]) => inner ?? plain ?? '')
}

function isMethod(word: string): word is keyof typeof kinds {
  return Object.hasOwn(kinds, word)
}

function parseLong(words: readonly string[], refuse: Refusal): InterfaceSettings {
  const [address = '', , gateway = '', mask = '', hostname = '', device = '', method = '', ...rest] = words
  if (method !== '' && !isMethod(method)) throw refuse(`${method} is no method: ${Object.keys(kinds).join(', ')}`)
  if (hostname !== '' && !/^[A-Za-z0-9._-]{1,64}$/.test(hostname)) throw refuse(`${hostname} is no host name`)
  const own = { device: device === '' ? null : deviceName(device, refuse), hostname: hostname === '' ? null : hostname }
  const addressing =
    address === '' ? ({ kind: kinds[method || 'any'] } as const) : fixed(address, gateway, mask, refuse)
  if (address === '' && [gateway, mask].some((word) => word !== ''))
    throw refuse('it has a gateway or a mask, but no address')
  return { ...own, addressing, ...restOf(rest, refuse) }
}

/** Name servers and one for the time, or what the link is like. */
function restOf(rest: readonly string[], refuse: Refusal) {
  if (!rest.some((word) => versionOf(word))) return { nameServers: [], ...linkSettings(rest, refuse) }
  const [first = '', second = '', , ...more] = rest
  const wrong = [first, second].find((word) => word !== '' && !versionOf(word)) ?? more.find((word) => word !== '')
  if (wrong !== undefined) throw refuse(`${wrong} is not the address of a name server`)
  return { nameServers: [first, second].filter((word) => word !== ''), mtu: null, mac: null }
}

function linkSettings([mtu = '', ...rest]: readonly string[], refuse: Refusal): Pick<InterfaceSettings, 'mtu' | 'mac'> {
  const mac = rest.join(':').toLowerCase()
  if (mtu !== '' && !/^[1-9]\d{1,4}$/.test(mtu))
    throw refuse(`${mtu} is neither an MTU nor the address of a name server`)
  if (mac !== '' && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) throw refuse(`${mac} is no hardware address`)
  return { mtu: mtu === '' ? null : Number(mtu), mac: mac === '' ? null : mac }
}

function fixed(address: string, gateway: string, mask: string, refuse: Refusal): Addressing {
  if (!versionOf(address)) throw refuse(`${address} is neither a method nor an address`)
  if (gateway !== '' && versionOf(gateway) !== versionOf(address))
    throw refuse(`${gateway} is no gateway for ${address}`)
  const prefix = prefixOf(address, mask)
  if (prefix === undefined) throw refuse(`${mask} is neither a mask nor the length of a prefix for ${address}`)
  return { kind: 'static', address, prefix, gateway: gateway === '' ? null : gateway }
}

/** The length of a prefix, from a mask if it is one. Without any, networks of IPv4 are those of their classes, as for the kernel. */
function prefixOf(address: string, mask: string): number | undefined {
  const longest = versionOf(address) === 4 ? 32 : 128
  if (mask === '') return longest === 128 ? 64 : classPrefix(Number(address.split('.')[0]))
  if (/^\d{1,3}$/.test(mask)) return Number(mask) <= longest ? Number(mask) : undefined
  if (versionOf(mask) !== 4 || longest !== 32) return undefined
  const bits = mask
    .split('.')
    .map((octet) => Number(octet).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined
}

function classPrefix(first: number): number {
  return first < 128 ? 8 : first < 192 ? 16 : 24
}

/** 4 or 6 of an address without a zone, which names a card of whoever wrote it; else 0. */
export function versionOf(text: string): number {
  return text.includes('%') ? 0 : isIP(text)
}

/** dev_valid_name() of the kernel. */
function deviceName(text: string, refuse: Refusal): string {
  if (/^[^\s/:]{1,15}$/.test(text) && text !== '.' && text !== '..') return text
  throw refuse(`${text} cannot be the name of a network card`)
}

/**
 * Parses `rd.route=DESTINATION/PREFIX:GATEWAY[:DEVICE]`, dracut.cmdline(7).
 * @throws ERR_DDI_USAGE
 */
export function parseRouteParameter(text: string): Route {
  const refuse = refusal(`rd.route=${text}`)
  // The brackets are around the address or around all of the network.
  const [destination = '', gateway = '', device = '', ...more] = splitFields(
    text.replace(/^\[([^\]]*)\](\/\d+)/, '[$1$2]'),
  )
  const [address = '', prefix, ...others] = destination.split('/')
  const isNetwork = versionOf(address) !== 0 && others.length === 0 && prefixOf(address, prefix ?? '32') !== undefined
  if (!isNetwork && destination !== 'default') throw refuse(`${destination} is not a network`)
  if (!versionOf(gateway) || (isNetwork && versionOf(gateway) !== versionOf(address)))
    throw refuse(`${gateway} is no gateway for it`)
  if (more.length > 0) throw refuse('it has too many parts')
  return { destination, gateway, device: device === '' ? null : deviceName(device, refuse) }
}

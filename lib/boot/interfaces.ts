import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { lookFor } from './look-for.js'

/**
 * The network cards of a machine: what looks like Ethernet (ARPHRD_ETHER of <linux/if_arp.h>) and has a device.
 * @param device of this name, whatever it is; null: of any
 */
export async function networkCards(root: string, device: string | null): Promise<readonly string[]> {
  const names = (await readdir(join(root, directory)).catch(() => [])).sort()
  if (device !== null) return names.filter((name) => name === device)
  const facts = await Promise.all(names.map((name) => isCard(root, name)))
  return names.filter((_, index) => facts[index])
}

const directory = 'sys/class/net'

async function isCard(root: string, name: string): Promise<boolean> {
  if ((await attribute(root, name, 'type')) !== '1') return false
  // A bridge or a tunnel has none.
  return (await readdir(join(root, directory, name))).includes('device')
}

/** `address`, `carrier` … as the kernel shows it; empty if it does not. */
export async function attribute(root: string, card: string, name: string): Promise<string> {
  const text = await readFile(join(root, directory, card, name), 'utf8').catch(() => '')
  return text.trim()
}

/** @param patience in ms @throws ERR_DDI_NETWORK */
export async function waitForCarrier(
  root: string,
  card: string,
  patience: number,
  signal?: AbortSignal,
): Promise<void> {
  const up = await lookFor(
    async () => ((await attribute(root, card, 'carrier')) === '1' ? true : undefined),
    patience,
    signal,
  )
  if (!up) throw new DdiError('ERR_DDI_NETWORK', `${card} has no carrier: is its cable plugged in?`)
}

/** An address that the kernel has and would use. */
export interface Address6 {
  readonly card: string
  /** In full: `fe80:0000:…`. */
  readonly address: string
  readonly scope: 'global' | 'link'
  /** It is of a network that a router advertises: it lasts as long as the router says. */
  readonly isAdvertised: boolean
}

/** Those of IPv6 that nobody else has, as far as is known. Lines of /proc/net/if_inet6: address, index, prefix, scope, flags, name. */
export async function addresses6(root: string, card: string): Promise<readonly Address6[]> {
  const text = await readFile(join(root, 'proc/net/if_inet6'), 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => {
    const [digits = '', , , scope = '', flags = '', name] = line.trim().split(/\s+/)
    const bits = Number.parseInt(flags, 16)
    const known = scopes.get(scope)
    if (name !== card || known === undefined || (bits & notUsable) !== 0) return []
    const address = digits.match(/.{4}/g)!.join(':')
    return [{ card, address, scope: known, isAdvertised: known === 'global' && (bits & isPermanent) === 0 }]
  })
}

/** IPV6_ADDR_… of <net/ipv6.h>, shown in hexadecimal. */
const scopes: ReadonlyMap<string, Address6['scope']> = new Map([
  ['00', 'global'],
  ['20', 'link'],
])

/** IFA_F_PERMANENT of <linux/if_addr.h>. */
const isPermanent = 0x80

/** IFA_F_DADFAILED, IFA_F_DEPRECATED and IFA_F_TENTATIVE of <linux/if_addr.h>. */
const notUsable = 0x08 | 0x20 | 0x40

/**
 * Whether a card has a default route of IPv6. Lines of /proc/net/ipv6_route: network, prefix, source, prefix, gateway, metric, users,
 * uses, flags, name.
 * @returns undefined if not
 */
export async function defaultRoute6(root: string, card: string): Promise<true | undefined> {
  const text = await readFile(join(root, 'proc/net/ipv6_route'), 'utf8').catch(() => '')
  const routes = text.split('\n').map((line) => line.trim().split(/\s+/))
  const isThere = routes.some(
    ([network = '', prefix, , , , , , , flags = '', name]) =>
      name === card && prefix === '00' && /^0+$/.test(network) && (Number.parseInt(flags, 16) & isGateway) !== 0,
  )
  return isThere || undefined
}

/** RTF_GATEWAY of <linux/route.h>. */
const isGateway = 0x2

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../bindings/package-root.js'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import { throwIfAborted } from '../work.js'
import type { Dhcp6Client } from './dhcp6.js'
import type { Given6 } from './dhcp6-message.js'
import { type Address6, addresses6, attribute, defaultRoute6, waitForCarrier } from './interfaces.js'
import { type Addressing, type InterfaceSettings, versionOf } from './ip-parameter.js'
import { readLease, writeLease6 } from './lease.js'
import { lookFor } from './look-for.js'

/** A network card that can be used. */
export interface Configured {
  readonly card: string
  readonly address: string
  readonly nameServers: readonly string[]
}

/** Who configures a card, and how long that may take, in seconds: dracut.cmdline(7) has the same. */
export interface Attempt {
  readonly root: string
  readonly card: string
  readonly patience: { readonly carrier: number; readonly dhcp: number }
  /** What DHCP servers are told that this machine is; null: nothing. */
  readonly client: { readonly class: string; readonly architecture: number } | null
  readonly signal: AbortSignal
}

/** How long who answers for addresses may take to answer for name servers, in ms. */
const informationPatience = 1500

/** How long a router may be later than a server, in ms; a network may have none. */
const routerPatience = 4000

/**
 * Brings a network card up, and gives it addresses. One that gets none is taken down again.
 * @throws ERR_DDI_NETWORK, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function configureCard(attempt: Attempt, settings: InterfaceSettings): Promise<Configured> {
  const { root, card, patience, signal } = attempt
  try {
    await ip(['link', 'set', card, ...(settings.mac === null ? [] : ['address', settings.mac])], settings.mac !== null)
    await ip(['link', 'set', card, 'mtu', String(settings.mtu)], settings.mtu !== null)
    await ip(['link', 'set', card, 'up'])
    await waitForCarrier(root, card, patience.carrier * 1000, signal)
    if (settings.hostname !== null) await writeFile(join(root, 'proc/sys/kernel/hostname'), settings.hostname)
    const configured = await address(attempt, settings.addressing)
    return { ...configured, nameServers: [...settings.nameServers, ...configured.nameServers] }
  } catch (error) {
    await ip(['link', 'set', card, 'down']).catch(() => undefined)
    throw error
  }
}

/** Not aborted: it takes no time. */
async function ip(words: readonly string[], isWanted = true): Promise<void> {
  if (isWanted) await runTool({ command: ['ip', ...words], package: 'busybox-static' })
}

async function address(attempt: Attempt, addressing: Addressing): Promise<Configured> {
  const { card, signal } = attempt
  switch (addressing.kind) {
    case 'static':
      return await fixed(attempt, addressing)
    case 'dhcp':
      return await dhcp4(attempt)
    case 'dhcp6':
      return await dhcp6(attempt)
    case 'auto6':
      return await described(attempt, await ownAddress(attempt, 'advertised'))
    case 'either6': {
      const first = await firstOf<string | Configured>(signal, [
        (signal) => ownAddress({ ...attempt, signal }, 'advertised'),
        (signal) => dhcp6({ ...attempt, signal }),
      ])
      return typeof first === 'string' ? await described(attempt, first) : first
    }
    case 'any':
      return await firstOf(signal, [
        (signal) => dhcp4({ ...attempt, signal }),
        (signal) => address({ ...attempt, signal }, { kind: 'either6' }),
      ])
    case 'link6':
      return { card, address: await ownAddress(attempt, 'link'), nameServers: [] }
    case 'off':
      throw new DdiError('ERR_DDI_NETWORK', `${card} is off`)
  }
}

/**
 * Makes several attempts at once, and ends the others once one has succeeded.
 * @throws ERR_DDI_NETWORK with what became of each, ERR_DDI_ABORTED
 */
export async function firstOf<Result>(
  signal: AbortSignal | undefined,
  attempts: readonly ((signal: AbortSignal) => Promise<Result>)[],
): Promise<Result> {
  const over = new AbortController()
  const either = signal ? AbortSignal.any([signal, over.signal]) : over.signal
  const running = attempts.map((attempt) => attempt(either))
  try {
    return await Promise.any(running)
  } catch (error) {
    throwIfAborted(signal)
    const reasons = (error as AggregateError).errors.map((one: Error) => one.message)
    throw new DdiError('ERR_DDI_NETWORK', [...new Set(reasons)].join('; '), { cause: error })
  } finally {
    over.abort()
    await Promise.allSettled(running)
  }
}

async function fixed(
  attempt: Attempt,
  { address, prefix, gateway }: Extract<Addressing, { kind: 'static' }>,
): Promise<Configured> {
  const { card } = attempt
  const family = versionOf(address) === 6 ? ['-6'] : []
  const broadcast = family.length === 0 && prefix < 31 ? ['broadcast', '+'] : []
  await ip([...family, 'addr', 'add', `${address}/${prefix}`, ...broadcast, 'dev', card])
  if (family.length > 0) await ownAddress(attempt, 'fixed')
  if (gateway !== null) {
    const route = [...family, 'route', 'add', 'default', 'via', gateway, 'dev', card]
    // It may lie outside of the network, as in some clouds.
    await ip(route).catch(async () => {
      await ip([...family, 'route', 'add', gateway, 'dev', card])
      await ip(route)
    })
  }
  return { card, address, nameServers: [] }
}

/** busybox's client calls our script with what it was given. */
async function dhcp4({ root, card, patience, client, signal }: Attempt): Promise<Configured> {
  const script = join(packageRoot, 'dist/boot/udhcpc.sh')
  const options = ['bootfile', 'staticroutes', 'mtu'].flatMap((option) => ['-O', option])
  // Options 60 and 93, in hexadecimal.
  const identity = client ? ['-V', client.class, '-x', `0x5d:${client.architecture.toString(16).padStart(4, '0')}`] : []
  const tries = ['-t', String(patience.dhcp), '-T', '1']
  const command = [
    'busybox',
    'udhcpc',
    '-f',
    '-n',
    '-q',
    '-i',
    card,
    ...tries,
    ...options,
    ...identity,
    '-s',
    script,
  ] as const
  await runTool({ command, package: 'busybox-static' }, signal).catch((error: unknown) => {
    throwIfAborted(signal)
    const isMissing = error instanceof DdiError && error.code === 'ERR_DDI_LIBRARY_MISSING'
    if (isMissing) throw error
    throw new DdiError('ERR_DDI_NETWORK', `${card}: DHCP: no server gives an address`, { cause: error })
  })
  const lease = await readLease(root, card)
  if (!lease) throw new DdiError('ERR_DDI_NETWORK', `${card}: DHCP: the server gives an address that cannot be used`)
  return { card, ...lease }
}

/** With an address that a router advertised; a server of DHCPv6 may know more. */
async function described(attempt: Attempt, address: string): Promise<Configured> {
  const { root, card, signal } = attempt
  const { requestInformation } = await import('./dhcp6.js')
  const given = await requestInformation(await clientOf(attempt, informationPatience)).catch((): Given6 => {
    throwIfAborted(signal)
    return { address: null, nameServers: [], bootFileUrl: null }
  })
  await writeLease6(root, card, { ...given, address })
  return { card, address, nameServers: given.nameServers }
}

async function dhcp6(attempt: Attempt): Promise<Configured> {
  const { root, card, patience, signal } = attempt
  const { requestAddress } = await import('./dhcp6.js')
  const given = await requestAddress(await clientOf(attempt, patience.dhcp * 1000))
  // What else is on the link is for routers to say: RFC 5942.
  await ip(['-6', 'addr', 'add', `${given.address}/128`, 'dev', card])
  await ownAddress(attempt, 'fixed')
  await lookFor(() => defaultRoute6(root, card), routerPatience, signal)
  await writeLease6(root, card, given)
  return { card, address: given.address, nameServers: given.nameServers }
}

async function clientOf(attempt: Attempt, patience: number): Promise<Dhcp6Client> {
  const { root, card, signal } = attempt
  const linkLocal = await ownAddress(attempt, 'link')
  return { card, mac: await attribute(root, card, 'address'), linkLocal, patience, signal }
}

/** How an address of IPv6 came to be, and what is wrong where there is none. */
const origins = {
  advertised: 'no router advertises a network',
  fixed: 'another machine has the address',
  link: 'the kernel has no IPv6',
} as const

/** Waits for an address of IPv6 that nobody else has. @throws ERR_DDI_NETWORK */
async function ownAddress({ root, card, patience, signal }: Attempt, origin: keyof typeof origins): Promise<string> {
  const fits = ({ scope, isAdvertised }: Address6) =>
    origin === 'link' ? scope === 'link' : scope === 'global' && isAdvertised === (origin === 'advertised')
  const look = async () => (await addresses6(root, card)).find(fits)?.address
  const found = await lookFor(look, patience.dhcp * 1000, signal)
  if (found !== undefined) return found
  throw new DdiError('ERR_DDI_NETWORK', `${card}: IPv6: ${origins[origin]}`)
}

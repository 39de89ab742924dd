import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import { throwIfAborted } from '../work.js'
import { type Attempt, type Configured, configureCard, firstOf } from './addressing.js'
import { cardsToTry } from './cards.js'
import type { BootContext } from './context.js'
import { type InterfaceSettings, type Route, versionOf } from './ip-parameter.js'
import { type NetworkParameters, parseNetworkParameters } from './network-parameters.js'
import { type NetworkUse, networkUse } from './network-use.js'

/** What is done where nothing is said. */
const usual: InterfaceSettings = {
  device: null,
  addressing: { kind: 'any' },
  hostname: null,
  nameServers: [],
  mtu: null,
  mac: null,
}

/**
 * Brings up the network that the kernel command line asks for, if anything is to come from it. All cards that fit are tried, and the
 * first that gets an address is used; one that the machine is known to have booted from is tried first, and by itself.
 * @throws ERR_DDI_NETWORK if no card gets an address, ERR_DDI_ABORTED
 */
export async function configureNetwork(context: BootContext): Promise<void> {
  const { root, parameters, log, signal } = context
  const network = parseNetworkParameters(parameters.text)
  const use = await networkUse(context, network.bootedMac)
  if (!use.isNeeded) return log.say('network: not needed, as nothing is to come from a server')
  const given = network.interfaces.length > 0 ? network.interfaces : [usual]
  const wanted = given.filter(({ addressing }) => addressing.kind !== 'off')
  if (wanted.length === 0) return log.say('network: off, as ip= says')
  const taken = new Set(given.flatMap(({ device }) => device ?? []))
  const results = await Promise.allSettled(
    wanted.map((settings) => configure(context, settings, { taken, use, patience: network.patience })),
  )
  throwIfAborted(signal)
  const configured = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  if (configured.length === 0)
    throw new DdiError('ERR_DDI_NETWORK', `no network: ${failures.map(({ message }) => message).join('; ')}`)
  for (const { message } of failures) log.say(`network: ${message}`)
  for (const { card, address } of configured) log.say(`network: ${card} has ${address}`)
  for (const route of network.routes) await addRoute(context, route)
  const servers = [...network.nameServers, ...configured.flatMap(({ nameServers }) => nameServers)]
  const lines = [...new Set(servers)].map((server) => `nameserver ${server}\n`)
  await writeFile(join(root, 'etc/resolv.conf'), lines.join(''))
}

interface Cards {
  /** What other settings are for. */
  readonly taken: ReadonlySet<string>
  readonly use: NetworkUse
  readonly patience: NetworkParameters['patience']
}

async function configure(context: BootContext, settings: InterfaceSettings, cards: Cards): Promise<Configured> {
  const { root, signal } = context
  const tried = new Set<string>()
  const failures: string[] = []
  const attempt = (card: string) => async (signal: AbortSignal) => {
    const one: Attempt = { root, card, patience: cards.patience, client: cards.use.client, signal }
    return await configureCard(one, settings)
  }
  // While some are tried, others may appear.
  for (;;) {
    const patience = tried.size > 0 ? 0 : cards.patience.link * 1000
    const { taken, use } = cards
    const found = await cardsToTry({ root, device: settings.device, taken, tried, mac: use.mac, patience, signal })
    if (found.length === 0) break
    for (const card of found) tried.add(card)
    try {
      return await firstOf(signal, found.map(attempt))
    } catch (error) {
      throwIfAborted(signal)
      failures.push((error as Error).message)
    }
  }
  const none = settings.device === null ? 'no network card that the initrd has a module for' : `no ${settings.device}`
  throw new DdiError('ERR_DDI_NETWORK', failures.length > 0 ? failures.join('; ') : `this machine has ${none}`)
}

async function addRoute({ log }: BootContext, { destination, gateway, device }: Route): Promise<void> {
  const family = versionOf(gateway) === 6 ? ['-6'] : []
  const words = [...family, 'route', 'add', destination, 'via', gateway, ...(device === null ? [] : ['dev', device])]
  await runTool({ command: ['ip', ...words], package: 'busybox-static' }).catch((error: Error) =>
    log.say(error.message),
  )
}

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
import type { Requested } from './requested.js'

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
export async function configureNetwork(context: BootContext, requested: Requested): Promise<void> {
  const { root, parameters, log, signal } = context
  const network = parseNetworkParameters(parameters.text)
  const installs = parameters.install !== null && requested.origin !== undefined
  if (!requested.asksServer && !installs) return log.say('network: not needed, as nothing is to come from a server')
  const given = network.interfaces.length > 0 ? network.interfaces : [usual]
  const wanted = given.filter(({ addressing }) => addressing.kind !== 'off')
  if (wanted.length === 0) return log.say('network: off, as ip= says')
  const taken = new Set(given.flatMap(({ device }) => device ?? []))
  const results = await Promise.allSettled(
    wanted.map((settings) => configure(context, settings, { taken, requested, network })),
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
  readonly requested: Requested
  readonly network: Pick<NetworkParameters, 'patience' | 'bootedMac'>
}

async function configure(
  context: BootContext,
  settings: InterfaceSettings,
  { taken, requested, network }: Cards,
): Promise<Configured> {
  const { root, signal } = context
  const tried = new Set<string>()
  const failures: string[] = []
  const attempt = (card: string) => async (signal: AbortSignal) => {
    const one: Attempt = { root, card, patience: network.patience, client: clientFor(requested), signal }
    return await configureCard(one, settings)
  }
  // While some are tried, others may appear.
  for (;;) {
    const patience = tried.size > 0 ? 0 : network.patience.link * 1000
    const mac = requested.mac ?? network.bootedMac
    const found = await cardsToTry({ root, device: settings.device, taken, tried, mac, patience, signal })
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

/** RFC 4578, and the processor architectures that IANA has added to it: booting by HTTP. */
const architectures: Readonly<Record<string, number>> = { x64: 16, arm64: 19 }

/** As whom DHCP servers are asked, to tell us what they told the firmware: UEFI 2.10, section 24.7.3.1. */
function clientFor({ origin }: Requested): Attempt['client'] {
  const architecture = architectures[process.arch]
  if (origin !== 'lease' || architecture === undefined) return null
  return { class: `HTTPClient:Arch:${String(architecture).padStart(5, '0')}:UNDI:003001`, architecture }
}

async function addRoute({ log }: BootContext, { destination, gateway, device }: Route): Promise<void> {
  const family = versionOf(gateway) === 6 ? ['-6'] : []
  const words = [...family, 'route', 'add', destination, 'via', gateway, ...(device === null ? [] : ['dev', device])]
  await runTool({ command: ['ip', ...words], package: 'busybox-static' }).catch((error: Error) =>
    log.say(error.message),
  )
}

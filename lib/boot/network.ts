import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import type { BootContext } from './context.js'
import { readLease } from './lease.js'

/** How long network cards may take to appear, in ms. */
const patience = 10_000

/** Where the initrd has the script that udhcpc calls. */
const script = '/usr/lib/ddi/boot/udhcpc.sh'

/**
 * Brings up the network that the kernel command line asks for, on each card.
 * @throws ERR_DDI_NETWORK if no card gets an address
 */
export async function configureNetwork({ root, parameters, log, signal }: BootContext): Promise<void> {
  await busybox(['ip', 'link', 'set', 'lo', 'up'], signal)
  const cards = await waitForCards(root)
  log.say(`network: DHCP on ${cards.join(', ')}`)
  const attempts = cards.map(async (card) => {
    await busybox(['ip', 'link', 'set', card, 'up'], signal)
    await busybox(['udhcpc', '-n', '-q', '-f', '-i', card, '-t', '10', '-T', '1', ...requested, '-s', script], signal)
    return card
  })
  const card = await Promise.any(attempts).catch(({ errors }: AggregateError) => {
    throw new DdiError('ERR_DDI_NETWORK', `no network: ${errors.map(String).join('; ')}`)
  })
  const lease = await readLease(root, card)
  const servers = [...parameters.nameServers, ...lease.nameServers]
  await writeFile(join(root, 'etc/resolv.conf'), servers.map((server) => `nameserver ${server}\n`).join(''))
  log.say(`network: ${card} has ${lease.address}`)
}

/** Options of DHCP that are asked for besides udhcpc's own. */
const requested = ['bootfile', 'staticroutes', 'mtu'].flatMap((option) => ['-O', option])

async function busybox(command: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  await runTool({ command: ['busybox', ...command], package: 'busybox-static' }, signal)
}

async function waitForCards(root: string): Promise<readonly string[]> {
  for (const start = performance.now(); performance.now() - start < patience; await wait(50)) {
    const cards = await networkCards(root)
    if (cards.length > 0) return cards
  }
  throw new DdiError('ERR_DDI_NETWORK', 'this machine has no network card that a module of the initrd is for')
}

/** Those of Ethernet: ARPHRD_ETHER of <linux/if_arp.h>. */
async function networkCards(root: string): Promise<readonly string[]> {
  const directory = join(root, 'sys/class/net')
  const names = (await readdir(directory).catch(() => [])).sort()
  const types = await Promise.all(names.map((name) => readFile(join(directory, name, 'type'), 'utf8').catch(() => '')))
  return names.filter((_, index) => types[index]!.trim() === '1')
}

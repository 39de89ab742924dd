import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'
import type { Given6 } from './dhcp6-message.js'

/** What a network card was given, as `/run/net-IFACE.conf` has it. */
interface Lease {
  readonly address: string
  readonly nameServers: readonly string[]
}

/** @param root the directory that has run/ @returns undefined if there is none */
export async function readLease(root: string, card: string): Promise<Lease | undefined> {
  const text = (await readIfThere(join(root, `run/net-${card}.conf`)))?.toString('utf8') ?? ''
  const values = new Map([...text.matchAll(/^(\w+)='([^'\n]*)'$/gm)].map(([, name, value]) => [name!, value!]))
  const address = values.get('IPV4ADDR')
  const nameServers = [...values].flatMap(([name, value]) => (/^IPV4DNS\d+$/.test(name) ? [value] : []))
  return address === undefined ? undefined : { address, nameServers }
}

/** Writes what DHCPv6 gave to `/run/net6-IFACE.conf`, as klibc names its files. Nothing of it needs quoting. */
export async function writeLease6(root: string, card: string, given: Given6): Promise<void> {
  const { address, nameServers, bootFileUrl } = given
  const values = [
    ['DEVICE', card],
    ['PROTO', 'dhcp6'],
    ['IPV6ADDR', address ?? ''],
    ...nameServers.map((server, index) => [`IPV6DNS${index}`, server]),
    ['BOOTFILE_URL', (bootFileUrl ?? '').replaceAll("'", '%27')],
  ]
  await writeFile(join(root, `run/net6-${card}.conf`), values.map(([name, value]) => `${name}='${value}'\n`).join(''))
}

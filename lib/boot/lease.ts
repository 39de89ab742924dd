import { join } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'

/** What a network card was given, as `/run/net-IFACE.conf` has it. */
export interface Lease {
  readonly address: string
  readonly nameServers: readonly string[]
}

/** @param root the directory that has run/ */
export async function readLease(root: string, card: string): Promise<Lease> {
  const text = (await readIfThere(join(root, `run/net-${card}.conf`)))?.toString('utf8') ?? ''
  const values = new Map([...text.matchAll(/^(\w+)='([^'\n]*)'$/gm)].map(([, name, value]) => [name!, value!]))
  const nameServers = [...values].flatMap(([name, value]) => (/^IPV[46]DNS\d+$/.test(name) ? [value] : []))
  return { address: values.get('IPV4ADDR') ?? values.get('IPV6ADDR') ?? '', nameServers }
}

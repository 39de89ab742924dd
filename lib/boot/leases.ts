import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'

/** A boot file that a DHCP server named. It may be anything: the network is hostile. */
export interface BootFile {
  /** The name of the interface; null if the lease does not say. */
  readonly interface: string | null
  /** The version of the internet protocol. */
  readonly protocol: 4 | 6
  readonly text: string
}

/** Where DHCP clients keep their leases: our script, klibc’s ipconfig and busybox in initrds; dhclient; systemd-networkd. */
const places = [
  { directory: 'run', name: /^net6?-.*\.conf$/ },
  { directory: 'var/lib/dhcp', name: /\.leases?$/ },
  { directory: 'run/systemd/netif/leases', name: /^\d+$/ },
]

/** The boot files of all leases, those of a file in its order: the last is the current one. @throws ERR_DDI_PERMISSION */
export async function leasedBootFiles(root: string): Promise<readonly BootFile[]> {
  const found: BootFile[] = []
  const interfaces = await interfaceNumbers(root)
  for (const { directory, name } of places) {
    const entries = await readdir(join(root, directory), { withFileTypes: true }).catch(() => [])
    const files = entries.filter((entry) => !entry.isDirectory() && name.test(entry.name)).map((entry) => entry.name)
    for (const file of files.sort()) {
      const text = (await readIfThere(join(root, directory, file)))?.toString('utf8') ?? ''
      found.push(...bootFilesIn(text, interfaces.get(file) ?? /^net6?-(.*)\.conf$/.exec(file)?.[1] ?? null))
    }
  }
  return found
}

/** Options by the names that the clients give them: 67 of DHCPv4, also the field of BOOTP, and 59 of DHCPv6. */
const keys: ReadonlyMap<string, 4 | 6> = new Map([
  ...['filename', 'bootfile-name', 'bootfile', 'boot_filename', 'boot_file'].map((key) => [key, 4] as const),
  ...['bootfile_url', 'dhcp6.bootfile-url'].map((key) => [key, 6] as const),
])

/**
 * The boot files in a file of leases: lines `KEY=VALUE`, or as dhclient writes them.
 * @param given the interface that the file is of, if its name says so
 */
export function bootFilesIn(text: string, given: string | null): readonly BootFile[] {
  let own = given
  return text.split('\n').flatMap((line) => {
    const [, key = '', sign, rest = ''] = /^(?:option\s+)?([\w.-]+)([=\s])(.*)$/s.exec(line.trim()) ?? []
    const value = unquoted((sign === '=' ? rest : rest.trimStart()).replace(/;$/, ''))
    if (value === undefined || value === '') return []
    if (key === 'interface' || key === 'DEVICE') own = value
    const protocol = keys.get(key.toLowerCase())
    return protocol === undefined ? [] : [{ interface: own, protocol, text: value }]
  })
}

/** A word as a shell or dhclient quotes it; undefined if it is more, or less, than one. */
function unquoted(text: string): string | undefined {
  const parts = text.match(/'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\;]+/g) ?? []
  if (parts.join('') !== text) return undefined
  return parts
    .map((part) =>
      part.startsWith("'") ? part.slice(1, -1) : part.replace(/^"(.*)"$/s, '$1').replace(/\\(.)/gs, '$1'),
    )
    .join('')
}

/** The names of interfaces by their number, in digits. */
async function interfaceNumbers(root: string): Promise<ReadonlyMap<string, string>> {
  return await interfacesBy(root, 'ifindex')
}

/** The name of the interface with a hardware address (`52:54:00:12:34:56`). */
export async function interfaceOf(root: string, mac: string): Promise<string | undefined> {
  return (await interfacesBy(root, 'address')).get(mac)
}

async function interfacesBy(root: string, attribute: 'ifindex' | 'address'): Promise<ReadonlyMap<string, string>> {
  const directory = join(root, 'sys/class/net')
  const found = new Map<string, string>()
  for (const name of (await readdir(directory).catch(() => [])).sort()) {
    const text = (await readIfThere(join(directory, name, attribute)))?.toString('latin1').trim()
    // A bridge or bond may have the address of the card in it, which has a device.
    if (text !== undefined && !found.has(text)) found.set(text, basename(name))
  }
  return found
}

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { loadOptionPath, uriOf } from './device-path.js'

/** The URL that the firmware booted from, and the source of that knowledge. */
export interface BootOrigin {
  readonly url: string
  readonly source: 'StubDeviceURL' | 'LoaderDeviceURL' | 'BootCurrent' | 'lease'
}

export interface BootOriginOptions {
  /** The root directory to look for files in. Default: / */
  readonly root?: string
}
const bootOriginOptionNames: OptionNames<BootOriginOptions> = { root: true }

const efivars = 'sys/firmware/efi/efivars'
/** https://systemd.io/BOOT_LOADER_INTERFACE */
const loaderVendor = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f'
const globalVendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
/** The size of the attributes that efivarfs puts before each variable. */
const attributeBytes = 4

/**
 * Finds the URL that the firmware booted from: in the variables of systemd-stub and boot loaders, then in the boot entry of the
 * firmware, then in the boot file of a DHCP lease. Malformed sources are skipped.
 * @returns undefined if the machine did not boot from a URL
 * @throws ERR_DDI_PERMISSION
 */
export async function findBootOrigin(options: BootOriginOptions = {}): Promise<BootOrigin | undefined> {
  checkOptions(options, bootOriginOptionNames, 'findBootOrigin')
  const { root = '/' } = options
  for (const source of ['StubDeviceURL', 'LoaderDeviceURL'] as const) {
    const value = await readVariable(root, source, loaderVendor)
    const url = value && httpUrl(Buffer.from(value).toString('utf16le').replace(/\0.*$/s, ''))
    if (url) return { url, source }
  }
  const current = await readVariable(root, 'BootCurrent', globalVendor)
  if (current && current.length >= 2) {
    const number = Buffer.from(current).readUInt16LE().toString(16).toUpperCase().padStart(4, '0')
    const option = await readVariable(root, `Boot${number}`, globalVendor)
    const url = option && httpUrl(uriIn(option))
    if (url) return { url, source: 'BootCurrent' }
  }
  const url = await leasedUrl(root)
  return url === undefined ? undefined : { url, source: 'lease' }
}

function httpUrl(text: string | undefined): string | undefined {
  return text !== undefined && /^https?:\/\/[^\s\p{Cc}]+$/u.test(text) && URL.canParse(text) ? text : undefined
}

function uriIn(option: Uint8Array): string | undefined {
  try {
    return uriOf(loadOptionPath(option))
  } catch (error) {
    if (error instanceof DdiError && error.code === 'ERR_DDI_DEVICE_PATH') return undefined
    throw error
  }
}

async function readVariable(root: string, name: string, vendor: string): Promise<Uint8Array | undefined> {
  const bytes = await readIfThere(join(root, efivars, `${name}-${vendor}`))
  return bytes?.subarray(attributeBytes)
}

/** Where DHCP clients keep their leases: klibc’s ipconfig and busybox in initrds, dhclient, systemd-networkd. */
const leases = [
  { directory: 'run', name: /^net-.*\.conf$/ },
  { directory: 'var/lib/dhcp', name: /\.leases?$/ },
  { directory: 'run/systemd/netif/leases', name: /^\d+$/ },
]
const bootFile =
  /^(?:option\s+)?(?:filename|bootfile-name|BOOTFILE|BOOT_FILENAME|boot_file)[ =]+["']?([^"'\s;]+)["']?;?$/i

async function leasedUrl(root: string): Promise<string | undefined> {
  for (const { directory, name } of leases) {
    const entries = await readdir(join(root, directory), { withFileTypes: true }).catch(() => [])
    const files = entries.filter((entry) => !entry.isDirectory() && name.test(entry.name))
    for (const file of files.map((entry) => entry.name).sort()) {
      const lines = ((await readIfThere(join(root, directory, file)))?.toString('utf8') ?? '').split('\n')
      // The last lease is the current one.
      const url = lines.flatMap((line) => httpUrl(bootFile.exec(line.trim())?.[1]) ?? []).at(-1)
      if (url !== undefined) return url
    }
  }
  return undefined
}

/** The suffixes that are tried if no file name is given, in this order. */
const probedSuffixes = ['.raw.xz', '.raw.zst', '.raw.gz', '.raw'] as const

/**
 * The URLs of files beside a boot origin.
 * @param remote replaces the last component of its path, never its host; if empty, the suffix of that component is replaced by each
 *   of {@link probedSuffixes}
 */
export function besideOrigin(origin: string, remote: string): readonly URL[] {
  const base = Object.assign(new URL(origin), { search: '', hash: '' })
  const [, directory = '/', name = ''] = /^(.*\/)([^/]*)$/.exec(base.pathname) ?? []
  const at = (last: string) => Object.assign(new URL(base), { pathname: `${directory}${last}` })
  if (remote !== '') return [at(remote)]
  const stem = name.replace(/\.[^.]*$/, '')
  return stem === '' ? [] : probedSuffixes.map((suffix) => at(`${stem}${suffix}`))
}

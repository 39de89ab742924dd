import { join } from 'node:path'
import { readIfThere } from '../bytes/small-file.js'
import { DdiError } from '../errors.js'
import { parameterValue } from '../kernel-command-line.js'
import { checkOptions, type OptionNames } from '../options.js'
import type { ImageKind } from '../pull/names.js'
import type { NetworkPath } from './device-path.js'
import { bootedNetwork, loaderText } from './efi-variables.js'
import { type BootFile, interfaceOf, leasedBootFiles } from './leases.js'

/** The URL that the firmware booted from, and the source of that knowledge. */
export interface BootOrigin {
  readonly url: string
  readonly source: 'ddi.url' | 'StubDeviceURL' | 'LoaderDeviceURL' | 'BootCurrent' | 'lease'
}

export interface BootOriginOptions {
  /** The root directory to look for files in. Default: / */
  readonly root?: string
}
const bootOriginOptionNames: OptionNames<BootOriginOptions> = { root: true }

/**
 * Finds the URL that the machine booted from: what `ddi.url=` on the kernel command line says, for boot loaders that tell nobody; the
 * variables of systemd-stub and boot loaders; the boot entry of the firmware. If that entry is for the network and leaves the URL to
 * DHCP, or with `ddi.url=lease`, the boot file of a lease of the interface that booted. Malformed sources are skipped.
 * @returns undefined if the machine did not boot from a URL
 * @throws ERR_DDI_USAGE for a malformed `ddi.url=`, ERR_DDI_NO_BOOT_ORIGIN if leases contradict each other, ERR_DDI_PERMISSION
 */
export async function findBootOrigin(options: BootOriginOptions = {}): Promise<BootOrigin | undefined> {
  checkOptions(options, bootOriginOptionNames, 'findBootOrigin')
  const { root = '/' } = options
  const commandLine = (await readIfThere(join(root, 'proc/cmdline')))?.toString('utf8') ?? ''
  const given = parameterValue(commandLine, 'ddi.url')
  if (given !== undefined && given !== 'lease') {
    const url = httpUrl(given)
    if (url === undefined)
      throw new DdiError('ERR_DDI_USAGE', `ddi.url=${given} is neither an http or https URL, nor lease`)
    return { url, source: 'ddi.url' }
  }
  const network = await bootedNetwork(root)
  if (given === undefined) {
    for (const source of ['StubDeviceURL', 'LoaderDeviceURL'] as const) {
      const url = httpUrl(await loaderText(root, source))
      if (url !== undefined) return { url, source }
    }
    // Booted from something else: what a DHCP server says of boot files is not about this boot.
    if (!network) return undefined
    const url = httpUrl(network.uri)
    if (url !== undefined) return { url, source: 'BootCurrent' }
    if (network.uri !== null) return undefined
  }
  const url = await leasedUrl(root, network)
  return url === undefined ? undefined : { url, source: 'lease' }
}

/** The longest URL that is believed, in characters. */
const longestUrl = 4096

function httpUrl(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined || text.length > longestUrl) return undefined
  return /^https?:\/\/[^\s\p{Cc}]+$/u.test(text) && URL.canParse(text) ? text : undefined
}

/** @throws ERR_DDI_NO_BOOT_ORIGIN */
async function leasedUrl(root: string, network: NetworkPath | undefined): Promise<string | undefined> {
  const name = typeof network?.mac === 'string' ? await interfaceOf(root, network.mac) : undefined
  // A lease of another card would lead to another server.
  if (typeof network?.mac === 'string' && name === undefined) return undefined
  const current = new Map<string, string>()
  for (const { interface: own, protocol, text } of await leasedBootFiles(root)) {
    const fits = (name === undefined || own === name) && (network?.protocol ?? protocol) === protocol
    const url = fits ? httpUrl(text) : undefined
    if (url !== undefined) current.set(keyOf(own, protocol), url)
  }
  const [url, other] = new Set(current.values())
  if (other !== undefined)
    throw new DdiError(
      'ERR_DDI_NO_BOOT_ORIGIN',
      `DHCP leases name several URLs that the machine may have booted from: ${url}, ${other}`,
    )
  return url
}

/** Of two leases for one interface, the later counts. */
function keyOf(name: BootFile['interface'], protocol: BootFile['protocol']): string {
  return `${protocol} ${name ?? ''}`
}

/** The suffixes that are tried if no file name is given, in this order. */
const probedSuffixes = {
  raw: ['.raw.xz', '.raw.zst', '.raw.gz', '.raw'],
  tar: ['.tar.xz', '.tar.zst', '.tar.gz', '.tar'],
} as const satisfies Readonly<Record<ImageKind, readonly string[]>>

/**
 * The URLs of files beside a boot origin.
 * @param remote replaces the last component of its path, never its host; if empty, the suffix of that component is replaced by each
 *   of {@link probedSuffixes}
 * @param kind of the image. Default: raw
 * @throws ERR_DDI_USAGE if the origin is no URL
 */
export function besideOrigin(origin: string, remote: string, kind: ImageKind = 'raw'): readonly URL[] {
  if (!URL.canParse(origin)) throw new DdiError('ERR_DDI_USAGE', `${JSON.stringify(origin)} is not a URL`)
  const base = Object.assign(new URL(origin), { search: '', hash: '' })
  const [, directory = '/', name = ''] = /^(.*\/)([^/]*)$/.exec(base.pathname) ?? []
  const at = (last: string) => Object.assign(new URL(base), { pathname: `${directory}${last}` })
  if (remote !== '') return [at(remote)]
  const stem = name.replace(/\.[^.]*$/, '')
  return stem === '' ? [] : probedSuffixes[kind].map((suffix) => at(`${stem}${suffix}`))
}

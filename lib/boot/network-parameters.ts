import { DdiError } from '../errors.js'
import { parameterValues } from '../kernel-command-line.js'
import { type InterfaceSettings, parseIpParameter, parseRouteParameter, type Route, versionOf } from './ip-parameter.js'
import { seconds } from './parameters.js'

/** What the kernel command line says of the network. */
export interface NetworkParameters {
  /** `ip=` */
  readonly interfaces: readonly InterfaceSettings[]
  /** `rd.route=` */
  readonly routes: readonly Route[]
  /** `nameserver=`, an address. */
  readonly nameServers: readonly string[]
  /**
   * For a network card, its carrier and its address, in seconds: `rd.net.timeout.iflink=`, `rd.net.timeout.carrier=` and
   * `rd.net.timeout.dhcp=`, dracut.cmdline(7).
   */
  readonly patience: { readonly link: number; readonly carrier: number; readonly dhcp: number }
  /** `BOOTIF=01-52-54-00-12-34-56`, as PXELINUX and GRUB leave it: the type of hardware, and the address of the card that booted. */
  readonly bootedMac: string | null
}

/** @param text as in /proc/cmdline @throws ERR_DDI_USAGE */
export function parseNetworkParameters(text: string): NetworkParameters {
  const [, booted] = /^01((?:-[0-9a-f]{2}){6})$/i.exec(parameterValues(text, 'BOOTIF').at(-1) ?? '') ?? []
  return {
    interfaces: parameterValues(text, 'ip').map(parseIpParameter),
    routes: parameterValues(text, 'rd.route').map(parseRouteParameter),
    nameServers: parameterValues(text, 'nameserver').map(parseNameServer),
    patience: {
      link: seconds(text, 'rd.net.timeout.iflink') ?? 10,
      carrier: seconds(text, 'rd.net.timeout.carrier') ?? 10,
      dhcp: seconds(text, 'rd.net.timeout.dhcp') ?? 30,
    },
    bootedMac: booted === undefined ? null : booted.slice(1).replaceAll('-', ':').toLowerCase(),
  }
}

function parseNameServer(given: string): string {
  const address = given.replace(/^\[(.*)\]$/, '$1')
  if (versionOf(address) !== 0) return address
  throw new DdiError('ERR_DDI_USAGE', `nameserver=${given} on the kernel command line: it has to be an address`)
}

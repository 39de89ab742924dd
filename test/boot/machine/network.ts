// A network of a test's own: a namespace with a tap for one machine, a web server, and dnsmasq. Nothing leaves it. Only its
// processes hold it, and they end with the test, however that ends: nothing is left behind.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot, run } from '../../support/run.js'
import { readConsole } from './console.js'
import type { Fault, Order, Report, WebRequest } from './web.js'

/** The addresses of the server in every network. */
export const server = { ipv4: '10.99.0.1', ipv6: 'fd99::1' } as const

/** Who tells the machine its address, and the URL of a boot file. */
export type AddressService =
  | { readonly kind: 'none' }
  | { readonly kind: 'dhcpv4'; readonly bootFile?: string }
  /** Router advertisements that send to DHCPv6 for all else. */
  | { readonly kind: 'dhcpv6'; readonly bootFile?: string }
  /** Router advertisements alone. */
  | { readonly kind: 'slaac' }

export interface TestNetwork extends AsyncDisposable {
  /** The folder that the web server serves. */
  readonly www: string
  /** What was asked of the web server, since it began. */
  readonly requests: readonly WebRequest[]
  /** The name of the tap. */
  readonly tap: string
  /** What runs a command inside the network, ending with this process. */
  readonly inside: readonly [string, ...string[]]
  /** Replaces whoever gave addresses so far; at first, nobody does. */
  addresses(service: AddressService): Promise<void>
  /** Replaces all faults of the web server, by path. */
  faults(faults: Readonly<Record<string, Fault>>): Promise<void>
  /** Whether the web server is away: nothing listens, and connections are closed. */
  away(away: boolean): Promise<void>
}

/** @param folder an existing one, for what its servers note. @param www what the web server serves, made if it is not there */
export async function makeNetwork(folder: string, www = join(folder, 'www')): Promise<TestNetwork> {
  mkdirSync(www, { recursive: true })
  const requests: WebRequest[] = []
  const web = await startWeb(www, requests)
  const inside = [
    ...(['nsenter', `--net=/proc/${web.child.pid}/ns/net`, 'setpriv', '--pdeathsig=KILL'] as const),
    // Processes of one namespace end with its first one, which is no daemon that could forget whose child it is.
    ...['unshare', '--pid', '--fork', '--kill-child', 'sh', '-c', '"$@"; exit $?', 'sh'],
  ] as const
  const tap = 'tap0'
  const ip = (...words: string[]) => run(inside[0], ...inside.slice(1), 'ip', ...words)
  ip('link', 'set', 'lo', 'up')
  ip('tuntap', 'add', tap, 'mode', 'tap')
  ip('address', 'add', `${server.ipv4}/24`, 'dev', tap)
  // Without the search for duplicates, which takes seconds.
  ip('address', 'add', `${server.ipv6}/64`, 'dev', tap, 'nodad')
  ip('link', 'set', tap, 'up')
  let addresses: ChildProcess | undefined
  return {
    www,
    requests,
    tap,
    inside: [...inside],
    async addresses(service) {
      await end(addresses)
      addresses = service.kind === 'none' ? undefined : await serveAddresses(inside, tap, folder, service)
    },
    faults: async (faults) => web.order({ faults }),
    away: async (away) => web.order({ away }),
    async [Symbol.asyncDispose]() {
      await end(addresses)
      await end(web.child)
    },
  }
}

/** The web server in a network namespace that begins with it. */
async function startWeb(www: string, requests: WebRequest[]) {
  const child = fork(join(packageRoot, 'dist/test/boot/machine/web.js'), [www], {
    execPath: 'unshare',
    execArgv: ['--net', process.execPath],
  })
  const done = async () => {
    const waiting = new AbortController()
    const gone = once(child, 'exit', waiting).then(() => {
      throw new Error('the web server of the test network ended')
    })
    const answered = (async () => {
      for (;;) {
        const [report] = (await once(child, 'message', waiting)) as [Report]
        if ('done' in report) return
      }
    })()
    await Promise.race([answered, gone]).finally(() => waiting.abort())
  }
  child.on('message', (report: Report) => {
    if ('request' in report) requests.push(report.request)
  })
  await done()
  return {
    child,
    async order(what: Order) {
      const carriedOut = done()
      child.send(what)
      await carriedOut
    },
  }
}

async function serveAddresses(
  inside: readonly [string, ...string[]],
  tap: string,
  folder: string,
  service: Exclude<AddressService, { kind: 'none' }>,
): Promise<ChildProcess> {
  const child = spawn(
    inside[0],
    [
      ...inside.slice(1),
      ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--port=0'],
      ...[`--interface=${tap}`, '--bind-interfaces', '--log-facility=-', `--dhcp-leasefile=${join(folder, 'leases')}`],
      ...['--no-ping', '--dhcp-authoritative', '--dhcp-ignore-clid', ...rangeOf(service)],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  await readConsole(child.stderr!).line(/started, version/)
  return child
}

function rangeOf(service: Exclude<AddressService, { kind: 'none' }>): string[] {
  switch (service.kind) {
    case 'dhcpv4': {
      const { bootFile } = service
      const range = ['--dhcp-range=10.99.0.10,10.99.0.50,1h', `--dhcp-option=option:router,${server.ipv4}`]
      // Firmware takes a URL from who calls itself an HTTP client too: UEFI 2.10, section 24.7.3.1.
      const http = ['--dhcp-vendorclass=set:http,HTTPClient', '--dhcp-option-force=tag:http,60,HTTPClient']
      return bootFile === undefined ? range : [...range, ...http, `--dhcp-boot=${bootFile}`]
    }
    case 'dhcpv6': {
      const { bootFile } = service
      const range = ['--dhcp-range=fd99::10,fd99::50,64,1h', '--enable-ra']
      return bootFile === undefined ? range : [...range, `--dhcp-option=option6:bootfile-url,${bootFile}`]
    }
    case 'slaac':
      return ['--dhcp-range=fd99::,ra-only', '--enable-ra']
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

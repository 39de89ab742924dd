// The network of an initrd, between two namespaces: a card here, dnsmasq there. The other side of `eth1` is not plugged in.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../support/run.js'

const dnsmasq =
  'dnsmasq --conf-file=/dev/null --user=root --pid-file= --port=0 --interface=srv0 --bind-interfaces --no-ping --dhcp-leasefile=/run/leases --dhcp-authoritative'

const script = `
mount -t sysfs none /sys; mount -t tmpfs none /run
mkdir /run/tmp; export TMPDIR=/run/tmp
ip link set lo up
unshare --net sleep 100 &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add eth0 type veth peer name srv0 netns $!
ip link add eth1 type veth peer name srv1 netns $!
nsenter --net=/proc/$!/ns/net sh -ec 'ip link set lo up; ip link set srv0 up
  ip address add 10.99.0.1/24 dev srv0; ip address add fd99::1/64 dev srv0 nodad
  [ -z "$DNSMASQ" ] || exec ${dnsmasq} $DNSMASQ'
exec "$@"
`

interface Outcome {
  readonly said: readonly string[]
  readonly code: string | null
  readonly message: string
  readonly resolv: string
  readonly leases: string
  readonly hostname: string
  readonly interfaces: {
    ifname: string
    operstate: string
    mtu: number
    address: string
    addr_info: { local: string; prefixlen: number; scope: string }[]
  }[]
  readonly routes: { dst: string; gateway?: string; dev: string }[]
}

function configure(server: string, ...words: string[]): Outcome {
  const worker = join(packageRoot, 'dist/test/boot/network-worker.js')
  const { stdout, stderr, error } = spawnSync(
    'unshare',
    [
      '--net',
      '--mount',
      '--uts',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-ec',
      script,
      'sh',
      process.execPath,
      worker,
      'rd.systemd.pull=raw,machine::http://10.99.0.1/os.raw',
      ...words,
    ],
    { encoding: 'utf8', env: { ...process.env, DNSMASQ: server } },
  )
  if (error) throw error
  assert.notEqual(stdout, '', stderr)
  return JSON.parse(stdout) as Outcome
}

const global = ({ interfaces }: Outcome, card = 'eth0') =>
  interfaces
    .find(({ ifname }) => ifname === card)!
    .addr_info.filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
const gateways = ({ routes }: Outcome) => routes.filter(({ dst }) => dst === 'default').map(({ gateway }) => gateway)

const dhcp4 =
  '--dhcp-range=10.99.0.10,10.99.0.10,255.255.255.0,1h --dhcp-option=option:router,10.99.0.1 --dhcp-option=option:dns-server,10.99.0.2'
const dhcp6 =
  '--dhcp-range=fd99::10,fd99::10,64,1h --enable-ra --dhcp-option=option6:dns-server,[fd99::2] --dhcp-option=option6:bootfile-url,http://[fd99::1]/a.efi'

test('DHCP gives an address, a gateway, name servers and a boot file', () => {
  const outcome = configure(
    `${dhcp4} --dhcp-boot=http://10.99.0.1/a.efi --dhcp-option=option:mtu,1400`,
    'ip=eth0:dhcp',
    'nameserver=10.99.0.3',
  )
  assert.equal(outcome.code, null, outcome.message)
  assert.deepEqual(global(outcome), ['10.99.0.10/24'])
  assert.deepEqual(gateways(outcome), ['10.99.0.1'])
  assert.equal(outcome.interfaces.find(({ ifname }) => ifname === 'eth0')!.mtu, 1400)
  assert.equal(outcome.resolv, 'nameserver 10.99.0.3\nnameserver 10.99.0.2\n')
  assert.match(outcome.leases, /^filename='http:\/\/10\.99\.0\.1\/a\.efi'$/m)
  assert.deepEqual(outcome.said, ['network: eth0 has 10.99.0.10'])
})

test('routes of a lease replace its gateways', () => {
  const outcome = configure(
    `${dhcp4} --dhcp-option=option:classless-static-route,10.5.0.0/16,10.99.0.7`,
    'ip=eth0:dhcp',
    'rd.route=10.6.0.0/16:10.99.0.8:eth0',
  )
  assert.deepEqual(gateways(outcome), [])
  const via = outcome.routes.map(({ dst, gateway }) => `${dst} ${gateway}`)
  assert.ok(via.includes('10.5.0.0/16 10.99.0.7') && via.includes('10.6.0.0/16 10.99.0.8'), via.join('\n'))
})

test('DHCPv6 gives an address, name servers and a boot file', () => {
  const outcome = configure(dhcp6, 'ip=eth0:dhcp6')
  assert.equal(outcome.code, null, outcome.message)
  assert.deepEqual(global(outcome), ['fd99::10/128'])
  assert.match(gateways(outcome)[0]!, /^fe80::/)
  assert.match(outcome.resolv, /^nameserver fd99:0:0:0:0:0:0:2$/m)
  assert.match(outcome.leases, /^BOOTFILE_URL='http:\/\/\[fd99::1\]\/a\.efi'$/m)
  assert.match(outcome.leases, /^DEVICE='eth0'$/m)
})

test('router advertisements give an address, and DHCPv6 what goes with it', () => {
  const stateless =
    '--dhcp-range=fd99::,ra-stateless --enable-ra --dhcp-option=option6:bootfile-url,http://[fd99::1]/a.efi --dhcp-option=option6:dns-server,[fd99::2]'
  for (const method of ['auto6', 'either6', 'any']) {
    const outcome = configure(stateless, `ip=eth0:${method}`)
    assert.equal(outcome.code, null, outcome.message)
    assert.match(global(outcome)[0]!, /^fd99::[0-9a-f:]+\/64$/)
    assert.match(outcome.leases, /^BOOTFILE_URL='http:\/\/\[fd99::1\]\/a\.efi'$/m)
    assert.match(outcome.resolv, /^nameserver fd99:0:0:0:0:0:0:2$/m)
  }
  assert.equal(configure('--dhcp-range=fd99::,ra-only --enable-ra', 'ip=eth0:auto6').code, null)
})

test('either way of IPv6, or of both protocols, is enough', () => {
  assert.deepEqual(global(configure(dhcp6, 'ip=eth0:either6')), ['fd99::10/128'])
  assert.deepEqual(global(configure(dhcp4, 'ip=eth0:any')), ['10.99.0.10/24'])
})

test('fixed addresses, with all that goes with them', () => {
  const four = configure('', 'ip=10.99.0.77::10.99.0.1:255.255.255.0:box:eth0:off:10.99.0.2')
  assert.equal(four.code, null, four.message)
  assert.deepEqual([global(four), gateways(four), four.hostname], [['10.99.0.77/24'], ['10.99.0.1'], 'box'])
  assert.equal(four.resolv, 'nameserver 10.99.0.2\n')
  const six = configure('', 'ip=[fd99::77]::[fd99::1]:64::eth0:off:[fd99::2]')
  assert.deepEqual([global(six), gateways(six)], [['fd99::77/64'], ['fd99::1']])
  const outside = configure('', 'ip=10.98.0.7::10.99.0.1:32::eth0:off:1300:52:54:00:12:34:99')
  assert.equal(outside.code, null, outside.message)
  assert.deepEqual([global(outside), gateways(outside)], [['10.98.0.7/32'], ['10.99.0.1']])
  const { mtu, address } = outside.interfaces.find(({ ifname }) => ifname === 'eth0')!
  assert.deepEqual([mtu, address], [1300, '52:54:00:12:34:99'])
})

test('of several cards one is enough, and what became of the others is told', () => {
  const outcome = configure(
    dhcp4,
    'ip=eth1:dhcp',
    'ip=eth0:dhcp',
    'ip=eth2:dhcp',
    'rd.net.timeout.carrier=1',
    'rd.net.timeout.iflink=1',
  )
  assert.equal(outcome.code, null, outcome.message)
  assert.deepEqual(outcome.said, [
    'network: eth1 has no carrier: is its cable plugged in?',
    'network: this machine has no eth2',
    'network: eth0 has 10.99.0.10',
  ])
  assert.equal(outcome.interfaces.find(({ ifname }) => ifname === 'eth1')!.operstate, 'DOWN')
})

test('without an answer there is no network, and the reason is told', () => {
  const patience = 'rd.net.timeout.dhcp=1'
  const reasons = {
    dhcp: /eth0: DHCP: no server gives an address/,
    dhcp6: /eth0: DHCPv6: no server answers|IPv6/,
    auto6: /eth0: IPv6: no router advertises a network/,
    any: /DHCP: no server gives an address; .*IPv6/,
  }
  for (const [method, message] of Object.entries(reasons)) {
    const outcome = configure('', `ip=eth0:${method}`, patience)
    assert.deepEqual([outcome.code, message.test(outcome.message)], ['ERR_DDI_NETWORK', true], outcome.message)
  }
  assert.match(
    configure('', 'ip=dhcp', 'rd.net.timeout.iflink=0').message,
    /no network card that the initrd has a module for/,
  )
  assert.deepEqual(configure('', 'ip=off').said, ['network: off, as ip= says'])
})

test('firmware that left the URL to DHCP is told by whom it is asked', () => {
  const http =
    '--dhcp-vendorclass=set:http,HTTPClient:Arch:00016 --dhcp-option-force=tag:http,60,HTTPClient --dhcp-match=set:x64,option:client-arch,16 --dhcp-boot=tag:http,tag:x64,http://10.99.0.1/a.efi'
  assert.match(
    configure(`${dhcp4} ${http}`, 'ip=eth0:dhcp', 'ddi.url=lease').leases,
    /^filename='http:\/\/10\.99\.0\.1\/a\.efi'$/m,
  )
  assert.doesNotMatch(configure(`${dhcp4} ${http}`, 'ip=eth0:dhcp').leases, /filename/)
})

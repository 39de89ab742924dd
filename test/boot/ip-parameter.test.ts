import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type InterfaceSettings, parseIpParameter, parseRouteParameter } from '../../lib/boot/ip-parameter.js'
import { DdiError } from '../../lib/errors.js'
import { attempt, temporaryFolder } from '../support/run.js'

const nothing = { device: null, hostname: null, nameServers: [], mtu: null, mac: null }
const mac = '52:54:00:12:34:56'

test('the forms of the kernel and of dracut', () => {
  const cases: Readonly<Record<string, InterfaceSettings>> = {
    dhcp: { ...nothing, addressing: { kind: 'dhcp' } },
    on: { ...nothing, addressing: { kind: 'any' } },
    off: { ...nothing, addressing: { kind: 'off' } },
    either6: { ...nothing, addressing: { kind: 'either6' } },
    '': { ...nothing, addressing: { kind: 'any' } },
    'eth0:auto6': { ...nothing, device: 'eth0', addressing: { kind: 'auto6' } },
    [`eth0:dhcp:9000:${mac}`]: { ...nothing, device: 'eth0', mtu: 9000, mac, addressing: { kind: 'dhcp' } },
    [`eth0:dhcp::${mac.toUpperCase()}`]: { ...nothing, device: 'eth0', mac, addressing: { kind: 'dhcp' } },
    // Documentation/admin-guide/nfs/nfsroot.rst
    '::::::dhcp': { ...nothing, addressing: { kind: 'dhcp' } },
    '::::box:eth1:any': { ...nothing, hostname: 'box', device: 'eth1', addressing: { kind: 'any' } },
    '10.0.0.2:10.0.0.9:10.0.0.1:255.255.240.0:box:eth0:off:10.0.0.3:10.0.0.4:10.0.0.5': {
      ...nothing,
      device: 'eth0',
      hostname: 'box',
      nameServers: ['10.0.0.3', '10.0.0.4'],
      addressing: { kind: 'static', address: '10.0.0.2', prefix: 20, gateway: '10.0.0.1' },
    },
    '172.16.0.2': { ...nothing, addressing: { kind: 'static', address: '172.16.0.2', prefix: 16, gateway: null } },
    '192.168.0.2:::255.255.255.255': {
      ...nothing,
      addressing: { kind: 'static', address: '192.168.0.2', prefix: 32, gateway: null },
    },
    [`[fd00::2]::[fd00::1]:56::eth0:none:1400:${mac}`]: {
      ...nothing,
      device: 'eth0',
      mtu: 1400,
      mac,
      addressing: { kind: 'static', address: 'fd00::2', prefix: 56, gateway: 'fd00::1' },
    },
    '[fd00::2]:::::eth0:none:[fd00::53]': {
      ...nothing,
      device: 'eth0',
      nameServers: ['fd00::53'],
      addressing: { kind: 'static', address: 'fd00::2', prefix: 64, gateway: null },
    },
  }
  for (const [text, expected] of Object.entries(cases)) assert.deepEqual(parseIpParameter(text), expected, text)
})

test('what is wrong is told', () => {
  for (const text of [
    ...[
      'dhpc',
      'eth0',
      'eth0:dhpc',
      ':dhcp',
      'eth/0:dhcp',
      'aninterfacename16:dhcp',
      'eth0:dhcp:fast',
      'eth0:dhcp:1500:52:54',
    ],
    ...[
      '10.0.0.256',
      '10.0.0.2::fd00::1',
      '10.0.0.2::[fd00::1]:24',
      '10.0.0.2:::33',
      '10.0.0.2:::255.0.255.0',
      '[fd00::2]:::129',
    ],
    ...[
      '::10.0.0.1::::dhcp',
      '10.0.0.2::::a b:eth0:off',
      '10.0.0.2:::::eth0:maybe',
      '10.0.0.2:::::eth0:off:10.0.0.3:x',
      '[fe80::1%eth0]',
    ],
  ])
    assert.throws(() => parseIpParameter(text), { code: 'ERR_DDI_USAGE', message: /^ip=/ }, text)
})

test('nothing else is thrown, and nothing is believed but addresses', () => {
  const piece = fc.oneof(
    fc.constantFrom('10.0.0.2', '[fd00::1]', 'dhcp', 'off', 'eth0', '24', mac, '1500', '', '[', ']', '%'),
    fc.string({ maxLength: 6 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 11 }), (pieces) => {
      try {
        const { device, addressing } = parseIpParameter(pieces.join(':'))
        if (device !== null) assert.match(device, /^[^\s/:]{1,15}$/)
        if (addressing.kind === 'static')
          assert.match(`${addressing.address} ${addressing.gateway}`, /^[0-9a-f.:]+ (null|[0-9a-f.:]+)$/i)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_USAGE', String(error))
      }
    }),
    { numRuns: 5000 },
  )
})

const generator = '/lib/systemd/systemd-network-generator'

/** The settings that systemd makes of it, one `KEY=VALUE` a line; several files are of several cards. */
function asSystemd(folder: string, text: string): string[] {
  rmSync(join(folder, 'run'), { recursive: true, force: true })
  const { status } = attempt(generator, `--root=${folder}`, '--', `ip=${text}`)
  if (status !== 0) return ['refused']
  const directory = join(folder, 'run/systemd/network')
  const lines = readdirSync(directory).flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
  const told = /^(Name|DHCP|Address|Gateway|DNS|MTUBytes|MACAddress|Hostname)=./
  return lines.filter((line) => told.test(line)).sort()
}

function asOurs({ device, addressing, hostname, nameServers, mtu, mac }: InterfaceSettings): string[] {
  const methods = {
    dhcp: 'ipv4',
    dhcp6: 'ipv6',
    either6: 'ipv6',
    any: 'yes',
    auto6: 'no',
    link6: 'no',
    off: 'no',
    static: 'no',
  }
  return [
    `DHCP=${methods[addressing.kind]}`,
    ...(device === null ? [] : [`Name=${device}`]),
    ...(addressing.kind === 'static' ? [`Address=${addressing.address}/${addressing.prefix}`] : []),
    ...(addressing.kind === 'static' && addressing.gateway !== null ? [`Gateway=${addressing.gateway}`] : []),
    ...nameServers.map((server) => `DNS=${server}`),
    ...(mtu === null ? [] : [`MTUBytes=${mtu}`]),
    ...(mac === null ? [] : [`MACAddress=${mac}`]),
    ...(hostname === null ? [] : [`Hostname=${hostname}`]),
  ].sort()
}

test('systemd takes the same from it', () => {
  using folder = temporaryFolder()
  const method = fc.constantFrom('dhcp', 'dhcp6', 'auto6', 'either6', 'any', 'on', 'link6')
  const off = fc.constantFrom('off', 'none')
  const link = fc.constantFrom('', ':1400', `:1400:${mac}`)
  const rest4 = fc.constantFrom('', ':1400', `:1400:${mac}`, ':10.0.0.3', ':10.0.0.3:10.0.0.4')
  const rest6 = fc.constantFrom('', ':1400', ':[fd00::3]', ':[fd00::3]:[fd00::4]')
  const name = fc.constantFrom('eth0', 'enp0s25')
  const host = fc.constantFrom('', 'box', 'a-b.c')
  const mask = fc.constantFrom('24', '255.255.255.0', '255.255.240.0', '8', '32')
  const text = fc.oneof(
    method,
    fc.tuple(name, method, link).map(([one, how, more]) => `${one}:${how}${more}`),
    fc.tuple(host, name, method).map(([own, one, how]) => `::::${own}:${one}:${how}`),
    fc
      .tuple(mask, host, name, off, rest4)
      .map(([m, own, one, how, more]) => `10.1.2.3::10.1.2.1:${m}:${own}:${one}:${how}${more}`),
    fc
      .tuple(fc.integer({ min: 1, max: 128 }), name, off, rest6)
      .map(([m, one, how, more]) => `[fd00::2]::[fd00::1]:${m}::${one}:${how}${more}`),
  )
  fc.assert(
    fc.property(text, (one) => assert.deepEqual(asOurs(parseIpParameter(one)), asSystemd(folder.path, one), one)),
    { numRuns: 150 },
  )
})

test('routes', () => {
  assert.deepEqual(parseRouteParameter('10.0.0.0/8:10.1.0.1:eth0'), {
    destination: '10.0.0.0/8',
    gateway: '10.1.0.1',
    device: 'eth0',
  })
  assert.deepEqual(parseRouteParameter('[fd00::/8]:[fd01::1]'), {
    destination: 'fd00::/8',
    gateway: 'fd01::1',
    device: null,
  })
  assert.deepEqual(parseRouteParameter('[fd00::]/8:[fd01::1]'), {
    destination: 'fd00::/8',
    gateway: 'fd01::1',
    device: null,
  })
  assert.deepEqual(parseRouteParameter('default:10.1.0.1'), {
    destination: 'default',
    gateway: '10.1.0.1',
    device: null,
  })
  for (const text of [
    '',
    '10.0.0.0/8',
    '10.0.0.0/33:10.1.0.1',
    '10.0.0.0/8:fd01::1',
    '10.0.0.0/8:[fd01::1]',
    '10.0.0.0/8/8:10.1.0.1',
    '10.0.0.0/8:10.1.0.1:a b',
    'a/8:10.1.0.1',
  ])
    assert.throws(() => parseRouteParameter(text), { code: 'ERR_DDI_USAGE' }, text)
})

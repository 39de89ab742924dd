// The script of the DHCP client, in the shell of the initrd and with values as a hostile server sends them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { packageRoot } from '../support/run.js'

/** In a /run of its own; `ip` only says what it is asked for. The shells of the initrd and of Debian. */
const shells = ['busybox sh', 'dash']
const wrapper = `mount -t tmpfs none /run && mkdir /run/bin && printf '#!/bin/sh\\necho "ip $*" >>/run/asked\\n' >/run/bin/ip
chmod +x /run/bin/ip; export PATH=/run/bin:/bin; $0 "$1" bound >/dev/null 2>&1; cd /; cat /run/asked /run/net-eth0.conf 2>/dev/null; ls -A /run`

function given(shell: string, lease: Readonly<Record<string, string>>): string[] {
  const script = join(packageRoot, 'lib/boot/udhcpc.sh')
  // busybox runs its own programs before those of PATH, but for what is called by its path.
  const body = shell.startsWith('busybox') ? `ip() { /run/bin/ip "$@"; }; . '${script}'` : `. '${script}'`
  const command = `${shell} -c "$SCRIPT"`
  const { stdout, error } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-c', wrapper.replace('$0 "$1" bound', `${command} bound`)],
    {
      encoding: 'latin1',
      env: { SCRIPT: `set -- bound; ${body}`, interface: 'eth0', ...lease },
    },
  )
  if (error) throw error
  return stdout.split('\n').filter((line) => line !== '')
}

test('an interface is configured as the lease says, and the lease written down', () => {
  for (const shell of shells) {
    const lease = {
      ip: '10.0.0.5',
      mask: '20',
      mtu: '1400',
      router: '10.0.0.1 10.0.0.2',
      dns: '9.9.9.9 8.8.8.8',
      domain: 'example.org',
      boot_file: 'http://[fd00::1]:8080/a%20b.efi?x=$1&y=(2)',
    }
    assert.deepEqual(given(shell, lease), [
      'ip link set eth0 mtu 1400',
      'ip addr add 10.0.0.5/20 broadcast + dev eth0',
      'ip route add default via 10.0.0.1 dev eth0 metric 1',
      'ip route add default via 10.0.0.2 dev eth0 metric 2',
      "DEVICE='eth0'",
      "PROTO='dhcp'",
      "IPV4ADDR='10.0.0.5'",
      "IPV4GATEWAY='10.0.0.1'",
      "IPV4DNS0='9.9.9.9'",
      "IPV4DNS1='8.8.8.8'",
      "DNSDOMAIN='example.org'",
      "filename='http://[fd00::1]:8080/a%20b.efi?x=$1&y=(2)'",
      ...['asked', 'bin', 'net-eth0.conf'],
    ])
    const routes = {
      ip: '10.0.0.5',
      mask: '24',
      router: '10.0.0.1',
      staticroutes: '10.1.0.0/16 10.0.0.7 x/8 1.1.1.1 0.0.0.0/0 10.0.0.8',
    }
    assert.deepEqual(given(shell, routes).slice(1, 3), [
      'ip route add 10.1.0.0/16 via 10.0.0.7 dev eth0 metric 1',
      'ip route add 0.0.0.0/0 via 10.0.0.8 dev eth0 metric 1',
    ])
  }
})

test('the option of a boot file goes before the field', () => {
  const lines = given('dash', { ip: '10.0.0.5', bootfile: 'http://a/option', boot_file: 'http://a/field' })
  assert.ok(lines.includes("filename='http://a/option'"))
})

const hostile = fc.oneof(
  fc.constantFrom(
    '$(touch /run/bad)',
    '`touch /run/bad`',
    "'; touch /run/bad; '",
    '10.0.0.1;touch /run/bad',
    '*',
    '-f',
    '1.2.3.4\n5',
    '\\',
    '../../x',
    '10.0.0.256',
    '010.0.0.1',
    '1.2.3.4.',
    '99999999999999999999',
    '/run/*',
  ),
  fc.string({ maxLength: 40 }).filter((text) => !text.includes('\0')),
)
const names = [
  'ip',
  'mask',
  'mtu',
  'router',
  'dns',
  'staticroutes',
  'domain',
  'hostname',
  'boot_file',
  'bootfile',
] as const

test('whatever a server sends, nothing but addresses and plain text is used', () => {
  const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
  const address = `${octet}(?:\\.${octet}){3}`
  const allowed = new RegExp(
    `^(?:ip link set eth0 mtu \\d+|ip addr add ${address}/\\d+ broadcast \\+ dev eth0|ip route add (?:default|${address}/\\d+) via ${address} dev eth0 metric \\d+|ip route add ${address} dev eth0|\\w+='[^'\\\\\\x00-\\x1f\\x7f-\\uffff ]*'|asked|bin|net-eth0\\.conf)$`,
  )
  fc.assert(
    fc.property(
      fc.record(Object.fromEntries(names.map((name) => [name, hostile])) as Record<string, fc.Arbitrary<string>>),
      fc.constantFrom(...shells),
      fc.boolean(),
      (lease, shell, isUsable) => {
        const lines = given(shell, isUsable ? { ...lease, ip: '10.0.0.5' } : lease)
        for (const line of lines) assert.match(line, allowed)
      },
    ),
    { numRuns: 60 },
  )
})

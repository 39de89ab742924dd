// The network and the machines that boots are tried in, seen by busybox.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { run, temporaryFolder } from '../../support/run.js'
import { makeNetwork, server } from './network.js'
import { bootUml } from './user-mode-linux.js'

const lease = `#!/bin/sh
[ "$1" = bound ] || exit 0
/bin/busybox ip address add "$ip/24" dev "$interface"
echo "boot file $boot_file"
`

const init = `#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
$b ip link set vec0 up
$b udhcpc -n -q -f -i vec0 -s /lease
for path in file missing page; do $b wget -q -O /$path "http://${server.ipv4}/$path"; echo "$path: status $?"; done
$b sha256sum /file
$b head -n 1 /page
$b wget -q -O /cut http://${server.ipv4}/cut; $b wc -c /cut
$b sleep 1
$b wget -c -q -O /cut http://${server.ipv4}/cut; $b sha256sum /cut
$b poweroff -f
`

test('a machine finds its address, a boot file and a web server with faults in a network of its own', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  for (const name of ['bin', 'dev', 'proc']) mkdirSync(join(tree, name), { recursive: true })
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'))
  symlinkSync('busybox', join(tree, 'bin/sh'))
  writeFileSync(join(tree, 'init'), init, { mode: 0o755 })
  writeFileSync(join(tree, 'lease'), lease, { mode: 0o755 })
  const initrd = join(folder.path, 'initrd.cpio')
  run('sh', '-c', `cd '${tree}' && mknod dev/console c 5 1 && find . | cpio --quiet -o -H newc >'${initrd}'`)
  await using network = await makeNetwork(folder.path)
  for (const name of ['file', 'cut', 'page']) writeFileSync(join(network.www, name), Buffer.alloc(1 << 20, 'ddi '))
  const hash = run('sha256sum', join(network.www, 'file')).slice(0, 64)
  await network.addresses({ kind: 'dhcpv4', bootFile: `http://${server.ipv4}/a.efi` })
  await network.faults({
    '/page': { kind: 'page' },
    '/cut': { kind: 'cut', after: 300_000, times: 1, awayMs: 100 },
  })
  await using machine = bootUml(network, { initrd, parameters: ['rdinit=/init'], memory: 64 })
  const { text } = await machine.off(60)
  for (const expected of [
    `boot file http://${server.ipv4}/a.efi`,
    'file: status 0',
    'missing: status 1',
    'page: status 0',
    '<!DOCTYPE html><title>Log in</title>',
    '300000 /cut',
    `${hash}  /file`,
    `${hash}  /cut`,
  ])
    assert.ok(text.includes(expected), `${expected}:\n${text}`)
  assert.deepEqual(
    network.requests.map(({ path, range, status }) => [path, range, status]),
    [
      ['/file', null, 200],
      ['/missing', null, 404],
      ['/page', null, 200],
      ['/cut', null, 200],
      ['/cut', 'bytes=300000-', 206],
    ],
  )
})

// The whole way, as it is meant: firmware that knows nothing but DHCP, one URL, and a root that its signer vouches for.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFileSync, copyFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { emptyFile, MiB } from '../../support/images.js'
import { signAgain } from '../../support/keyring.js'
import { cli, run, temporaryFolder } from '../../support/run.js'
import { efiPartition } from './efi-partition.js'
import { makeNetwork, server } from './network.js'
import { bootFirmware } from './qemu.js'
import { makeVendor, rootIsUp } from './roots.js'
import { buildCloudUki } from './uki.js'

const sha256 = (...parts: readonly (string | Uint8Array)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

/** The key that Debian’s firmware for tests trusts. */
function snakeoilKey(folder: string): { readonly key: string; readonly certificate: string } {
  const own = '/usr/share/ovmf/PkKek-1-snakeoil'
  const key = join(folder, 'snakeoil.key')
  run('openssl', 'pkey', '-in', `${own}.key`, '-passin', 'pass:snakeoil', '-out', key)
  return { key, certificate: `${own}.pem` }
}

test('a machine with UEFI firmware, Secure Boot and a TPM boots from one URL, with credentials of whoever runs it, and installs itself', async () => {
  using folder = temporaryFolder()
  await using network = await makeNetwork(folder.path)
  const vendor = makeVendor(folder.path, network.www)
  const uki = join(network.www, 'acme.efi')
  const { key, certificate } = snakeoilKey(folder.path)
  const signed = [`--secure-boot-key=${key}`, `--secure-boot-certificate=${certificate}`]
  const line = 'console=ttyS0 panic=-1 ddi.product=acme ddi.install=/dev/vda'
  const options = ['--image=acme_1.raw.xz', '--network=dhcp', `--cmdline=${line}`, `--keyring=${vendor.keyring}`]
  buildCloudUki(uki, vendor, ...options, ...signed, '--with-installer')
  const sums = join(network.www, 'SHA256SUMS')
  appendFileSync(sums, `${run('sha256sum', uki).slice(0, 64)}  acme.efi\n`)
  signAgain(dirname(vendor.keyring), sums)
  const disk = emptyFile(join(folder.path, 'disk.raw'), 256 * MiB)
  const MB = statSync(uki).size / 1e6
  assert.ok(MB <= 45, `the UKI has ${MB.toFixed(1)} MB`)
  const origin = `http://${server.ipv4}/acme.efi`
  await network.addresses({ kind: 'dhcpv4', bootFile: origin })
  const text64 = Buffer.from('binary').toString('base64')
  const words = [
    ...['-smbios', 'type=11,value=io.systemd.credential:ddi.plain=plain'],
    ...['-smbios', `type=11,value=io.systemd.credential.binary:ddi.binary=${text64}`],
    ...['-fw_cfg', 'name=opt/io.systemd.credentials/ddi.qemu,string=qemu'],
  ]
  await using machine = bootFirmware(network, { folder: folder.path, tpm: true, disk, secureBoot: 'snakeoil', words })
  const { text } = await machine.off(900)
  assert.match(text, rootIsUp)
  assert.match(text, /^\/dev\/mapper\/\S+ \/ erofs ro,/m)
  assert.deepEqual(
    new Set(network.requests.map(({ path }) => path)),
    new Set([
      ...['/acme.efi', '/SHA256SUMS', '/SHA256SUMS.gpg', '/acme_1.raw.xz'],
      ...['/acme.efi.extra.d/SHA256SUMS'],
    ]),
  )
  // The firmware knows of it, and finds on the disk what it loaded from the URL, and the image beside it.
  assert.match(text, new RegExp(`installed ${origin} on /dev/vda$`, 'm'))
  assert.match(run('sgdisk', '--verify', disk), /No problems found/)
  const efi = join(folder.path, 'efi')
  writeFileSync(efi, efiPartition(disk))
  run('fsck.vfat', '-n', efi)
  run('mcopy', '-n', '-i', efi, '::EFI/BOOT/BOOTX64.EFI', join(folder.path, 'read.efi'))
  run('cmp', join(folder.path, 'read.efi'), uki)
  const { images } = JSON.parse(cli('store', 'list', disk, '--json=short').stdout).stores[0]
  assert.deepEqual([images.length, images[0].label, images[0].state, images[0].tries], [1, 'acme_1', 'new', 2])
  assert.ok(text.includes(`the image ${images[0].uuid}`), text)
  for (const name of ['plain', 'binary', 'qemu'])
    assert.ok(text.includes(`handed over: /run/credentials/@initrd/ddi.${name}: ${name}`), text)
  // What was measured is what the log says, and that is where the root came from and which one it is.
  const records = [...text.matchAll(/(\{"pcr".*\})$/gm)].map(([, record]) => JSON.parse(record!))
  const measured: string[] = records.map(({ content }) => content.string)
  assert.ok(
    measured.some((one) => one.includes(`http://${server.ipv4}/acme_1.raw.xz`)),
    text,
  )
  assert.ok(
    measured.some((one) => one.includes(vendor.rootHash)),
    text,
  )
  const pcr = measured.reduce((value, one) => sha256(value, sha256(one)), Buffer.alloc(32))
  assert.ok(text.includes(`PCR 12: ${pcr.toString('hex').toUpperCase()}`), text)
})

test('firmware with the keys of Microsoft does not start what they did not sign', async () => {
  using folder = temporaryFolder()
  await using network = await makeNetwork(folder.path)
  copyFileSync('/usr/lib/systemd/boot/efi/systemd-bootx64.efi', join(network.www, 'acme.efi'))
  await network.addresses({ kind: 'dhcpv4', bootFile: `http://${server.ipv4}/acme.efi` })
  await using machine = bootFirmware(network, { folder: folder.path, secureBoot: 'ms' })
  await machine.console.line(/Access Denied/)
  assert.deepEqual(new Set(network.requests.map(({ path }) => path)), new Set(['/acme.efi']))
})

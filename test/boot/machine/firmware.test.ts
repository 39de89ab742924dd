// The whole way, as it is meant: firmware that knows nothing but DHCP, one URL, and a root that its signer vouches for.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../support/run.js'
import { makeNetwork, server } from './network.js'
import { bootFirmware } from './qemu.js'
import { makeVendor, rootIsUp } from './roots.js'
import { buildCloudUki } from './uki.js'

const sha256 = (...parts: readonly (string | Uint8Array)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

test('a machine with UEFI firmware and a TPM boots from one URL', async () => {
  using folder = temporaryFolder()
  await using network = await makeNetwork(folder.path)
  const vendor = makeVendor(folder.path, network.www)
  const uki = join(network.www, 'acme.efi')
  buildCloudUki(uki, vendor, '--image=acme_1.raw.xz', '--network=dhcp')
  const MB = statSync(uki).size / 1e6
  assert.ok(MB <= 45, `the UKI has ${MB.toFixed(1)} MB`)
  const origin = `http://${server.ipv4}/acme.efi`
  await network.addresses({ kind: 'dhcpv4', bootFile: origin })
  await using machine = bootFirmware(network, { folder: folder.path, tpm: true })
  const { text } = await machine.off(900)
  assert.match(text, rootIsUp)
  assert.match(text, /^\/dev\/mapper\/\S+ \/ erofs ro,/m)
  assert.deepEqual(
    new Set(network.requests.map(({ path }) => path)),
    new Set(['/acme.efi', '/acme.efi.extra.d/SHA256SUMS', '/acme_1.raw.xz']),
  )
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

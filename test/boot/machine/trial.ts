import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildInitrd } from '../../../lib/uki/initrd.js'
import { parseCertificates } from '../../../lib/verity/index.js'
import { makeNetwork, type TestNetwork } from './network.js'
import { makeVendor, type Vendor } from './roots.js'
import { umlModules } from './user-mode-linux.js'

/** A network with a vendor's images, and an initrd for user-mode-linux that trusts the vendor. */
export interface Trial extends AsyncDisposable {
  readonly folder: string
  readonly network: TestNetwork
  readonly vendor: Vendor
  readonly initrd: string
}

export async function prepareTrial(folder: string): Promise<Trial> {
  const network = await makeNetwork(folder)
  const vendor = makeVendor(folder, network.www)
  const initrd = join(folder, 'initrd.cpio')
  await buildInitrd(initrd, {
    modulesFrom: umlModules(),
    certificates: parseCertificates(readFileSync(vendor.identity.certificate), 'vendor'),
    keyring: vendor.keyring,
    tar: true,
  })
  return { folder, network, vendor, initrd, [Symbol.asyncDispose]: () => network[Symbol.asyncDispose]() }
}

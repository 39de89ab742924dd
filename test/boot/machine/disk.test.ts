// A machine that boots from its own disk, without any network: firmware, the one UKI, and images that come and go beside it.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { emptyFile, flipBit, MiB } from '../../support/images.js'
import { makeIdentity } from '../../support/keys.js'
import { cliPath, run, temporaryFolder } from '../../support/run.js'
import { efiPartition } from './efi-partition.js'
import { bootFirmware } from './qemu.js'
import { buildImage, init, makeRootTree, rootIsUp } from './roots.js'
import { buildCloudUki, debianKernel } from './uki.js'

const ddi = (...words: readonly string[]) => run(process.execPath, cliPath, ...words)

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

interface State {
  readonly label: string
  readonly uuid: string
  readonly state: string
  readonly tries: number
}

test('an update brings its own kernel, a broken one is passed over, and the EFI partition stays as it is', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const identity = makeIdentity(folder.path, 'vendor')
  const tree = at('root')
  makeRootTree(tree, init)
  buildImage(tree, at('acme_1.raw'), identity)
  copyFileSync(at('acme_1.raw'), at('acme_3.raw'))
  // The superblock of its root.
  flipBit(at('acme_3.raw'), MiB + 1024)
  const kernel = debianKernel('linux-image-6.12-cloud-amd64')
  const modules = join(tree, 'usr/lib/modules', kernel.version)
  mkdirSync(join(tree, 'usr/lib/modules'), { recursive: true })
  cpSync(kernel.modules, modules, { recursive: true })
  copyFileSync(kernel.path, join(modules, 'vmlinuz'))
  buildImage(tree, at('acme_2.raw'), identity)
  buildCloudUki(at('acme.efi'), { identity }, '--cmdline=console=ttyS0 panic=-1 ddi.product=acme')

  const disk = emptyFile(at('disk.raw'), 512 * MiB)
  ddi('install', disk, '--uki', at('acme.efi'), '--image', at('acme_1.raw'))
  ddi('store', 'good', disk, 'acme_1')
  const installed = sha256(efiPartition(disk))
  for (const name of ['acme_2.raw', 'acme_3.raw']) ddi('store', 'install', disk, at(name))

  await using machine = bootFirmware(null, { folder: folder.path, disk })
  const { text } = await machine.off(900)
  const { images } = JSON.parse(ddi('store', 'list', disk, '--json=short')).stores[0] as {
    readonly images: readonly State[]
  }
  const [first, second, third] = ['acme_1', 'acme_2', 'acme_3'].map((label) =>
    images.find((one) => one.label === label),
  )
  assert.match(text, rootIsUp)
  assert.match(text, /refused acme_3 /)
  assert.ok(text.includes(`starting Linux ${kernel.version} of acme_2`), text)
  assert.ok(text.includes(`the kernel is ${kernel.version}, the image ${second!.uuid}`), text)
  assert.deepEqual(
    [first, second, third].map((one) => [one!.state, one!.tries]),
    [
      ['good', 0],
      ['new', 2],
      ['bad', 0],
    ],
  )
  assert.equal(sha256(efiPartition(disk)), installed)
  assert.match(run('sgdisk', '--verify', disk), /No problems found/)
})

// Disks with many images, for machines that boot from them.
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { openFile } from '../../../lib/bytes/file.js'
import { initDisk, volumeSource } from '../../../lib/index.js'
import { readStore } from '../../../lib/store/disks.js'
import { installImage } from '../../../lib/store/install.js'
import { headLength, storedLayout } from '../../../lib/store/layout.js'
import { openStored } from '../../../lib/store/open.js'
import { storeOn } from '../../../lib/store/store.js'
import { volumeHead } from '../../support/gpt.js'
import { emptyFile, flipBit, MiB, typeUuids } from '../../support/images.js'
import type { Identity } from '../../support/keys.js'
import { cliPath, run } from '../../support/run.js'
import { buildImage, makeRootTree } from './roots.js'

/** What a root says that never becomes good: it ends the machine, as a watchdog would. */
export const hangs = /^this root hangs$/m

const hanging = `#!/bin/busybox sh
echo "this root hangs"
/bin/busybox poweroff -f
`

/** Says what runs, and by the command itself, in the file system of the host, that it is good. */
const working = `#!/bin/busybox sh
b=/bin/busybox
echo "booted $($b cat /run/ddi/booted)"
$b grep ' / ' /proc/mounts
$b mount -t hostfs -o / none /mnt
for one in dev proc sys run; do $b mount -o bind /$one /mnt/$one; done
for verb in good "list --all"; do $b chroot /mnt ${process.execPath} ${cliPath} store $verb; done
$b poweroff -f
`

/** A root that works, and one that hangs. */
export interface StoreRoots {
  readonly works: string
  readonly hangs: string
}

export function makeStoreRoots(folder: string, signer: Identity): StoreRoots {
  const make = (name: string, init: string) => {
    const tree = join(folder, name)
    makeRootTree(tree, init)
    buildImage(tree, `${tree}.raw`, signer)
    return `${tree}.raw`
  }
  return { works: make('works', working), hangs: make('hangs', hanging) }
}

/** A root that no system can begin in. */
export function makeIdleRoot(folder: string, signer: Identity): string {
  const tree = join(folder, 'idle')
  makeRootTree(tree)
  rmSync(join(tree, 'sbin/init'))
  buildImage(tree, `${tree}.raw`, signer)
  return `${tree}.raw`
}

/**
 * Makes a disk with ten images, `acme_1` to `acme_10`, in twelve fragments: eight of them fill what is free behind three holes, and the
 * others lie in these.
 * @param imageOf the file of an image, by its number
 */
export async function makeFragmentedStore(path: string, imageOf: (version: number) => string): Promise<void> {
  const sizes = await Promise.all([1, 10].map((version) => storedSize(imageOf(version))))
  const size = Math.ceil(Math.max(...sizes) / MiB) * MiB
  const hole = Math.ceil((2 * size) / 3 / MiB) * MiB
  emptyFile(path, 3 * hole + 8 * size + 5 * MiB)
  await using disk = await initDisk(path)
  for (const name of ['first', 'second', 'third']) {
    await disk.create(volumeHead(`hole ${name}`), hole)
    await disk.create(volumeHead(`other ${name}`), MiB)
  }
  for (const name of ['first', 'second', 'third']) await disk.remove(disk.find(`hole ${name}`))
  const store = storeOn(disk)
  for (let version = 1; version <= 10; version++)
    await installImage(store, `file://${imageOf(version)}`, { product: 'acme', version: `${version}`, tries: 2 })
}

/** What a store takes for an image, in bytes. */
async function storedSize(path: string): Promise<number> {
  await using file = await openFile(path)
  return (await storedLayout(await file.read(0, headLength))).size
}

/** Turns over a bit of the hash tree of an image: in the block over the beginning of its root. */
export async function damageTree(disk: string, label: string): Promise<void> {
  const stored = (await readStore(disk)).images.find((one) => one.label === label)!
  await using image = await openStored(disk, stored)
  const tree = image.volumes.find(({ typeUuid }) => typeUuid === typeUuids.rootVerity)
  assert.ok(tree?.state === 'whole')
  // A superblock, the block of the top, the blocks of the lowest level.
  const [place] = volumeSource(image, tree.uuid!).where!(2 * 4096, 1)!
  assert.ok(place?.kind === 'linear')
  flipBit(disk, place.start)
}

/** What sgdisk says of a disk: the attribute bits of its images by their labels, and how many partitions these take. */
export function readBySgdisk(disk: string): {
  readonly attributes: Readonly<Record<string, string>>
  readonly fragments: number
} {
  const numbers = [...run('sgdisk', '--print', disk).matchAll(/^ +(\d+) /gm)].map(([, number]) => number!)
  const entries = numbers.map((number) => {
    const text = run('sgdisk', `--info=${number}`, disk)
    const field = (name: string) => new RegExp(`^${name}: '?([^'\\s]*)`, 'm').exec(text)?.[1] ?? ''
    return { type: field('Partition GUID code'), bits: field('Attribute flags'), label: field('Partition name') }
  })
  const ofType = (uuid: string) => entries.filter(({ type }) => type === uuid)
  const images = ofType('546AA983-5C4A-4C3F-9F80-ECF5ED9983D9')
  return {
    attributes: Object.fromEntries(images.map(({ label, bits }) => [label, bits])),
    fragments: images.length + ofType('793963AD-38E6-48E4-A713-D842EEED84EE').length,
  }
}

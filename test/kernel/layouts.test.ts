// Public images, rebuilt small: each inspected as systemd-dissect does, attached, mounted, its tree listed, and nothing left.
import assert from 'node:assert/strict'
import { closeSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openFile } from '../../lib/bytes/file.js'
import {
  activate,
  attach,
  type Dissection,
  dissect,
  dissectVerityDevices,
  type LinearExtent,
  type MountOptions,
  mountImage,
  openImage,
  openTreeFile,
  type Plan,
  plan,
  requireWhole,
  withTree,
} from '../../lib/index.js'
import { parseCertificates, parseRootHash } from '../../lib/verity/index.js'
import { fileSystems, gptPartitions, type Partition } from '../corpus/theirs.js'
import { flipBit, MiB } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { type Layout, makeLayout } from '../support/layouts.js'
import { plainLayouts } from '../support/plain-layouts.js'
import { attempt, packageRoot, run, temporaryFolder } from '../support/run.js'
import { verifiedLayouts } from '../support/verified-layouts.js'
import { assertNothingLeft } from './state.js'
import { loopDevice, systemdDissects, usesBySystemd, usesOf } from './systemd-dissect.js'

const folder = temporaryFolder()
after(() => {
  folder[Symbol.dispose]()
  assertNothingLeft()
})

run('bash', join(packageRoot, 'test/support/layout-contents.sh'), folder.path)
const identity = makeIdentity(folder.path, 'signer')
const layouts = new Map(
  [...plainLayouts(folder.path), ...verifiedLayouts(folder.path, identity)].map((one) => [one.name, one]),
)
const machine: MountOptions = { architectures: ['x86-64'], unlock: async () => Buffer.from('secret') }
const trust = { certificates: parseCertificates(readFileSync(identity.certificate), identity.certificate) }

/** What is expected of a layout: what is mounted where, and a file in it that was put there. */
interface Expected {
  readonly mounted: Readonly<Record<string, string>>
  readonly listed: readonly string[]
  readonly options?: MountOptions
  /** What systemd-dissect 252 has to say of a signed /usr is that nothing covers it: see below. */
  readonly isUsrBareToSystemd?: boolean
}

/** What blkid finds in each file that a partition was made from. */
const held = fileSystems(
  [...layouts.values()].flatMap(({ partitions }) => partitions.flatMap(({ from }) => from ?? [])),
)

function compareInspected({ volumes }: Dissection, theirs: readonly Partition[], { partitions }: Layout): void {
  const ours = volumes.map((volume) => {
    const { uuid, typeUuid, label, size, fileSystem } = volume
    const [first] = requireWhole(volume).extents as readonly [LinearExtent]
    return { start: first.start, size, type: typeUuid, uuid, label, fileSystem }
  })
  const expected = theirs.map((one, index) => {
    const { from } = partitions[index]!
    return { ...one, fileSystem: (from === undefined ? undefined : held.get(from)) ?? null }
  })
  assert.deepEqual(ours, expected)
}

/** @param isUsrBare to systemd-dissect */
function compareUses(dissection: Dissection, path: string, { sectorSize }: Layout, isUsrBare: boolean): void {
  // Of sectors in files it knows those of 512 bytes.
  using device = sectorSize === undefined ? undefined : loopDevice(path, sectorSize)
  const [ours, theirs] = [usesOf(dissection), usesBySystemd(systemdDissects(device?.path ?? path))]
  assert.deepEqual(isUsrBare ? { ...ours, usr: { ...ours['usr'], verity: 'no' } } : ours, theirs)
}

function head(path: string, at: number): Buffer {
  const bytes = Buffer.alloc(64 * 1024)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, bytes, 0, bytes.length, at)
  } finally {
    closeSync(fd)
  }
  return bytes
}

/** Each partition by itself, and the devices have its bytes. */
async function compareAttached(path: string, theirs: readonly Partition[]): Promise<void> {
  // What is free for the next version has no name of its own, or no root hash.
  const named = theirs.filter(({ label }) => !label?.endsWith('empty'))
  await using attachment = await attach(path, { volumes: named.map(({ uuid }) => uuid) })
  assert.equal(attachment.volumes.length, named.length)
  for (const [index, { device }] of attachment.volumes.entries())
    assert.ok(head(device, 0).equals(head(path, named[index]!.start)), `${index}`)
}

async function check(
  name: string,
  { mounted, listed, options: more = {}, isUsrBareToSystemd = false }: Expected,
): Promise<void> {
  const layout = layouts.get(name)!
  const path = makeLayout(folder.path, layout)
  const theirs = gptPartitions(path, layout.sectorSize ?? 512)
  assert.equal(theirs.length, layout.partitions.length)
  {
    await using image = await openImage(path)
    const { certificates } = more
    const dissection = await dissect(image, { architectures: ['x86-64'], ...(certificates && { certificates }) })
    compareInspected(dissection, theirs, layout)
    compareUses(dissection, path, layout, isUsrBareToSystemd)
  }
  await compareAttached(path, theirs)
  const at = join(folder.path, `${name}.mounted`)
  mkdirSync(at)
  const options = { ...machine, ...more }
  {
    await using image = await mountImage(path, at, options)
    const found = image.volumes.map((one) => [one.path.slice(at.length) || '/', `${one.designator} ${one.fileSystem}`])
    assert.deepEqual(Object.fromEntries(found), mounted)
  }
  await withTree(path, options, async (tree) => {
    const paths: string[] = []
    for await (const entry of tree.entries()) paths.push(entry.path)
    for (const one of listed) assert.ok(paths.includes(one), `${one} is not among ${paths.join(' ')}`)
  })
}

const system = ['usr/lib/os-release', 'etc/hostname']

test('Debian: the root is before its BIOS boot partition and ESP in number, and behind them on disk', () =>
  check('debian', { mounted: { '/': 'root ext4', '/efi': 'esp vfat' }, listed: [...system, 'efi/EFI'] }))

test('Ubuntu: the root is of the generic type, and /boot has a partition', () =>
  check('ubuntu', {
    mounted: { '/': 'root ext4', '/boot': 'xbootldr ext4', '/efi': 'esp vfat' },
    listed: [...system, 'boot/loader', 'efi/EFI'],
  }))

test('Fedora: the root is a subvolume that an option names', () =>
  check('fedora', {
    mounted: { '/': 'root btrfs', '/boot': 'xbootldr ext4', '/efi': 'esp vfat' },
    listed: [...system, 'boot/loader'],
    options: { mountOptions: { root: 'subvol=root' } },
  }))

test('Arch: the root is a btrfs', () =>
  check('arch', { mounted: { '/': 'root btrfs', '/efi': 'esp vfat' }, listed: system }))

test('openSUSE: the root is the default subvolume, a snapshot', () =>
  check('opensuse', { mounted: { '/': 'root btrfs', '/efi': 'esp vfat' }, listed: system }))

test('mkosi: a signed root on sectors of 4096 bytes', () =>
  check('mkosi', { mounted: { '/': 'root erofs', '/efi': 'esp vfat' }, listed: system, options: trust }))

// The newest signature whose data and tree are there counts. systemd-dissect 252 takes the last one of the table, of which nothing is signed.
test('ParticleOS: a signed /usr, an encrypted btrfs as root, a home, and room for the next version', () =>
  check('particleos', {
    mounted: { '/': 'root btrfs', '/usr': 'usr erofs', '/home': 'home btrfs', '/efi': 'esp vfat' },
    listed: [...system, 'home/user'],
    options: trust,
    isUsrBareToSystemd: true,
  }))

test('GNOME OS: a /usr under a root hash, beside one that is free but does not say so, and a root of its first boot', () =>
  check('gnome-os', { mounted: { '/': 'root btrfs', '/usr': 'usr erofs', '/efi': 'esp vfat' }, listed: system }))

test('IncusOS: a signed /usr, an encrypted root, and generic partitions that are no root', () =>
  check('incus-os', {
    mounted: { '/': 'root ext4', '/usr': 'usr erofs', '/efi': 'esp vfat' },
    listed: system,
    options: trust,
    isUsrBareToSystemd: true,
  }))

// As of systemd-dissect: of the types that are known, there is one generic partition.
test('Flatcar: partitions of types of its own are attached by UUID, and the one of a generic type is the root', () =>
  check('flatcar', { mounted: { '/': 'root btrfs' }, listed: ['bin'] }))

/** Compares files while a device is mounted. */
function compareMounted(device: string, file: string, original: string): ReturnType<typeof attempt> {
  const at = join(folder.path, 'at')
  run('mount', '-o', 'ro', device, at)
  try {
    return attempt('cmp', original, join(at, file))
  } finally {
    run('umount', at)
  }
}

/** Of Flatcar's /usr: the tree is behind what it covers, and the root hash in the kernel. @param device with both */
async function planFlatcarUsr(device: string, name: string): Promise<Plan> {
  await using data = await openFile(device)
  await using tree = await openTreeFile(device, { hashOffset: 18 * MiB })
  const rootHash = parseRootHash(readFileSync(join(folder.path, 'flatcar-usr.roothash'), 'utf8').trim())
  const hash = { kind: 'file', path: device, source: tree.source } as const
  return plan(await dissectVerityDevices(data, hash, tree.superblock, rootHash), { name })
}

test('Flatcar: /usr is checked against the tree behind it, and a block that was changed is refused', async () => {
  const path = join(folder.path, 'flatcar.raw')
  await using partition = await attach(path, { volumes: ['USR-A'] })
  // Under one name: whatever that holds, what is on top comes off first.
  await using usr = await activate(await planFlatcarUsr(partition.volumes[0]!.device, partition.name))
  const large = join(folder.path, 'os/usr/lib/large')
  const compared = () => compareMounted(usr.volumes[0]!.device, 'lib/large', large)
  const { status, stderr } = compared()
  assert.equal(status, 0, stderr)
  flipBit(path, readFileSync(path).indexOf(readFileSync(large).subarray(0, 4096)))
  assert.match(compared().stderr, /Input\/output error/)
})

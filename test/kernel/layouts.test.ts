// Public images, rebuilt small: each inspected, attached, mounted, its tree listed, and nothing left.
import assert from 'node:assert/strict'
import { closeSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  attach,
  type Dissection,
  dissect,
  type LinearExtent,
  type MountOptions,
  mountImage,
  openImage,
  requireWhole,
  withTree,
} from '../../lib/index.js'
import { parseCertificates } from '../../lib/verity/index.js'
import { type FileSystem, gptPartitions, type Partition } from '../corpus/theirs.js'
import { makeIdentity } from '../support/keys.js'
import { type Layout, makeLayout } from '../support/layouts.js'
import { plainLayouts, verifiedLayouts } from '../support/public-layouts.js'
import { packageRoot, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'

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
}

/** What blkid finds in each file that a partition was made from. */
const held = fileSystems(
  [...layouts.values()].flatMap(({ partitions }) => partitions.flatMap(({ from }) => from ?? [])),
)

function fileSystems(paths: readonly string[]): ReadonlyMap<string, FileSystem> {
  const probe = 'for path; do blkid -p -o export "$path" || true; echo; done'
  const found = run('sh', '-c', probe, 'sh', ...new Set(paths)).split('\n\n')
  const values = found.map(
    (one) => new Map([...one.matchAll(/^([A-Z]+)=(.*)$/gm)].map(([, name, text]) => [name, text])),
  )
  return new Map(
    values.flatMap((of) => {
      const [path, type] = [of.get('DEVNAME'), of.get('TYPE')]
      return path && type ? [[path, { type, uuid: of.get('UUID') ?? null, label: of.get('LABEL') ?? null }]] : []
    }),
  )
}

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
  // What is free for the next version has no name of its own.
  const named = theirs.filter(({ label }) => label !== '_empty')
  await using attachment = await attach(path, { volumes: named.map(({ uuid }) => uuid) })
  assert.equal(attachment.volumes.length, named.length)
  for (const [index, { device }] of attachment.volumes.entries())
    assert.ok(head(device, 0).equals(head(path, named[index]!.start)), `${index}`)
}

async function check(name: string, { mounted, listed, options: more }: Expected): Promise<void> {
  const layout = layouts.get(name)!
  const path = makeLayout(folder.path, layout)
  const theirs = gptPartitions(path, layout.sectorSize ?? 512)
  assert.equal(theirs.length, layout.partitions.length)
  {
    await using image = await openImage(path)
    compareInspected(await dissect(image, { architectures: ['x86-64'] }), theirs, layout)
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

test('openSUSE: the root is the default subvolume, a snapshot; its MBR names partitions too', () =>
  check('opensuse', { mounted: { '/': 'root btrfs', '/efi': 'esp vfat' }, listed: system }))

test('mkosi: a signed root on sectors of 4096 bytes', () =>
  check('mkosi', { mounted: { '/': 'root erofs', '/efi': 'esp vfat' }, listed: system, options: trust }))

test('ParticleOS: a signed /usr, an encrypted btrfs as root, a home, and room for the next version', () =>
  check('particleos', {
    mounted: { '/': 'root btrfs', '/usr': 'usr erofs', '/home': 'home btrfs', '/efi': 'esp vfat' },
    listed: [...system, 'home/user'],
    options: trust,
  }))

test('GNOME OS: a signed /usr, and a root of its first boot', () =>
  check('gnome-os', {
    mounted: { '/': 'root btrfs', '/usr': 'usr erofs', '/efi': 'esp vfat' },
    listed: system,
    options: trust,
  }))

test('IncusOS: the same, encrypted, beside generic partitions that are no root', () =>
  check('incus-os', {
    mounted: { '/': 'root ext4', '/usr': 'usr erofs', '/efi': 'esp vfat' },
    listed: system,
    options: trust,
  }))

// As of systemd-dissect: of the types that are known, there is one generic partition.
test('Flatcar: partitions of types of its own are attached by UUID, and the one of a generic type is the root', () =>
  check('flatcar', { mounted: { '/': 'root ext4' }, listed: ['bin'] }))

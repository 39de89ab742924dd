import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { installDisk, openDisk } from '../../lib/index.js'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { smallImage } from '../support/small-images.js'
import { makeSmallUki } from '../support/uki.js'

const sections = { '.cmdline': 'ddi.product=acme', '.uname': '6.1.0', '.linux': 'kernel' }

interface Entry {
  readonly node: string
  readonly start: number
  readonly size: number
  readonly type: string
  readonly name: string
}

/** The partitions as sfdisk has them, in bytes. */
function partitionsOf(path: string): readonly Entry[] {
  const { partitions } = JSON.parse(run('sfdisk', '--json', path)).partitiontable as { partitions: readonly Entry[] }
  return partitions.map((one) => ({ ...one, start: one.start * 512, size: one.size * 512 }))
}

function cutOut(path: string, { start, size }: Entry, output: string): string {
  writeFileSync(output, readFileSync(path).subarray(start, start + size))
  return output
}

async function prepare(folder: string) {
  const at = (name: string) => join(folder, name)
  const image = at('acme_1.raw')
  writeFileSync(image, smallImage(7))
  return { at, image, uki: await makeSmallUki(at('acme.efi'), sections), disk: emptyFile(at('disk.raw'), 128 * MiB) }
}

test('a blank disk becomes that of a machine: other tools find table, EFI partition, data and image sound', async () => {
  using folder = temporaryFolder()
  const { at, image, uki, disk } = await prepare(folder.path)
  const words = [
    'install',
    disk,
    '--uki',
    uki,
    '--image',
    image,
    '--volume',
    'home=16M',
    '--entries',
    '512',
    '--json=short',
  ]
  const dry = cli(...words, '--dry-run')
  assert.equal(dry.status, 0, dry.stderr)
  assert.ok(readFileSync(disk).equals(Buffer.alloc(128 * MiB)))
  const done = cli(...words)
  assert.equal(done.status, 0, done.stderr)
  assert.match(done.stderr, /no boot entry.*is a file.*EFI\/BOOT\/BOOTX64\.EFI/)
  assert.doesNotMatch(done.stderr, /boots/)
  const [planned, made] = [dry, done].map(({ stdout }) => JSON.parse(stdout))
  const places = ({ volumes }: typeof made) =>
    volumes.map(({ designator, size, extents }: { designator: string; size: number; extents: unknown }) => {
      return { designator, size, extents }
    })
  assert.deepEqual(places(planned), places(made))

  assert.match(run('sgdisk', '--verify', disk), /No problems found/)
  assert.match(run('sgdisk', '--print', disk), /holds up to 512 entries/)
  const [esp, home, stored] = partitionsOf(disk)
  assert.deepEqual(
    [esp, home].map((one) => [one!.type.toLowerCase(), one!.name, one!.size]),
    [
      [typeUuids.esp, 'esp', 64 * MiB],
      [typeUuids.home, 'home', 16 * MiB],
    ],
  )
  assert.equal(stored!.name, 'acme_1')
  const fat = cutOut(disk, esp!, at('esp'))
  run('fsck.vfat', '-n', fat)
  assert.match(run('fsck.vfat', '-n', '-v', fat), /32 bit entries|FAT32|32-bit/i)
  run('mcopy', '-n', '-i', fat, '::EFI/BOOT/BOOTX64.EFI', at('read.efi'))
  assert.ok(readFileSync(at('read.efi')).equals(readFileSync(uki)))
  run('e2fsck', '-fn', cutOut(disk, home!, at('home')))
  assert.equal(JSON.parse(cli('store', 'list', disk, '--json=short').stdout).stores[0].images[0].state, 'new')
  assert.equal(cli('store', 'install', disk, image, '--version', '2').status, 0)
})

test('what cannot be installed is refused, and the disk is as it was', async () => {
  using folder = temporaryFolder()
  const { at, image, uki, disk } = await prepare(folder.path)
  const before = readFileSync(disk)
  const refused = async (code: string, path: string, options: Partial<Parameters<typeof installDisk>[1]>) =>
    await assert.rejects(installDisk(path, { uki, ...options }), { code })
  await refused('ERR_DDI_PE_FORMAT', disk, { uki: image })
  await refused('ERR_DDI_PE_FORMAT', disk, { uki: await makeSmallUki(at('empty.efi'), { '.cmdline': 'quiet' }) })
  await refused('ERR_DDI_NOT_FOUND', disk, { uki: at('missing.efi') })
  await refused('ERR_DDI_NO_SPACE', disk, { espSize: 256 * MiB })
  await refused('ERR_DDI_NO_SPACE', disk, { volumes: [{ designator: 'var', size: 100 * MiB }] })
  const twice = { designator: 'home', size: 8 * MiB } as const
  await refused('ERR_DDI_USAGE', disk, { volumes: [twice, twice] })
  assert.ok(readFileSync(disk).equals(before))

  const used = at('used.raw')
  makeGptImage(used, 128 * MiB, [{ type: typeUuids.home, size: MiB }])
  const held = readFileSync(used)
  await refused('ERR_DDI_EXISTS', used, {})
  await refused('ERR_DDI_EXISTS', used, { dryRun: true })
  assert.ok(readFileSync(used).equals(held))
  {
    await using _ = await openDisk(used)
    await refused('ERR_DDI_BUSY', used, { force: true })
  }
  // A disk that is to be overwritten is not, for an image that would be refused.
  const cut = at('acme_2.raw')
  writeFileSync(cut, readFileSync(image).subarray(0, (3 * MiB) / 2))
  const cases: readonly [string, readonly string[]][] = [
    ['ERR_DDI_NOT_FOUND', [image, at('acme_3.raw')]],
    ['ERR_DDI_STORE_NAME', [image, at('acme.raw')]],
    ['ERR_DDI_VOLUME_EXISTS', [image, image]],
    ['ERR_DDI_GPT_TRUNCATED', [image, cut]],
    ['ERR_DDI_NO_TABLE', [at('acme_4.raw')]],
  ]
  writeFileSync(at('acme_4.raw'), Buffer.alloc(MiB, 'no image '))
  for (const [code, paths] of cases)
    for (const dryRun of [true, false])
      await refused(code, used, { images: paths.map((path) => `file://${path}`), force: true, dryRun })
  assert.ok(readFileSync(used).equals(held))
  const bare = await makeSmallUki(at('bare.efi'), { '.linux': 'kernel' })
  const noted = cli('install', disk, '--uki', bare, '--esp-size', '80M', '--dry-run')
  assert.match(noted.stderr, /bare\.efi has no ddi\.product=/)
  assert.match(cli('install', disk, '--uki', bare, '--esp-size', '1M').stderr, /make it larger with --esp-size/)
  const forced = await installDisk(used, { uki, images: [`file://${image}`], force: true })
  assert.deepEqual([forced.volumes.length, forced.images.length, forced.bootEntry?.state], [1, 1, 'none'])
})

test('a disk is blank again if an image is refused', async () => {
  using folder = temporaryFolder()
  const { at, image, uki, disk } = await prepare(folder.path)
  writeFileSync(at('acme_2.raw'), Buffer.alloc(MiB, 'no image '))
  // What is packed is not looked into before.
  run('xz', '-0', at('acme_2.raw'))
  const images = [image, at('acme_2.raw.xz')].map((path) => `file://${path}`)
  await assert.rejects(installDisk(disk, { uki, images }), { code: 'ERR_DDI_NO_TABLE' })
  await assert.rejects(openDisk(disk), { code: 'ERR_DDI_NO_TABLE' })
  assert.equal((await installDisk(disk, { uki, images: images.slice(0, 1) })).images[0]!.image.label, 'acme_1')
})

// Disks of public systems besides those of test/kernel/layouts: what each partition is used for, and why nothing is.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { flagNames } from '../../lib/cli/volume-flags.js'
import { type Dissection, type DissectOptions, dissect, openImage, plan, withTree } from '../../lib/index.js'
import { gptPartitions, mbrPartitions, type Partition, probed } from '../corpus/theirs.js'
import { emptyFile, MiB, makeFileSystem } from '../support/images.js'
import { type Layout, makeLayout, partitionTypes } from '../support/layouts.js'
import { otherLayouts } from '../support/other-layouts.js'
import { run, temporaryFolder } from '../support/run.js'

const folder = temporaryFolder()
process.once('exit', () => folder[Symbol.dispose]())
const esp = emptyFile(join(folder.path, 'esp'), 2 * MiB)
run('mkfs.vfat', '-n', 'EFI', esp)
const layouts = otherLayouts({ esp, tree: makeFileSystem(folder.path, 'erofs') })

async function dissected(path: string, options: DissectOptions = {}): Promise<Dissection> {
  await using image = await openImage(path)
  return await dissect(image, { architectures: ['x86-64'], ...options })
}

/** The partitions as fdisk has them. */
function comparePartitions({ volumes }: Dissection, theirs: readonly Partition[]): void {
  const ours = volumes.map(({ typeUuid, uuid, label, size, ...volume }) => {
    assert.ok(volume.state === 'whole' && volume.extents[0]?.kind === 'linear')
    return { start: volume.extents[0].start, size, type: typeUuid, uuid, label }
  })
  assert.deepEqual(ours, theirs)
}

function labelsOf({ roles }: Dissection): Readonly<Record<string, string | null>> {
  return Object.fromEntries([...roles].map(([designator, { label }]) => [designator, label]))
}

for (const { used, ...layout } of layouts)
  test(`${layout.name}: each partition is used for what its type, its label and its contents say`, async () => {
    const path = makeLayout(folder.path, layout)
    const dissection = await dissected(path)
    comparePartitions(dissection, gptPartitions(path, 512))
    assert.deepEqual(labelsOf(dissection), used)
    assert.deepEqual(labelsOf(await dissected(path, { probe: 'used' })), used)
  })

function flagsOf({ volumes }: Dissection): Readonly<Record<string, string>> {
  return Object.fromEntries(volumes.flatMap((one) => (flagNames(one) ? [[one.label ?? '', flagNames(one)]] : [])))
}

test('which system boots is shown where the type of a partition says that in its bits', async () => {
  const flags = async (name: string) => flagsOf(await dissected(join(folder.path, `${name}.raw`)))
  assert.deepEqual(await flags('chromeos'), { 'KERN-A': 'priority=1,tries=1,good' })
  assert.deepEqual(await flags('bottlerocket'), { 'BOTTLEROCKET-BOOT-A': 'priority=1,good' })
  assert.deepEqual(await flags('kairos'), {})
})

test('several generic partitions are told apart by nobody, and the refusal says so', async () => {
  const haos = layouts.find(({ name }) => name === 'haos') as Layout
  const partitions = haos.partitions.slice(1)
  const path = makeLayout(folder.path, { name: 'generic', source: haos.source, partitions })
  const dissection = await dissected(path)
  assert.throws(() => plan(dissection), { message: /: 7 of its partitions are of the generic Linux type, which makes/ })
})

/** The label of a physical volume of LVM, with its checksum (lib/format_text/layout.h of LVM2). */
function physicalVolume(): Buffer {
  const bytes = Buffer.alloc(4 * MiB)
  const label = bytes.subarray(512, 1024)
  label.write('LABELONE')
  label.writeBigUInt64LE(1n, 8)
  label.writeUInt32LE(32, 20)
  label.write('LVM2 001', 24)
  label.write('abcdefghijklmnopqrstuvwxyz012345', 32)
  let sum = 0xf597a6cf
  for (const byte of label.subarray(20)) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0)
  }
  label.writeUInt32LE(sum >>> 0, 16)
  return bytes
}

// osbuild/images@1146ec23cd9c: data/distrodefs/fedora/imagetypes.yaml, server_partition_tables
test('Fedora Server: a root in LVM is left to LVM', async () => {
  const from = join(folder.path, 'lvm')
  writeFileSync(from, physicalVolume())
  const root = { number: 1, type: partitionTypes.root, start: 1, size: 4, label: 'root', from }
  const path = makeLayout(folder.path, { name: 'fedora-server', source: 'osbuild/images', partitions: [root] })
  assert.equal(probed(path, { start: MiB, size: 4 * MiB }).fileSystem?.type, 'LVM2_member')
  await assert.rejects(
    withTree(path, { architectures: ['x86-64'] }, async () => {}),
    {
      code: 'ERR_DDI_FILE_SYSTEM',
      message: /root of .* holds LVM2_member; once it is attached, `vgchange/,
    },
  )
})

/** Makes a disk with an MBR. @param script of sfdisk */
async function dissectedMbr(script: string): Promise<Dissection> {
  const path = emptyFile(join(folder.path, 'mbr.raw'), 64 * MiB)
  writeFileSync(`${path}.script`, script)
  run('sh', '-c', `sfdisk --quiet ${path} <${path}.script`)
  const dissection = await dissected(path)
  comparePartitions(dissection, mbrPartitions(path))
  return dissection
}

// RPi-Distro/pi-gen@314262cb286b: export-image/prerun.sh
test('Raspberry Pi: the only Linux partition of an MBR is the root', async () => {
  const { roles } = await dissectedMbr('label: dos\nstart=16384, size=8192, type=c\nstart=32768, size=16384, type=83\n')
  assert.deepEqual([...roles.keys()], ['root'])
  assert.match(roles.get('root')!.uuid!, /-02$/)
})

// home-assistant/operating-system@f58c959e69d7: buildroot-external/genimage/hdimage-mbr.cfg, partitions-os-mbr.cfg
test('Home Assistant OS for machines without UEFI: logical partitions between primary ones', async () => {
  const logical = [8192, 12288, 22528, 26624, 36864].map((start) => `start=${start}, size=2048, type=83\n`)
  const { volumes, roles } = await dissectedMbr(
    `label: dos\nlabel-id: 0x48617373\nstart=2048, size=4096, type=c, bootable\nstart=6144, size=40960, type=f\n` +
      `start=47104, size=8192, type=83\nstart=55296, size=8192, type=83\n${logical.join('')}`,
  )
  assert.deepEqual([volumes.length, roles.size], [8, 0])
})

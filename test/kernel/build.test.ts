import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildImage, initDisk, partitionDisk } from '../../lib/index.js'
import { parseCertificates } from '../../lib/verity/index.js'
import { defineImage, emptyFile, MiB } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

test('CopyBlocks=auto finds the partitions that carry what is mounted, through dm-verity', async () => {
  using folder = temporaryFolder()
  const [tree, system, output] = ['tree', 'system', 'image.raw'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  for (const directory of [tree, join(system, 'usr'), join(system, 'home')]) mkdirSync(directory, { recursive: true })
  writeFileSync(join(tree, 'file'), 'contents')
  const verity = ['VerityMatchKey=r', 'SplitName=%t']
  const definitions = defineImage(folder.path, {
    '1': ['Type=usr', 'Format=ext4', 'CopyFiles=/', 'Minimize=yes', 'Verity=data', ...verity],
    '2': ['Type=usr-verity', 'Verity=hash', ...verity],
    '3': ['Type=usr-verity-sig', 'Verity=signature', ...verity],
  })
  const identity = makeIdentity(folder.path, 'signer')
  const [certificate] = parseCertificates(readFileSync(identity.certificate), identity.certificate)
  const signer = { kind: 'key', key: readFileSync(identity.key), certificate: certificate! } as const
  const { partitions } = await buildImage(definitions, output, { root: tree, split: true, signer })
  const loop = run('losetup', '--partscan', '--find', '--show', output).trim()
  try {
    run('veritysetup', 'open', `${loop}p1`, 'auto-usr', `${loop}p2`, partitions[0]!.rootHash!)
    run('mount', '-o', 'ro', '/dev/mapper/auto-usr', join(system, 'usr'))
    const copied = join(folder.path, 'copy.raw')
    const auto = defineImage(folder.path, {
      '1': ['Type=usr', 'CopyBlocks=auto', 'SplitName=%t'],
      '2': ['Type=usr-verity', 'CopyBlocks=auto', 'SplitName=%t'],
      '3': ['Type=usr-verity-sig', 'CopyBlocks=auto', 'SplitName=%t'],
    })
    const copy = await buildImage(auto, copied, { root: system, split: true })
    for (const [index, { splitPath }] of copy.partitions.entries())
      assert.ok(readFileSync(splitPath!).equals(readFileSync(partitions[index]!.splitPath!)))
    const none = defineImage(folder.path, { '1': ['Type=home', 'CopyBlocks=auto'] })
    await assert.rejects(buildImage(none, join(folder.path, 'none.raw'), { root: system }), {
      code: 'ERR_DDI_DEFINITION',
      message: /no partition of type home is mounted/,
    })
  } finally {
    attempt('umount', join(system, 'usr'))
    attempt('veritysetup', 'close', 'auto-usr')
    run('losetup', '--detach', loop)
  }
})

test('partitions are added to a block device, which the kernel sees at once, beside one that is mounted', async () => {
  using folder = temporaryFolder()
  const [disk, mounted] = [join(folder.path, 'disk.raw'), join(folder.path, 'mounted')]
  mkdirSync(mounted)
  emptyFile(disk, 64 * MiB)
  const loop = run('losetup', '--partscan', '--find', '--show', disk).trim()
  try {
    const home = ['Type=home', 'Format=ext4', 'SizeMinBytes=34M', 'SizeMaxBytes=34M', 'MakeDirectories=/made']
    await partitionDisk(defineImage(folder.path, { '1': home }), loop, { root: folder.path, empty: 'require' })
    run('mount', `${loop}p1`, mounted)
    assert.deepEqual(readdirSync(mounted).sort(), ['lost+found', 'made'])
    const more = defineImage(folder.path, { '1': home, '2': ['Type=var', 'SizeMinBytes=4M', 'SizeMaxBytes=4M'] })
    await assert.rejects(partitionDisk(more, loop, { root: folder.path, empty: 'force' }), { code: 'ERR_DDI_BUSY' })
    await assert.rejects(initDisk(loop, { force: true }), { code: 'ERR_DDI_BUSY' })
    await partitionDisk(more, loop, { root: folder.path })
    assert.deepEqual(readdirSync(mounted).sort(), ['lost+found', 'made'])
    assert.equal(run('blockdev', '--getsize64', `${loop}p2`).trim(), String(4 * MiB))
    assert.match(run('sgdisk', '--verify', loop), /No problems found/)
  } finally {
    attempt('umount', mounted)
    run('losetup', '--detach', loop)
  }
})

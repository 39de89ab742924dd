import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSuper } from '../../lib/android/geometry.js'
import { memorySource } from '../../lib/bytes/memory.js'
import { diskOn } from '../../lib/disk/disk.js'
import { superOn } from '../../lib/disk/super.js'
import { imageOn, openDisk, openImage } from '../../lib/index.js'
import { MiB, makeGptImage, typeUuids, writeAt } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { superDisk } from '../support/super.js'

/** What other uses of a disk leave at its beginning, each a place and its bytes: as much as libblkid looks at. */
const superblocks: Readonly<Record<string, readonly (readonly [at: number, bytes: string])[]>> = {
  ocfs2: [[8192, '4f4346535632']],
  gfs2: [[65536, '0116197000000001']],
  udf: [
    [32768, '00424541303101'],
    [34816, '004e5352303201'],
    [36864, '00544541303101'],
  ],
  hfsplus: [
    [1024, '482b0004'],
    [1024 + 40, '00001000'],
    [1024 + 44, '00004000'],
  ],
  minix: [
    [1024, 'ff03ff03030003002000000000000000'],
    [1024 + 16, '7f13'],
  ],
  swap: [[65536 - 10, '53574150535041434532']],
}

test('a backup behind anything that blkid names is a leftover: it is not used, and nothing is written', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 64 * MiB, [{ type: typeUuids.home, size: 8 * MiB, label: 'old' }])
  const sound = readFileSync(path)
  // Header and protective MBR stay, the entries are gone.
  const lost = Buffer.from(sound).fill(0, 1024, 17 * 1024)
  const refused = async (bytes: Buffer, name: string) => {
    writeFileSync(path, bytes)
    assert.match(run('blkid', '--probe', path), / TYPE="/, name)
    const leftover = { code: 'ERR_DDI_GPT_LEFTOVER' }
    await assert.rejects(openDisk(path), leftover, name)
    await assert.rejects(diskOn(recordingTarget(Buffer.from(bytes)), 'memory'), leftover, name)
    for (const image of [await openImage(path), await imageOn(memorySource(bytes), { name: 'memory' })]) {
      assert.deepEqual([image.table.type, image.table.problems.length], ['none', 1], name)
      await image.close()
    }
    assert.ok(readFileSync(path).equals(bytes), name)
  }
  let named = 0
  for (const [name, pieces] of Object.entries(superblocks)) {
    const bytes = Buffer.from(lost)
    for (const [at, hex] of pieces) bytes.write(hex, at, 'hex')
    writeFileSync(path, bytes)
    // What this release of libblkid does not name is nothing for it.
    if (!/ TYPE="/.test(run('blkid', '--probe', path))) continue
    named++
    await refused(bytes, name)
  }
  assert.ok(named >= 3, `${named}`)
  for (const page of [4096, 16384, 65536]) {
    writeFileSync(path, sound)
    run('mkswap', '--pagesize', `${page}`, path)
    await refused(readFileSync(path), `swap, pages of ${page} bytes`)
  }
  writeFileSync(path, lost)
  await using disk = await openDisk(path)
  assert.deepEqual(
    disk.volumes.map(({ label }) => label),
    ['old'],
  )
})

test('a backup behind a super partition is a leftover', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.home, size: MiB }])
  const bytes = readFileSync(path).fill(0, 1024, 17 * 1024)
  bytes.write('67446c61', 4096, 'hex')
  await assert.rejects(diskOn(recordingTarget(bytes), 'memory'), { code: 'ERR_DDI_GPT_LEFTOVER' })
})

test('a super partition that another use of the disk has left is none', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  writeFileSync(path, superDisk(16 * MiB))
  // Keeps all but the end of the first page.
  run('mkswap', path)
  const bytes = readFileSync(path)
  assert.ok(await isSuper(memorySource(bytes)))
  await assert.rejects(superOn(recordingTarget(bytes), path), { message: /holds swap by now/ })
  assert.notEqual(cli('android', 'add', path, 'a').status, 0)
  await using image = await openImage(path)
  assert.equal(image.table.type, 'none')
  assert.ok(readFileSync(path).equals(bytes))
})

test('the backup of a table does not move over what an array has at the end of its member', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  // The array of Linux is smaller than its member, which has a superblock of version 1.0 behind it: md_p.h.
  truncateSync(path, 17 * MiB)
  const superblock = Buffer.alloc(256)
  superblock.writeUInt32LE(0xa92b4efc, 0)
  superblock.writeUInt32LE(1, 4)
  superblock.fill(0xd1, 16, 32)
  superblock.writeUInt32LE(1, 72)
  superblock.writeBigUInt64LE(BigInt((16 * MiB) / 512), 80)
  superblock.writeBigUInt64LE(BigInt((16 * MiB) / 512), 136)
  superblock.writeBigUInt64LE(BigInt((17 * MiB) / 512 - 16), 144)
  const words = Array.from({ length: 64 }, (_, n) => superblock.readUInt32LE(n * 4))
  const sum = words.reduce((total, word) => total + BigInt(word), 0n)
  superblock.writeUInt32LE(Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn), 216)
  writeAt(path, 17 * MiB - 8192, superblock)
  assert.match(run('blkid', '--probe', path), /TYPE="linux_raid_member"/)
  const bytes = readFileSync(path)
  await using disk = await openDisk(path)
  const head = { typeUuid: typeUuids.home, uuid: randomUUID(), label: 'new', attributes: 0n }
  const busy = { code: 'ERR_DDI_BUSY', message: /part of an array \(linux_raid_member\)/ }
  await assert.rejects(disk.create(head, MiB), busy)
  await assert.rejects(disk.create(head, MiB, { from: memorySource(Buffer.alloc(MiB, 1)) }), busy)
  await assert.rejects(disk.check({ repair: true }), busy)
  assert.ok(readFileSync(path).equals(bytes))
})

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { initDisk, openDisk } from '../../lib/index.js'
import { volumeHead } from '../support/gpt.js'
import { emptyFile, MiB, makeFileSystem, makeGptImage, typeUuids, writeAt } from '../support/images.js'
import { cli, packageRoot, run, temporaryFolder } from '../support/run.js'
import { superDisk } from '../support/super.js'

test('a blank disk gets an empty GPT that sgdisk and sfdisk accept', async () => {
  using folder = temporaryFolder()
  const path = emptyFile(join(folder.path, 'disk.raw'), 64 * MiB)
  const uuid = '11111111-2222-4333-8444-555555555555'
  assert.equal(cli('volume', 'init', path, '--uuid', uuid).status, 0)
  assert.match(run('sgdisk', '--verify', path), /No problems found/)
  const { id, partitions = [] } = JSON.parse(run('sfdisk', '--json', path)).partitiontable
  assert.deepEqual([id.toLowerCase(), partitions], [uuid, []])
  await using disk = await openDisk(path)
  assert.deepEqual(await disk.check(), { mended: [], left: [] })
  assert.equal((await disk.create(volumeHead('one'), 60 * MiB)).extents.length, 1)
})

test('a disk that holds anything is refused unless forced, and is not changed', async () => {
  using folder = temporaryFolder()
  const dos = emptyFile(join(folder.path, 'dos.raw'), 8 * MiB)
  run('sh', '-c', `echo ',2M' | sfdisk --quiet --label dos ${dos}`)
  const gpt = join(folder.path, 'gpt.raw')
  makeGptImage(gpt, 8 * MiB, [{ type: typeUuids.home, size: MiB }])
  const leftover = join(folder.path, 'leftover.raw')
  writeFileSync(leftover, readFileSync(gpt).fill(0, 0, MiB))
  const fileSystem = makeFileSystem(folder.path, 'ext4')
  // libblkid knows none of these.
  const superPartition = join(folder.path, 'super.img')
  writeFileSync(superPartition, superDisk(8 * MiB))
  const packed = emptyFile(join(folder.path, 'packed.xz'), 4 * MiB)
  writeAt(packed, 0, Buffer.from('fd377a585a00', 'hex'))
  const tar = join(folder.path, 'docs.tar')
  run('tar', '--create', `--file=${tar}`, '--record-size=2M', `--directory=${packageRoot}`, 'docs')
  const ending = emptyFile(join(folder.path, 'ending'), 8 * MiB)
  writeAt(ending, 8 * MiB - 1, Uint8Array.of(1))
  for (const path of [dos, gpt, leftover, fileSystem, superPartition, packed, tar, ending]) {
    const before = readFileSync(path)
    await assert.rejects(initDisk(path), { code: 'ERR_DDI_EXISTS', message: /holds data/ })
    assert.ok(readFileSync(path).equals(before))
    await using disk = await initDisk(path, { force: true })
    assert.deepEqual([disk.volumes, await disk.check()], [[], { mended: [], left: [] }])
    assert.match(run('blkid', '--probe', path), /PTTYPE="gpt"/)
    assert.doesNotMatch(run('blkid', '--probe', path), / TYPE=/)
  }
  await assert.rejects(initDisk(emptyFile(join(folder.path, 'small'), MiB)), { code: 'ERR_DDI_USAGE' })
})

test('a backup that another use of the disk has left is put back only by its own word, and over a file system by force', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 64 * MiB, [{ type: typeUuids.home, size: MiB, label: 'old' }])
  const sound = readFileSync(path)
  const lost = Buffer.from(sound).fill(0, 0, MiB)
  writeFileSync(path, lost)
  await assert.rejects(openDisk(path), { code: 'ERR_DDI_GPT_LEFTOVER' })
  const inspected = cli('inspect', path)
  assert.match(inspected.stderr, /a GPT does not count.*--table=backup/s)
  const shown = cli('volume', 'check', path, '--table', 'backup')
  assert.equal(shown.status, 3)
  assert.ok(readFileSync(path).equals(lost))
  assert.equal(cli('volume', 'check', path, '--table', 'backup', '--repair').status, 0)
  assert.match(run('sgdisk', '--verify', path), /No problems found/)
  assert.ok(readFileSync(path).subarray(512).equals(sound.subarray(512)))

  run('mksquashfs', join(packageRoot, 'docs'), join(folder.path, 'squashfs'), '-quiet', '-noappend')
  const squashfs = readFileSync(join(folder.path, 'squashfs'))
  squashfs.copy(lost)
  writeFileSync(path, lost)
  // What it is now counts, and what is left over is said.
  const { volumes, table } = JSON.parse(cli('inspect', path, '--json=short').stdout)
  assert.deepEqual([volumes.length, table.type, table.problems.length], [1, 'none', 1])
  for (const [bytes, what] of [
    [lost, /squashfs exists where the primary table goes/],
    [Buffer.from(sound).fill(0, 512, MiB).fill(0x83, 450, 451), /dos exists where/],
  ] as const) {
    writeFileSync(path, bytes)
    const refused = cli('volume', 'check', path, '--table', 'backup', '--repair')
    assert.equal(refused.status, 2, refused.stderr)
    assert.match(refused.stderr, what)
    assert.match(cli('volume', 'check', path, '--table', 'backup').stdout, what)
    const unforced = cli('volume', 'check', path, '--repair')
    assert.deepEqual([unforced.status, /ERR_DDI_GPT_LEFTOVER/.test(unforced.stderr)], [3, true])
    assert.ok(readFileSync(path).equals(bytes))
    const forced = cli('volume', 'check', path, '--table', 'backup', '--repair', '--force')
    assert.equal(forced.status, 0, forced.stdout + forced.stderr)
    assert.match(run('sgdisk', '--verify', path), /No problems found/)
  }
})

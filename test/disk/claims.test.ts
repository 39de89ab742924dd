import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import { claimOfFileSystem } from '../../lib/disk/claimed-size.js'
import { diskOn } from '../../lib/disk/disk.js'
import { superOn } from '../../lib/disk/super.js'
import { emptyDisk, volumeHead } from '../support/gpt.js'
import { emptyFile, formatVerity, MiB, makeFileSystem, makeGptImage, typeUuids, writeAt } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { superDisk } from '../support/super.js'

test('a volume is not cut below what is in it, unless forced', async () => {
  using folder = temporaryFolder()
  const formats: Record<string, (path: string) => void> = {
    ext4: (path) => run('mkfs.ext4', '-q', path),
    erofs: (path) => writeFileSync(path, readFileSync(makeFileSystem(folder.path, 'erofs'))),
    squashfs: (path) => {
      writeFileSync(join(folder.path, 'tree/random'), randomBytes(MiB))
      writeFileSync(path, readFileSync(makeFileSystem(folder.path, 'squashfs')))
    },
    verity: (path) => void formatVerity(emptyFile(join(folder.path, 'data'), 64 * MiB), path),
  }
  for (const [name, format] of Object.entries(formats)) {
    const path = emptyFile(join(folder.path, name), 8 * MiB)
    format(path)
    const data = readFileSync(path)
    const size = Math.ceil(data.length / 4096) * 4096
    const disk = await diskOn(recordingTarget(emptyDisk(24)), 'memory')
    await disk.create(volumeHead(name), size, { from: memorySource(data) })
    await assert.rejects(disk.shrink(disk.find(name), 4096), { code: 'ERR_DDI_SHRINK_REFUSED' }, name)
    await disk.grow(disk.find(name), MiB)
    // What was never the file system's may go.
    assert.equal((await disk.shrink(disk.find(name), MiB)).size, size)
    await disk.grow(disk.find(name), MiB)
    assert.equal((await disk.shrink(disk.find(name), MiB + 4096, { force: true })).size, size - 4096)
  }
})

test('a volume that ends within a superblock holds no such file system', async () => {
  const magics = [
    [0, 'XFSB'],
    [0, 'hsqs'],
    [1024 + 56, '\x53\xef'],
    [1024, '\xe2\xe1\xf5\xe0'],
    [65536 + 64, '_BHRfS_M'],
  ] as const
  for (const [at, magic] of magics)
    for (const more of [0, 1, 30, 60, 100, 460, 1000, 4000]) {
      const bytes = Buffer.alloc(at + magic.length + more, 0xff)
      bytes.write(magic, at, 'latin1')
      const { size = 0 } = (await claimOfFileSystem(memorySource(bytes))) ?? {}
      assert.equal(typeof size, 'number', `${magic} and ${more} bytes`)
    }
})

test('of what is known to be in a volume, but not how far it reaches, nothing is cut', async () => {
  using folder = temporaryFolder()
  const formats: Record<string, (path: string) => void> = {
    vfat: (path) => run('mkfs.vfat', path),
    swap: (path) => run('mkswap', path),
    crypto_LUKS: (path) => {
      const key = join(folder.path, 'key')
      writeFileSync(key, 'key')
      run('cryptsetup', 'luksFormat', '-q', '--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000', path, key)
    },
    'a super partition': (path) => writeFileSync(path, superDisk(20 * MiB).fill(0xff, 3 * 4096, 512 * 1024)),
    'a damaged GPT': (path) => {
      makeGptImage(path, 20 * MiB, [])
      writeAt(path, 600, Uint8Array.of(1))
      writeAt(path, 20 * MiB - 424, Uint8Array.of(1))
    },
  }
  for (const [name, format] of Object.entries(formats)) {
    const path = emptyFile(join(folder.path, 'volume'), 20 * MiB)
    format(path)
    const disk = await diskOn(recordingTarget(emptyDisk(24)), 'memory')
    await disk.create(volumeHead(name), 20 * MiB, { from: memorySource(readFileSync(path)) })
    await assert.rejects(
      disk.shrink(disk.find(name), 4096),
      { code: 'ERR_DDI_SHRINK_REFUSED', message: new RegExp(`holds ${name}, and where that ends is not known`) },
      name,
    )
    assert.equal((await disk.shrink(disk.find(name), 4096, { force: true })).size, 20 * MiB - 4096)
  }
})

test('a table or hash tree within a volume is not cut', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'volume')
  const formats: Record<string, () => void> = {
    'a super partition': () => writeFileSync(path, superDisk(8 * MiB)),
    'a GPT': () => void makeGptImage(path, 8 * MiB, [{ type: typeUuids.home, size: MiB }]),
    'a hash tree': () => {
      writeFileSync(path, readFileSync(makeFileSystem(folder.path, 'erofs')))
      assert.equal(cli('verity', 'format', path, '--append').status, 0)
    },
  }
  for (const [name, format] of Object.entries(formats)) {
    format()
    const data = readFileSync(path)
    for (const target of [recordingTarget(emptyDisk(24)), recordingTarget(superDisk(24 * MiB))]) {
      const from = memorySource(data)
      const volumes = target.bytes.includes('EFI PART')
        ? await diskOn(target, 'memory')
        : await superOn(target, 'memory')
      const volume =
        volumes.format === 'gpt'
          ? await volumes.create(volumeHead('one'), data.length + MiB, { from })
          : await volumes.create({ label: 'one' }, data.length + MiB, { from })
      const whole = await volumes.shrink(volume, MiB)
      await assert.rejects(
        volumes.shrink(whole, 4096),
        { code: 'ERR_DDI_SHRINK_REFUSED', message: new RegExp(`holds ${name}, and that claims ${data.length}`) },
        name,
      )
    }
  }
})

test('what a hash volume covers of a volume is not cut', async () => {
  using folder = temporaryFolder()
  const data = emptyFile(join(folder.path, 'data'), 8 * MiB)
  run('mkfs.ext4', '-q', data, '4M')
  formatVerity(data, join(folder.path, 'hash'))
  const disk = await diskOn(recordingTarget(emptyDisk(24)), 'memory')
  const root = await disk.create(volumeHead('root', { typeUuid: typeUuids.root }), 9 * MiB, {
    from: memorySource(readFileSync(data)),
  })
  const hash = readFileSync(join(folder.path, 'hash'))
  const head = volumeHead('hash', { typeUuid: typeUuids.rootVerity })
  const verity = await disk.create(head, hash.length, { from: memorySource(hash) })
  const covered = await disk.shrink(root, MiB)
  const refused = { code: 'ERR_DDI_SHRINK_REFUSED', message: /a hash volume covers, and that claims 8388608/ }
  await assert.rejects(disk.shrink(covered, 4096), refused)
  await disk.remove(verity)
  assert.equal((await disk.shrink(covered, 4096)).size, 8 * MiB - 4096)
})

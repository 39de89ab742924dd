import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import { claimedSize } from '../../lib/disk/claimed-size.js'
import { diskOn } from '../../lib/disk/disk.js'
import { emptyDisk, volumeHead } from '../support/gpt.js'
import { emptyFile, formatVerity, MiB, makeFileSystem } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { run, temporaryFolder } from '../support/run.js'

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
      assert.equal(typeof (await claimedSize(memorySource(bytes))), 'number', `${magic} and ${more} bytes`)
    }
})

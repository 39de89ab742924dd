// Disks with an MBR and no GPT: sfdisk makes them, libblkid, sfdisk and systemd-dissect say what is on them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { memorySource } from '../../lib/bytes/memory.js'
import { readMbr } from '../../lib/gpt/mbr-partitions.js'
import { dissect, imageOn, openImage } from '../../lib/index.js'
import { emptyFile, MiB, makeFileSystem, writeAt } from '../support/images.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

function makeMbr(path: string, script: string): string {
  emptyFile(path, 16 * MiB)
  run('sh', '-euc', 'printf "$2" | sfdisk -q --no-reread --no-tell-kernel "$1"', 'sh', path, script)
  return path
}

async function rootOf(path: string) {
  await using image = await openImage(path)
  const { roles, volumes } = await dissect(image)
  const root = roles.get('root')
  return { type: image.table.type, count: volumes.length, root: root?.uuid, fileSystem: root?.fileSystem?.type }
}

test('partitions are those that sfdisk and blkid see, logical ones too', async () => {
  using folder = temporaryFolder()
  const script = [
    'label: dos',
    'label-id: 0x0badcafe',
    'start=2048,size=2048,type=83',
    'start=4096,size=20480,type=5',
    'start=6144,size=2048,type=83',
    'start=10240,size=2048,type=ea',
    'start=14336,size=1024,type=82',
    'start=26624,size=2048,type=ef,bootable',
  ].join('\\n')
  const path = makeMbr(join(folder.path, 'disk.raw'), script)
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', path)) as {
    partitiontable: { partitions: { node: string; start: number; size: number; type: string; bootable?: boolean }[] }
  }
  const theirs = partitiontable.partitions
    .filter(({ type }) => type !== '5')
    .map(({ node, start, size, type, bootable = false }) => ({
      number: Number(/\d+$/.exec(node)?.[0]),
      type: Number.parseInt(type, 16),
      active: bootable,
      start: start * 512,
      length: size * 512,
    }))
  const disk = memorySource(readFileSync(path))
  const mbr = await readMbr(disk)
  const inOrder = [...(mbr?.partitions ?? [])].sort((one, other) => one.number - other.number)
  assert.deepEqual([mbr?.id, inOrder], ['0badcafe', theirs])
  await using image = await openImage(path)
  const uuids = image.volumes.map(({ uuid }) => uuid)
  assert.deepEqual(uuids.toSorted(), ['0badcafe-01', '0badcafe-03', '0badcafe-05', '0badcafe-06', '0badcafe-07'])
})

test('a table without partitions is one, as blkid says', async () => {
  using folder = temporaryFolder()
  const path = makeMbr(join(folder.path, 'disk.raw'), 'label: dos\\nlabel-id: 0x0badcafe\\n')
  assert.match(run('blkid', '-p', path), /PTUUID="0badcafe" PTTYPE="dos"/)
  await using image = await openImage(path)
  assert.deepEqual([image.table.type, image.table.uuid, image.volumes], ['mbr', '0badcafe', []])
})

test('what protects a GPT that is gone is no table', async () => {
  using folder = temporaryFolder()
  const path = makeMbr(join(folder.path, 'disk.raw'), 'label: dos\\nstart=1,size=32767,type=ee')
  assert.match(run('blkid', '-p', path), /PTTYPE="PMBR"/)
  await using image = await openImage(path)
  assert.equal(image.table.type, 'none')
})

test('the only Linux partition is the root, or the active one of several', {
  skip: process.getuid?.() === 0 ? false : 'systemd-dissect needs root',
}, async () => {
  using folder = temporaryFolder()
  const data = readFileSync(makeFileSystem(folder.path, 'erofs'))
  const path = makeMbr(join(folder.path, 'one.raw'), 'label: dos\\nstart=2048,size=8192,type=83,bootable')
  writeAt(path, MiB, data)
  const id = run('blkid', '-p', '-o', 'value', '-s', 'PTUUID', path).trim()
  assert.deepEqual(await rootOf(path), { type: 'mbr', count: 1, root: `${id}-01`, fileSystem: 'erofs' })
  assert.match(attempt('systemd-dissect', '--no-pager', path).stdout, /root .* erofs/)
  const two = 'label: dos\\nlabel-id: 0x00000001\\nstart=2048,size=4096,type=83\\nstart=8192,size=8192,type=83'
  assert.equal((await rootOf(makeMbr(path, two))).root, undefined)
  writeAt(makeMbr(path, `${two},bootable`), 4 * MiB, data)
  assert.deepEqual(await rootOf(path), { type: 'mbr', count: 2, root: '00000001-02', fileSystem: 'erofs' })
  // A FAT has the signature of an MBR too, and is none.
  emptyFile(path, 4 * MiB)
  run('mkfs.vfat', path)
  assert.equal((await rootOf(path)).type, 'none')
})

test('a table that lies, or that ends nowhere, is refused or read within bounds', async () => {
  using folder = temporaryFolder()
  const path = makeMbr(join(folder.path, 'cut.raw'), 'label: dos\\nstart=2048,size=8192,type=83')
  const bytes = readFileSync(path)
  await assert.rejects(imageOn(memorySource(bytes.subarray(0, 2 * MiB)), { name: 'cut' }), {
    code: 'ERR_DDI_SHORT_READ',
  })
  // An extended partition whose chain leads to itself.
  const loop = Buffer.alloc(MiB)
  loop.writeUInt16LE(0xaa55, 510)
  loop[446 + 4] = 5
  loop.writeUInt32LE(1, 446 + 8)
  loop.writeUInt32LE(100, 446 + 12)
  loop.copy(loop, 512, 0, 512)
  loop[512 + 446 + 4] = 0x83
  loop[512 + 462 + 4] = 5
  loop.writeUInt32LE(100, 512 + 462 + 12)
  assert.equal((await readMbr(memorySource(loop)))?.partitions.length, 60)
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 66, maxLength: 66 }), async (table) => {
      const disk = Buffer.alloc(8192)
      for (let at = 0; at < disk.length; at += 512) {
        disk.set(table, at + 444)
        for (const record of [446, 462, 478, 494]) disk[at + record]! &= 0x80
        disk.writeUInt16LE(0xaa55, at + 510)
      }
      const mbr = await readMbr(memorySource(disk))
      assert.ok((mbr?.partitions.length ?? 0) <= 64)
    }),
  )
})

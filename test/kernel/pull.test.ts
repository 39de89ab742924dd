// Images pulled directly into free space of a disk, with a real device-mapper.
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { memorySource } from '../../lib/android/index.js'
import { readDisk } from '../../lib/disk/contents.js'
import { readGpt } from '../../lib/gpt/index.js'
import { attach, detach, list, pull, pullAtBoot, requireWhole } from '../../lib/index.js'
import { makeFragmentedDisk } from '../support/fragments.js'
import { MiB, makeVerityImage } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { serve } from '../support/server.js'
import { record } from './recorded.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

test('pulled into a fragmented disk, chained, and attached by its root hash', async () => {
  using folder = temporaryFolder()
  const image = makeVerityImage(folder.path)
  run('xz', '--keep', image.path)
  const disk = join(folder.path, 'disk.raw')
  makeFragmentedDisk(disk)
  run('ip', 'link', 'set', 'lo', 'up')
  await using server = await serve({ '/image.raw.xz': { bytes: readFileSync(`${image.path}.xz`) } })
  const { rootHash } = image
  const target = { kind: 'volume', disk, label: 'os_1', rootHash } as const
  const { volume } = await pull(`${server.url}/image.raw.xz`, target, { verify: 'no' })
  assert.ok(volume!.extents.length > 3)
  await using attachment = await attach(disk, { name: 'pulled', rootHash })
  const root = attachment.volumes.find(({ designator }) => designator === 'root')!
  const expected = readFileSync(image.path).subarray(image.dataStart, image.dataStart + image.dataSize)
  assert.ok(readFileSync(root.device).subarray(0, expected.length).equals(expected))
  assert.match(dmTable('ddi-pulled-root'), /verity/)
})

test('a block device requested on the kernel command line is attached', async () => {
  using folder = temporaryFolder()
  const image = makeVerityImage(folder.path)
  const commandLine = join(folder.path, 'cmdline')
  const line = `quiet rd.systemd.pull=raw,machine,verify=no,blockdev:booted:file://${image.path}`
  writeFileSync(commandLine, `${line} roothash=${image.rootHash}\n`)
  run('mount', '--bind', commandLine, '/proc/cmdline')
  try {
    const [first, second] = [
      await pullAtBoot({ initrd: true }),
      await detach('booted').then(() => pullAtBoot({ initrd: true })),
    ]
    assert.deepEqual(
      [...first, ...second].map(({ state }) => state),
      ['pulled', 'present'],
    )
    assert.match(dmTable('ddi-booted-root'), /verity/)
    const device = (await list()).find(({ name }) => name === 'booted')!.volumes[0]!.device
    const expected = readFileSync(image.path).subarray(image.dataStart, image.dataStart + image.dataSize)
    assert.ok(readFileSync(device).subarray(0, expected.length).equals(expected))
    assert.ok(readFileSync('/run/machines/booted.raw').equals(readFileSync(image.path)))
    await detach('booted')
  } finally {
    run('umount', '/proc/cmdline')
    rmSync('/run/machines/booted.raw', { force: true })
  }
})

test('after every write that the kernel saw, the disk is as before or has the complete volume', async () => {
  using folder = temporaryFolder()
  const image = makeVerityImage(folder.path)
  const disk = join(folder.path, 'disk.raw')
  makeFragmentedDisk(disk)
  const content = readFileSync(image.path)
  const before = readFileSync(disk)
  const partitions = async (bytes: Buffer) =>
    JSON.stringify((await readGpt(memorySource(bytes))).table.partitions.map(({ uuid, start }) => [uuid, start]))
  const old = await partitions(before)
  const recorded = record(disk, folder.path)
  let writes: ReturnType<typeof recorded.stop> = []
  try {
    const target = { kind: 'volume', disk: recorded.device, label: 'os_1', rootHash: image.rootHash } as const
    await pull(`file://${image.path}`, target, { verify: 'no' })
    run('sync', recorded.device)
  } finally {
    writes = recorded.stop()
  }
  let named = 0
  for (const { offset, bytes } of writes) {
    before.set(bytes, offset)
    if ((await partitions(before)) === old) continue
    named++
    const volume = requireWhole((await readDisk(memorySource(before))).volumes.find(({ label }) => label === 'os_1')!)
    const there = Buffer.concat(volume.extents.map(({ start, length }) => before.subarray(start, start + length)))
    assert.ok(there.equals(content), `after a write at ${offset}`)
  }
  assert.ok(named > 0 && writes.length > named + content.length / MiB / 4)
})

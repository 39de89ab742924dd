// Volumes that grow while they are mounted and written.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { attach, list, openDisk } from '../../lib/index.js'
import { formatVerity, MiB, makeFileSystem, makeGptImage, typeUuids, uuidsOf } from '../support/images.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

const device = '/dev/mapper/ddi-online-home'

/** The volume, mounted for the length of a scope. */
function mountedAt(path: string, ...options: string[]): { readonly path: string } & Disposable {
  run('mount', ...options, device, path)
  return { path, [Symbol.dispose]: () => void run('umount', path) }
}

test('an ext4 volume under a verifying writer grows from 1 to 4 segments, and shrinks back when detached', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 128 * MiB, [{ type: typeUuids.home, size: 16 * MiB, label: 'home' }])
  const mounted = join(folder.path, 'mounted')
  mkdirSync(mounted)
  {
    await using _attachment = await attach(path, { name: 'online', writable: true })
    run('mkfs.ext4', '-q', device)
    run('mount', device, mounted)
    try {
      const job = ['--name=writer', `--directory=${mounted}`, '--rw=randwrite', '--bs=4k', '--size=4m', '--loops=20']
      // fio leaves the state of its verification in the working directory.
      const writer = spawn('fio', [...job, '--verify=crc32c', '--verify_fatal=1', '--ioengine=sync'], {
        stdio: 'ignore',
        cwd: folder.path,
      })
      const ended = once(writer, 'exit')
      for (let segments = 2; segments <= 4; segments++) {
        await using disk = await openDisk(path)
        // A wall behind the last segment: what follows has to be an extension.
        await disk.create(
          { typeUuid: typeUuids.linuxGeneric, uuid: crypto.randomUUID(), label: '', attributes: 0n },
          MiB,
        )
        const { extents } = await disk.grow(disk.find('home'), 8 * MiB)
        assert.equal(extents.length, segments)
        assert.equal(dmTable('ddi-online-home').split('\n').length, segments)
        run('resize2fs', device)
        // In use, it is neither cut, moved nor removed.
        const used = { code: 'ERR_DDI_BUSY' }
        await assert.rejects(disk.shrink(disk.find('home'), MiB, { force: true }), used)
        await assert.rejects(disk.remove(disk.find('home')), used)
        await assert.rejects(disk.defragment(), used)
      }
      assert.equal(run('blockdev', '--getsize64', device).trim(), String(40 * MiB))
      assert.deepEqual(await ended, [0, null])
    } finally {
      run('umount', mounted)
    }
    assert.equal(attempt('e2fsck', '-fn', device).status, 0)
    // resize2fs wants a full check after the last mount, whatever the one that changes nothing has found.
    run('e2fsck', '-fp', device)
    run('resize2fs', device, '16M')
  }
  {
    await using disk = await openDisk(path)
    await assert.rejects(disk.shrink(disk.find('home'), 25 * MiB), { code: 'ERR_DDI_SHRINK_REFUSED' })
    assert.equal((await disk.shrink(disk.find('home'), 24 * MiB)).extents.length, 1)
  }
  await using _attachment = await attach(path, { name: 'online' })
  assert.equal(attempt('e2fsck', '-fn', device).status, 0)
})

test('grow --resize-fs: xfs and ext4 fill the volume, and what cannot is told', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 512 * MiB, [{ type: typeUuids.home, size: 320 * MiB, label: 'home' }])
  const grow = () => cli('volume', 'grow', path, 'home', '--size=32M', '--resize-fs')
  assert.match(grow().stderr, /ERR_DDI_NOT_ATTACHED/)
  const mounted = join(folder.path, 'mounted')
  mkdirSync(mounted)
  const blocks = () => Number(run('stat', '--file-system', '--format=%b', mounted)) * 4096
  await using _attachment = await attach(path, { name: 'online', writable: true })
  assert.match(grow().stderr, /holds nothing, which cannot grow \(ERR_DDI_USAGE/)
  for (const type of ['ext4', 'xfs']) {
    run(`mkfs.${type}`, '-q', type === 'xfs' ? '-f' : '-F', device)
    if (type === 'xfs') assert.match(grow().stderr, /grows only while it is mounted/)
    using mount = mountedAt(mounted)
    const before = blocks()
    const { status, stderr } = grow()
    assert.equal(status, 0, stderr)
    assert.ok(blocks() > before + 16 * MiB, `${type} on ${mount.path}`)
  }
  // A mount that its tool refuses to touch; the refusals before have taken no space.
  using _mount = mountedAt(mounted, '-o', 'ro')
  assert.match(grow().stderr, /ERR_DDI_TOOL/)
})

test('a block device: its attached volume grows, and the kernel’s partitions follow the table', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 64 * MiB, [{ type: typeUuids.home, size: 8 * MiB, label: 'home' }])
  const disk = run('losetup', '--find', '--show', '--partscan', path).trim()
  const partitions = () =>
    run('lsblk', '--noheadings', '--raw', '--bytes', '--output', 'NAME,SIZE,TYPE', disk)
      .split('\n')
      .filter((line) => line.endsWith(' part'))
      .map((line) => Number(line.split(' ')[1]))
  try {
    await using attachment = await attach(disk, { name: 'online', writable: true })
    {
      await using opened = await openDisk(disk)
      await opened.create(
        { typeUuid: typeUuids.linuxGeneric, uuid: crypto.randomUUID(), label: 'wall', attributes: 0n },
        MiB,
      )
      await opened.grow(opened.find('home'), 8 * MiB)
      assert.equal(run('blockdev', '--getsize64', attachment.volumes[0]!.device).trim(), String(16 * MiB))
      assert.deepEqual(partitions(), [8 * MiB, MiB, 8 * MiB])
      await opened.grow(opened.find('wall'), 2 * MiB)
      assert.deepEqual(partitions().sort(), [8 * MiB, MiB, 8 * MiB, 2 * MiB].sort())
      await opened.remove(opened.find('wall'))
      assert.deepEqual(partitions(), [8 * MiB, 8 * MiB])
      await assert.rejects(opened.remove(opened.find('home')), { code: 'ERR_DDI_BUSY' })
    }
    await attachment.detach()
    run('mkfs.ext4', '-q', `${disk}p1`)
    const mounted = join(folder.path, 'mounted')
    mkdirSync(mounted)
    run('mount', `${disk}p1`, mounted)
    {
      await using opened = await openDisk(disk)
      await assert.rejects(opened.remove(opened.find('home')), { code: 'ERR_DDI_BUSY', message: /p1, a partition of/ })
      await opened.create(
        { typeUuid: typeUuids.linuxGeneric, uuid: crypto.randomUUID(), label: 'beside', attributes: 0n },
        MiB,
      )
      await opened.remove(opened.find('beside'))
    }
    run('umount', mounted)
  } finally {
    run('losetup', '--detach', disk)
  }
})

test('what is attached of a shared disk leaves its partitions to be mounted, and both are known to whoever changes the disk', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 64 * MiB, [
    { type: typeUuids.root, size: 8 * MiB, label: 'system' },
    { type: typeUuids.home, size: 8 * MiB, label: 'home' },
  ])
  const disk = run('losetup', '--find', '--show', '--partscan', path).trim()
  const mounted = join(folder.path, 'mounted')
  mkdirSync(mounted)
  try {
    run('mkfs.ext4', '-q', `${disk}p2`)
    const options = { name: 'shared', volumes: ['system'], writable: true }
    {
      await using _ = await attach(disk, options)
      assert.match(attempt('mount', `${disk}p2`, mounted).stderr, /busy/)
    }
    await using attachment = await attach(disk, { ...options, shareDisk: true })
    await using _ = { [Symbol.asyncDispose]: async () => void attempt('umount', mounted) }
    assert.deepEqual(
      (await list()).map(({ name, image }) => [name, image]),
      [['shared', disk]],
    )
    run('mount', `${disk}p2`, mounted)
    await using opened = await openDisk(disk)
    for (const name of ['system', 'home'])
      await assert.rejects(opened.remove(opened.find(name)), { code: 'ERR_DDI_BUSY' }, name)
    await opened.rename(opened.find('home'), { label: 'house' })
    // Its bytes are known to be those of the disk, whoever attaches them.
    await assert.rejects(attach(disk, { ...options, name: 'other', shareDisk: true }), {
      code: 'ERR_DDI_BUSY',
      message: /shared/,
    })
    run('umount', mounted)
    await attachment.detach()
    assert.deepEqual(await list(), [])
  } finally {
    run('losetup', '--detach', disk)
  }
})

test('what someone else’s loop devices offer of a disk or its partitions is not removed, and all else is', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(
    path,
    16 * MiB,
    ['partition', 'offset', 'other'].map((label) => ({ type: typeUuids.home, size: MiB, label })),
  )
  const disk = run('losetup', '--find', '--show', '--partscan', path).trim()
  const over = (...args: string[]) => run('losetup', '--find', '--show', ...args).trim()
  const loops: string[] = []
  try {
    await using opened = await openDisk(disk)
    loops.push(over(`${disk}p1`))
    const { extents } = opened.find('offset')
    loops.push(over(`--offset=${extents[0]!.start + 4096}`, '--sizelimit=4096', disk))
    for (const [n, label] of ['partition', 'offset'].entries())
      await assert.rejects(opened.remove(opened.find(label)), { code: 'ERR_DDI_BUSY', message: new RegExp(loops[n]!) })
    await opened.remove(opened.find('other'))
    assert.match(run('sfdisk', '--dump', disk), /partition.*\n.*offset.*\n$/)
  } finally {
    for (const loop of [...loops, disk]) run('losetup', '--detach', loop)
  }
})

test('a disk under someone else’s loop device is not changed', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [])
  const loop = run('losetup', '--find', '--show', path).trim()
  try {
    await assert.rejects(openDisk(path), { code: 'ERR_DDI_BUSY', message: new RegExp(loop) })
  } finally {
    run('losetup', '--detach', loop)
  }
})

test('a volume is not in use for where a hash tree beside the disk lies in its own file', async () => {
  using folder = temporaryFolder()
  const data = makeFileSystem(folder.path, 'erofs')
  const path = join(folder.path, 'disk.raw')
  const { rootHash, hashPath } = formatVerity(data, join(folder.path, 'disk.verity'))
  const { size } = statSync(data)
  makeGptImage(path, 32 * MiB, [
    { type: typeUuids.root, size, uuid: uuidsOf(rootHash).data, label: 'root', from: data },
    { type: typeUuids.home, size: MiB, label: 'home' },
  ])
  // As long as the disk: it has bytes wherever the disk has volumes.
  truncateSync(hashPath, 32 * MiB)
  await using _attachment = await attach(path, { rootHash, name: 'beside', volumes: ['root'] })
  await using disk = await openDisk(path)
  await assert.rejects(disk.remove(disk.find('root')), { code: 'ERR_DDI_BUSY' })
  await disk.remove(disk.find('home'))
})

import assert from 'node:assert/strict'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { extentSource } from '../../lib/bytes/extents.js'
import {
  activate,
  attach,
  type DissectOptions,
  detach,
  dissect,
  type ErrorCode,
  imageOn,
  list,
  openImage,
  plan,
} from '../../lib/index.js'
import { attachLoop, configureInSteps } from '../../lib/kernel/loop.js'
import {
  copyOf,
  emptyFile,
  flipBit,
  formatVerity,
  MiB,
  makeFileSystem,
  makeGptImage,
  makeVerityImage,
  typeUuids,
} from '../support/images.js'
import { attempt, cli, cliAsNobody, cliPath, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

/** Mounts a device read-only for the length of a scope. */
function mounted(folder: string, device: string): { readonly path: string } & Disposable {
  const path = join(folder, 'mounted')
  mkdirSync(path, { recursive: true })
  run('mount', '-o', 'ro', device, path)
  return { path, [Symbol.dispose]: () => void run('umount', path) }
}

/** The blocks of a device that cannot be read, by reading each past the page cache of its neighbours. */
function unreadableBlocks(device: string, blocks: number): number[] {
  run('sh', '-c', 'echo 3 > /proc/sys/vm/drop_caches')
  run('blockdev', '--setra', '0', device)
  const fd = openSync(device, 'r')
  try {
    return Array.from({ length: blocks }, (_, block) => block).filter((block) => {
      try {
        return readSync(fd, Buffer.alloc(4096), 0, 4096, block * 4096) !== 4096
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EIO')
        return true
      }
    })
  } finally {
    closeSync(fd)
  }
}

/** The same two devices under veritysetup have byte for byte the same table as the root of an attachment, which is gone then. */
function assertLikeVeritysetup(name: string, rootHash: string, ...options: string[]): void {
  const ours = dmTable(`ddi-${name}-root`)
  run('dmsetup', 'remove', `ddi-${name}-root`)
  // dmsetup leaves to udev what it did not make itself.
  rmSync(`/dev/mapper/ddi-${name}-root`, { force: true })
  const under = (part: string) => `/dev/mapper/ddi-${name}-root-${part}`
  run('veritysetup', 'open', ...options, under('data'), 'theirs', under('verity'), rootHash)
  assert.equal(dmTable('theirs'), ours)
  run('veritysetup', 'close', 'theirs')
}

for (const onCorruption of ['restart', 'panic'] as const)
  test(`what the kernel does of corruption is as veritysetup has it: ${onCorruption}`, async () => {
    using folder = temporaryFolder()
    const { path, rootHash } = makeVerityImage(folder.path)
    await using _ = await attach(path, { rootHash, name: onCorruption, onCorruption })
    assertLikeVeritysetup(onCorruption, rootHash, `--${onCorruption}-on-corruption`)
  })

for (const kind of ['erofs', 'squashfs', 'ext4'] as const) {
  test(`${kind}: attached, verified, mounted; the table is veritysetup’s to the byte`, async () => {
    using folder = temporaryFolder()
    const { path, rootHash } = makeVerityImage(folder.path, kind)
    {
      await using attachment = await attach(path, { rootHash, name: 'one' })
      const [volume] = attachment.volumes
      assert.equal(volume?.device, '/dev/mapper/ddi-one-root')
      assert.equal(volume?.verified, true)
      {
        using mount = mounted(folder.path, volume.device)
        assert.equal(readFileSync(join(mount.path, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
        assert.equal(readFileSync(join(mount.path, 'large')).length, MiB)
        await assert.rejects(attachment.detach(), { code: 'ERR_DDI_BUSY', message: /mounted on/ })
      }
      assert.match(attempt('veritysetup', 'status', 'ddi-one-root').stdout, /is active/)
      assert.match(run('dmsetup', 'status', 'ddi-one-root'), / verity V$/m)
      assert.match(
        run('dmsetup', 'info', '-c', '-o', 'uuid', '--noheadings', 'ddi-one-root'),
        /^DDI-verity:volume:root:one/,
      )
      assertLikeVeritysetup('one', rootHash)
      assert.deepEqual(
        (await list()).map(({ name, state }) => ({ name, state })),
        [{ name: 'one', state: 'partial' }],
      )
    }
  })
}

test('a verified volume attached by its label is the only one that is listed', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  await using attachment = await attach(path, { rootHash, name: 'chosen', volumes: ['os_1'] })
  const [listed] = await list()
  const { device } = attachment.volumes[0]!
  assert.deepEqual(listed?.volumes, [{ designator: 'os_1', device, verified: true }])
  assert.equal(listed.state, 'active')
  assert.equal(listed.devices.length, 4)
  // Without the device on top, what stood under it is left of a killed attachment.
  run('dmsetup', 'remove', 'ddi-chosen-os_1')
  rmSync(device, { force: true })
  const [left] = await list()
  assert.deepEqual([left?.state, left?.volumes], ['partial', []])
})

test('one flipped byte is an error for its block and only for it, and verify names the block', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart, dataSize } = makeVerityImage(folder.path)
  flipBit(path, dataStart + 7 * 4096 + 1234)
  await using attachment = await attach(path, { rootHash })
  assert.deepEqual(unreadableBlocks(attachment.volumes[0]!.device, dataSize / 4096), [7])
  const { status, stdout } = cli('verify', path, '--root-hash', rootHash)
  assert.equal(status, 3)
  assert.match(stdout, /^root: data block 7$/m)
})

test('inspect, plan, attach, list, detach: the command line on a real device-mapper', () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  writeFileSync(join(folder.path, 'image.roothash'), rootHash)
  const json = (...args: string[]) => {
    const { status, stdout, stderr } = cli(...args, '--json=short')
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout)
  }
  const planned = json('plan', path)
  assert.equal(run('dmsetup', 'ls').trim(), 'No devices found')
  const attached = json(path)
  assert.deepEqual(attached.volumes, planned.volumes)
  const [listed] = json('list').attachments
  assert.equal(listed.state, 'active')
  assert.equal(listed.image, path)
  assert.deepEqual(listed.volumes, [{ designator: 'root', device: '/dev/mapper/ddi-image-root', verified: true }])
  // Anybody may ask.
  const nobody = cliAsNobody('list', '--json=short')
  assert.equal(nobody.status, 0, nobody.stderr)
  assert.deepEqual(JSON.parse(nobody.stdout).attachments, [listed])
  const again = cli('attach', path)
  assert.equal(again.status, 1)
  assert.match(again.stderr, /ERR_DDI_NAME_IN_USE/)
  assert.deepEqual(json('detach', '/dev/mapper/ddi-image-root'), { detached: ['image'] })
  assert.match(cli('detach', path).stderr, /ERR_DDI_NOT_ATTACHED/)
  json('attach', path, '--name', 'other')
  assert.deepEqual(json('detach', path), { detached: ['other'] })
  json('attach', path)
  assert.deepEqual(json('detach', '--all'), { detached: ['image'] })
})

test('wrong root hashes and broken trees leave no device', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, hashStart } = makeVerityImage(folder.path)
  const refused = async (image: string, hash: string, code: ErrorCode) => {
    await assert.rejects(attach(image, { rootHash: hash }), { code })
    assertNothingLeft()
  }
  await refused(path, 'ab'.repeat(32), 'ERR_DDI_ROOT_HASH_MISMATCH')
  await refused(path, 'ab', 'ERR_DDI_ROOT_HASH_FORMAT')
  const broken = copyOf(path, join(folder.path, 'broken.raw'))
  flipBit(broken, hashStart + 4096)
  await refused(broken, rootHash, 'ERR_DDI_ROOT_HASH_WRONG')
})

test('several volumes: the root verified, home writable on request, its read-only flag kept', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  run('sgdisk', '-n', '3:0:+8M', '-t', `3:${typeUuids.home}`, '-c', '3:home', path)
  const writable = async () => {
    await using attachment = await attach(path, { rootHash, writable: true })
    for (const { device, readOnly } of attachment.volumes)
      assert.equal(run('blockdev', '--getro', device).trim(), readOnly ? '1' : '0')
    return Object.fromEntries(attachment.volumes.map(({ designator, readOnly }) => [designator, !readOnly]))
  }
  assert.deepEqual(await writable(), { root: false, home: true })
  {
    await using attachment = await attach(path, { rootHash, writable: true })
    run('mkfs.ext4', '-q', attachment.volumes.find(({ designator }) => designator === 'home')!.device)
  }
  const { stdout } = cli('inspect', path, '--json=short')
  assert.equal(JSON.parse(stdout).volumes[2].fileSystem.type, 'ext4')
  run('sgdisk', '-A', '3:set:60', path)
  assert.deepEqual(await writable(), { root: false, home: false })
})

test('without a root hash a volume is attached unverified, and read-only unless asked', async () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  await using attachment = await attach(path)
  assert.deepEqual(
    attachment.volumes.map(({ designator, verified, readOnly }) => ({ designator, verified, readOnly })),
    [{ designator: 'root', verified: false, readOnly: true }],
  )
})

test('a bare file system with a hash tree beside it', async () => {
  using folder = temporaryFolder()
  const path = makeFileSystem(folder.path, 'erofs')
  const { rootHash } = formatVerity(path, `${path}.verity`)
  await using attachment = await attach(path, { rootHash })
  using mount = mounted(folder.path, attachment.volumes[0]!.device)
  assert.equal(readFileSync(join(mount.path, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
  assert.equal((await list())[0]?.image, path)
})

test('data and a tree behind them, without a superblock, are attached as veritysetup opens them', () => {
  using folder = temporaryFolder()
  const path = makeFileSystem(folder.path, 'erofs')
  const bytes = readFileSync(path)
  const how = [
    ...[`--hash-offset=${bytes.length}`, `--data-blocks=${bytes.length / 1024}`, '--data-block-size=1024'],
    ...['--no-superblock', '--salt=-'],
  ]
  const report = run('veritysetup', 'format', path, path, ...how)
  const rootHash = /^Root hash:\s*([0-9a-f]+)$/m.exec(report)![1]!
  const options = [...how, '--ignore-zero-blocks', '--check-at-most-once']
  const { status, stderr } = cli('verity', 'attach', path, path, rootHash, '--name=ours', '--json=short', ...options)
  assert.equal(status, 0, stderr)
  run('veritysetup', 'open', path, 'theirs', path, rootHash, ...options)
  try {
    // Devices, and where the tree begins on its own, differ.
    const facts = (name: string) => {
      const words = dmTable(name).split(' ')
      return [...words.slice(0, 4), ...words.slice(6, 9), ...words.slice(10)].join(' ')
    }
    assert.equal(facts('ddi-ours-root'), facts('theirs'))
    run('sh', '-euc', `head -c ${bytes.length} "$1" | cmp - /dev/mapper/ddi-ours-root`, 'sh', path)
  } finally {
    run('veritysetup', 'close', 'theirs')
    assert.equal(cli('detach', 'ours', '--json=short').status, 0)
  }
})

test('a block device is an image too, without a loop device over it', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const device = run('losetup', '--find', '--show', path).trim()
  try {
    await using attachment = await attach(device, { rootHash, name: 'disk' })
    assert.equal(run('losetup', '--list', '--noheadings').trim().split('\n').length, 1)
    assert.equal((await list())[0]?.image, device)
    using mount = mounted(folder.path, attachment.volumes[0]!.device)
    assert.equal(readFileSync(join(mount.path, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
  } finally {
    run('losetup', '--detach', device)
  }
})

test('an image within a volume of a disk is attached straight onto the disk', async () => {
  using folder = temporaryFolder()
  const { path: inner, rootHash } = makeVerityImage(folder.path)
  const disk = join(folder.path, 'disk.raw')
  makeGptImage(disk, 64 * MiB, [{ type: typeUuids.linuxGeneric, size: 32 * MiB, label: 'images', from: inner }])
  await using outer = await openImage(disk)
  const [volume] = outer.volumes
  assert.ok(volume?.state === 'whole')
  await using image = await imageOn(extentSource(outer.source, volume.extents), { name: 'within' })
  await using attachment = await activate(plan(await dissect(image, { rootHash })))
  using mount = mounted(folder.path, attachment.volumes[0]!.device)
  assert.equal(readFileSync(join(mount.path, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
  assert.equal(run('losetup', '--list', '--noheadings').trim().split('\n').length, 1)
  const [listed] = await list()
  assert.deepEqual([listed?.name, listed?.image, listed?.state], ['within', disk, 'active'])
})

test('4096-byte sectors are found, and given to the loop device', async () => {
  using folder = temporaryFolder()
  const path = emptyFile(join(folder.path, 'image.raw'), 32 * MiB)
  const device = run('losetup', '--find', '--show', '--sector-size', '4096', path).trim()
  run('sgdisk', '-n', '1:0:+8M', '-t', `1:${typeUuids.root}`, device)
  run('losetup', '--detach', device)
  await using attachment = await attach(path)
  const loop = run('losetup', '--associated', path, '--output', 'NAME,LOG-SEC', '--noheadings').trim()
  assert.match(loop, /4096$/)
  assert.equal(run('blockdev', '--getsize64', attachment.volumes[0]!.device).trim(), String(8 * MiB))
})

test('a file that shrinks while attached gives errors, not bytes, and still detaches', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart, dataSize } = makeVerityImage(folder.path)
  await using attachment = await attach(path, { rootHash })
  truncateSync(path, dataStart + 16 * 4096)
  const unreadable = unreadableBlocks(attachment.volumes[0]!.device, dataSize / 4096)
  assert.ok(unreadable.includes(16) && unreadable.includes(dataSize / 4096 - 1))
})

test('lazy detaching waits for the last user', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const attachment = await attach(path, { rootHash, name: 'lazy' })
  const fd = openSync(attachment.volumes[0]!.device, 'r')
  await assert.rejects(detach('lazy'), { code: 'ERR_DDI_BUSY' })
  assert.equal((await list())[0]?.state, 'active')
  await detach('lazy', { lazy: true })
  closeSync(fd)
})

test('a stop undoes what was made', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  await assert.rejects(attach(path, { rootHash, signal: AbortSignal.abort() }), { code: 'ERR_DDI_ABORTED' })
})

test('a name that another device has is refused, and what was made before is undone', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  run('dmsetup', 'create', 'ddi-taken-root', '--notable')
  await assert.rejects(attach(path, { rootHash, name: 'taken' }), { code: 'ERR_DDI_NAME_IN_USE' })
  run('dmsetup', 'remove', 'ddi-taken-root')
})

test('an image that changes between plan and attach is refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  await using image = await openImage(path)
  const planned = plan(await dissect(image, { rootHash }))
  truncateSync(path, 33 * MiB)
  await assert.rejects(activate(planned), { code: 'ERR_DDI_IMAGE_CHANGED' })
})

test('what was read is what is attached, though its path leads elsewhere by then', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const secret = join(folder.path, 'private')
  writeFileSync(secret, Buffer.alloc(32 * MiB, 'P'))
  const refused = { code: 'ERR_DDI_IMAGE_CHANGED' }
  const leadingTo = async (image: string, swapped: string, makeOther: () => void, options: DissectOptions) => {
    await using opened = await openImage(image)
    const planned = plan(await dissect(opened, options))
    renameSync(swapped, `${swapped}.was`)
    makeOther()
    await assert.rejects(activate(planned), refused)
    rmSync(swapped)
    renameSync(`${swapped}.was`, swapped)
    await using _ = await activate(planned)
  }
  // Another file, a link to one, a pipe that would keep us waiting: the image, and a tree beside it.
  const data = makeFileSystem(folder.path, 'erofs')
  const bare = formatVerity(data, `${data}.verity`)
  for (const make of [
    (at: string) => copyFileSync(secret, at),
    (at: string) => symlinkSync(secret, at),
    (at: string) => run('mkfifo', at),
  ]) {
    await leadingTo(path, path, () => make(path), { rootHash })
    await leadingTo(data, bare.hashPath, () => make(bare.hashPath), { rootHash: bare.rootHash })
  }
})

test('a block device that is another one by then is refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const link = join(folder.path, 'disk')
  const options = { readOnly: true, sectorSize: 512 }
  await using one = await attachLoop({ ...options, backing: path, reference: 'ddi:one' })
  await using two = await attachLoop({ ...options, backing: path, reference: 'ddi:two' })
  symlinkSync(one.device, link)
  await using image = await openImage(link)
  const planned = plan(await dissect(image, { rootHash }))
  rmSync(link)
  symlinkSync(two.device, link)
  await assert.rejects(activate(planned), { code: 'ERR_DDI_IMAGE_CHANGED' })
})

test('a block device that got its number after another one is refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const other = copyOf(path, join(folder.path, 'other'))
  const device = run('losetup', '--find', '--show', '--read-only', path).trim()
  const planned = await (async () => {
    await using image = await openImage(device)
    return plan(await dissect(image, { rootHash }))
  })()
  await (await activate(planned)).detach()
  run('losetup', '--detach', device)
  run('losetup', '--read-only', device, other)
  await assert.rejects(activate(planned), { code: 'ERR_DDI_IMAGE_CHANGED' })
  run('losetup', '--detach', device)
})

test('a partition that is of another disk by then is refused', async () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  const outer = join(folder.path, 'outer')
  makeGptImage(outer, 48 * MiB, [{ type: typeUuids.linuxGeneric, size: 40 * MiB, from: path }])
  const attached = () => run('losetup', '--find', '--show', '--partscan', outer).trim()
  const device = attached()
  const planned = await (async () => {
    await using image = await openImage(`${device}p1`)
    return plan(await dissect(image, {}))
  })()
  await (await activate(planned)).detach()
  run('losetup', '--detach', device)
  assert.equal(attached(), device)
  await assert.rejects(activate(planned), { code: 'ERR_DDI_IMAGE_CHANGED' })
  run('losetup', '--detach', device)
})

test('what one attachment verifies, no other writes: over the same file, a loop device, or a partition of one', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const outer = join(folder.path, 'outer')
  makeGptImage(outer, 64 * MiB, [
    { type: typeUuids.linuxGeneric, size: 40 * MiB, from: path, label: 'inner' },
    { type: typeUuids.home, size: 4 * MiB, label: 'home' },
  ])
  const device = run('losetup', '--find', '--show', '--partscan', outer).trim()
  const refused = { code: 'ERR_DDI_BUSY' }
  const verified = { name: 'verified', rootHash }
  const written = { name: 'written', writable: true, volumes: ['os_1'] }
  const whole = { ...written, volumes: ['inner'] }
  for (const [one, other, options] of [
    [path, path, written],
    [`${device}p1`, outer, whole],
    [`${device}p1`, device, whole],
    [`${device}p1`, `${device}p1`, written],
  ] as const) {
    for (const [first, second] of [
      [() => attach(one, verified), () => attach(other, options)],
      [() => attach(other, options), () => attach(one, verified)],
    ] as const) {
      await using _ = await first()
      await assert.rejects(second(), refused, `${one} ${other}`)
    }
    const both = await Promise.allSettled([attach(one, verified), attach(other, options)])
    for (const one of both) if (one.status === 'fulfilled') await one.value.detach()
    assert.ok(both.some(({ status }) => status === 'rejected'))
  }
  // Twice the same, and what lies beside it.
  await using _ = await attach(`${device}p1`, verified)
  await using _again = await attach(`${device}p1`, { ...verified, name: 'again' })
  await using _unverified = await attach(outer, { name: 'unverified', volumes: ['inner'] })
  await using home = await attach(outer, { name: 'home', writable: true, volumes: ['home'] })
  assert.equal(home.volumes[0]!.readOnly, false)
  await assert.rejects(attach(outer, { name: 'home-too', writable: true, volumes: ['home'] }), refused)
  for (const name of ['verified', 'again', 'unverified', 'home']) await detach(name)
  run('losetup', '--detach', device)
})

test('what the kernel refuses is told with its errno, and undone', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  await using image = await openImage(path)
  const planned = plan(await dissect(image, { rootHash }))
  // A table past the end of its device, as no dissected image has it.
  const nodes = planned.nodes.map((node) =>
    node.id === 'root-verity' && node.kind === 'linear'
      ? { ...node, extents: [{ kind: 'linear' as const, base: 'image', start: 64 * MiB, length: MiB }] }
      : node,
  )
  await assert.rejects(activate({ ...planned, nodes }), {
    code: 'ERR_DDI_KERNEL',
    errno: -22,
    syscall: 'DM_TABLE_LOAD',
  })
})

test('an unreadable disk is an error of its own', async () => {
  run('dmsetup', 'create', 'unreadable', '--table', '0 2048 error')
  const path = `/dev/${run('dmsetup', 'info', '-c', '--noheadings', '-o', 'blkdevname', 'unreadable').trim()}`
  try {
    await assert.rejects(openImage(path), { code: 'ERR_DDI_IO', errno: -5 })
  } finally {
    run('dmsetup', 'remove', 'unreadable')
  }
})

test('the step-by-step way to configure loop devices, for kernels before 5.8', async () => {
  using folder = temporaryFolder()
  const backing = emptyFile(join(folder.path, 'file'), 4 * MiB)
  {
    await using loop = await attachLoop(
      { backing, readOnly: true, offset: MiB, size: MiB, sectorSize: 1024, reference: 'ddi:steps' },
      configureInSteps,
    )
    const columns = 'NAME,SIZELIMIT,OFFSET,AUTOCLEAR,RO,LOG-SEC'
    const facts = run('losetup', '--list', '--noheadings', '--raw', '--output', columns, loop.device)
      .trim()
      .split(/\s+/)
    assert.deepEqual(facts, [loop.device, String(MiB), String(MiB), '1', '1', '1024'])
    assert.equal(loop.size, MiB)
  }
})

/** Runs `use` with the nodes in /dev that `keep` names, and no others. */
function withNodes<Result>(keep: RegExp, use: () => Result): Result {
  const hidden = run('sh', '-c', 'ls /dev')
    .split('\n')
    .filter((name) => /^loop/.test(name) && !keep.test(name))
  for (const name of hidden) run('mv', `/dev/${name}`, `/dev/hidden-${name}`)
  try {
    return use()
  } finally {
    for (const name of hidden) run('mv', `/dev/hidden-${name}`, `/dev/${name}`)
  }
}

test('no loop control, and all loop devices taken', () => {
  using folder = temporaryFolder()
  const path = makeFileSystem(folder.path, 'erofs')
  withNodes(/^loop\d/, () => {
    const { status, stderr } = cli(path)
    assert.equal(status, 1)
    assert.match(stderr, /ERR_DDI_NO_LOOP\)/)
  })
  withNodes(/^loop-control$/, () => {
    const { status, stderr } = cli(path)
    assert.equal(status, 1)
    assert.match(stderr, /ERR_DDI_NO_FREE_LOOP/)
  })
})

test('without privileges it says so', () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  // No capabilities, but the user's files: a clone in root's home is still to be read.
  const powerless = (...args: string[]) =>
    attempt('setpriv', '--bounding-set=-all', '--inh-caps=-all', process.execPath, cliPath, ...args)
  const { status, stderr } = powerless('attach', path)
  assert.equal(status, 4, stderr)
  assert.match(stderr, /ERR_DDI_PERMISSION/)
  run('chmod', '0', path)
  assert.equal(powerless('inspect', path).status, 4)
})

test('a missing system library is named with its package: images are shown without it, and not mounted', () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  const library = run('sh', '-c', "ldconfig -p | sed -n 's/.*libblkid.so.1 .*=> //p' | head -n 1").trim()
  const hide = 'mount --bind /dev/null "$1" && shift && exec "$@"'
  const hidden = ['--mount', 'sh', '-c', hide, 'sh', run('realpath', library).trim()] as const
  const without = (verb: string) => attempt('unshare', ...hidden, process.execPath, cliPath, verb, path)
  const shown = without('inspect')
  assert.equal(shown.status, 0, shown.stderr)
  assert.match(shown.stderr, /file systems are not recognised: libblkid.*install libblkid1/)
  const refused = without('list-files')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /install libblkid1.*ERR_DDI_LIBRARY_MISSING/)
})

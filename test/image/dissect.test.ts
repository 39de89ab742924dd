import assert from 'node:assert/strict'
import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DissectOptions, dissect, openImage, plan, verify } from '../../lib/index.js'
import {
  emptyFile,
  flipBit,
  formatVerity,
  MiB,
  makeFileSystem,
  makeGptImage,
  makeRepartImage,
  makeVerityImage,
  typeUuids,
  uuidsOf,
  writeAt,
} from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'

async function dissected(path: string, options: DissectOptions = {}) {
  await using image = await openImage(path)
  const { volumes, roles, verity } = await dissect(image, { architectures: ['x86-64', 'x86'], ...options })
  return { volumes, verity, roles: Object.fromEntries([...roles].map(([role, volume]) => [role, volume.label])) }
}

test('an image by systemd-repart dissects with the root hash that it printed', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const rootHash = makeRepartImage(folder.path, path)
  const { verity, roles } = await dissected(path, { rootHash })
  assert.equal(verity.get('root')?.trusted, true)
  assert.deepEqual(Object.keys(roles), ['root', 'home'])
  await using image = await openImage(path)
  const [verified] = await verify(await dissect(image, { rootHash }))
  assert.deepEqual(verified && [verified.badDataBlocks, verified.badHashBlocks], [0, 0])
})

test('a damaged primary header reads from the backup, and inspect says so', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.root, size: MiB }])
  writeAt(path, 512, Buffer.alloc(512))
  const { status, stdout } = cli('inspect', path, '--json=pretty')
  assert.equal(status, 0)
  const { table, volumes } = JSON.parse(stdout)
  assert.equal(table.source, 'backup')
  assert.equal(table.problems[0].code, 'ERR_DDI_GPT_NO_HEADER')
  assert.equal(volumes.length, 1)
})

test('the newest version wins, of this machine’s architecture, and no-auto and empty ones never', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  makeGptImage(path, 32 * MiB, [
    { type: typeUuids.root, size: MiB, label: 'os_9' },
    { type: typeUuids.root, size: MiB, label: 'os_10' },
    { type: typeUuids.root, size: MiB, label: 'os_11', attributes: [63] },
    { type: typeUuids.rootArm64, size: MiB, label: 'os_12' },
    { type: typeUuids.usr, size: MiB, label: '_empty' },
    { type: typeUuids.home, size: MiB, label: 'b' },
    { type: typeUuids.linuxGeneric, size: MiB, label: 'data' },
  ])
  assert.deepEqual((await dissected(path)).roles, { root: 'os_10', home: 'b' })
  assert.deepEqual((await dissected(path, { architectures: ['arm64'] })).roles, { root: 'os_12', home: 'b' })
})

test('a lone generic partition is the root', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'data' }])
  assert.deepEqual((await dissected(path)).roles, { root: 'data' })
  makeGptImage(path, 16 * MiB, [
    { type: typeUuids.linuxGeneric, size: MiB, label: 'data' },
    { type: typeUuids.linuxGeneric, size: MiB, label: 'more' },
  ])
  assert.deepEqual((await dissected(path)).roles, {})
})

test('a bare file system is an image, with its hash tree beside it', async () => {
  using folder = temporaryFolder()
  const data = makeFileSystem(folder.path, 'erofs')
  const path = join(folder.path, 'image.raw')
  renameSync(data, path)
  assert.equal((await dissected(path)).volumes[0]!.fileSystem!.type, 'erofs')
  const { rootHash } = formatVerity(path, join(folder.path, 'image.verity'))
  assert.equal((await dissected(path, { rootHash })).verity.get('root')?.hash.kind, 'file')
})

test('a root hash comes from the option, a side file or an attribute, in this order', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const source = async (options: DissectOptions = {}) => {
    const verity = (await dissected(path, options)).verity.get('root')
    return verity?.trusted ? verity.rootHashSource : undefined
  }
  assert.equal(await source(), undefined)
  run('python3', '-c', `import os; os.setxattr(${JSON.stringify(path)}, "user.verity.roothash", b"${rootHash}")`)
  assert.equal(await source(), 'extended-attribute')
  writeFileSync(join(folder.path, 'image.roothash'), `${rootHash}\n`)
  assert.equal(await source(), 'file')
  assert.equal(await source({ rootHash }), 'option')
  writeFileSync(join(folder.path, 'image.roothash'), 'not hex')
  await assert.rejects(source(), { code: 'ERR_DDI_ROOT_HASH_FILE' })
})

test('root hashes of others, trees that are not there, and trees of others are refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, hashStart } = makeVerityImage(folder.path)
  await assert.rejects(dissected(path, { rootHash: 'ab'.repeat(32) }), { code: 'ERR_DDI_ROOT_HASH_MISMATCH' })
  await assert.rejects(dissected(path, { rootHash: 'ab' }), { code: 'ERR_DDI_ROOT_HASH_FORMAT' })
  // The same UUIDs, another hash in between: only sha512 has one.
  const sha512 = rootHash.slice(0, 32) + 'ab'.repeat(32) + rootHash.slice(-32)
  await assert.rejects(dissected(path, { rootHash: sha512 }), { code: 'ERR_DDI_ROOT_HASH_FORMAT' })
  flipBit(path, hashStart + 4096 + 1)
  await assert.rejects(dissected(path, { rootHash }), { code: 'ERR_DDI_ROOT_HASH_WRONG' })
  writeAt(path, hashStart, Buffer.alloc(8))
  await assert.rejects(dissected(path, { rootHash }), { code: 'ERR_DDI_VERITY_SUPERBLOCK' })
  run('sgdisk', '--delete=2', path)
  await assert.rejects(dissected(path, { rootHash }), { code: 'ERR_DDI_VERITY_MISSING' })
})

test('two partitions that a root hash names alike are refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const { data } = uuidsOf(rootHash)
  run('sgdisk', '-n', '3:0:+1M', '-t', `3:${typeUuids.root}`, '-u', `3:${data}`, path)
  await assert.rejects(dissected(path, { rootHash }), { code: 'ERR_DDI_GPT_DUPLICATE_UUID' })
})

test('a plan refuses what a given root hash does not cover, and images with nothing to attach', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  run('sgdisk', '-n', '3:0:+1M', '-t', `3:${typeUuids.usr}`, path)
  const planned = async (image: string, options: DissectOptions = {}, name?: string) => {
    await using opened = await openImage(image)
    return plan(await dissect(opened, { architectures: ['x86-64'], ...options }), name === undefined ? {} : { name })
  }
  await assert.rejects(planned(path, { rootHash }), { code: 'ERR_DDI_NOT_COVERED' })
  assert.deepEqual(
    (await planned(path)).volumes.map(({ designator, verified }) => [designator, verified]),
    [
      ['root', false],
      ['usr', false],
    ],
  )
  for (const name of ['', '-x', 'a/b', 'a b', 'x'.repeat(41), 'a:b'])
    await assert.rejects(planned(path, {}, name), { code: 'ERR_DDI_NAME' })
  const foreign = join(folder.path, 'foreign.raw')
  makeGptImage(foreign, 16 * MiB, [{ type: typeUuids.rootArm64, size: MiB }])
  await assert.rejects(planned(foreign), { code: 'ERR_DDI_NOTHING_TO_ATTACH', message: /arm64/ })
})

test('what is no image is refused: directory, FIFO, device, empty file, zeroes, nothing', async () => {
  using folder = temporaryFolder()
  const fifo = join(folder.path, 'fifo')
  run('mkfifo', fifo)
  await assert.rejects(openImage(folder.path), { code: 'ERR_DDI_IMAGE_KIND' })
  await assert.rejects(openImage(fifo), { code: 'ERR_DDI_IMAGE_KIND' })
  await assert.rejects(openImage('/dev/null'), { code: 'ERR_DDI_IMAGE_KIND' })
  await assert.rejects(openImage(emptyFile(join(folder.path, 'empty'), 0)), { code: 'ERR_DDI_IMAGE_EMPTY' })
  await assert.rejects(openImage(join(folder.path, 'missing')), { code: 'ERR_DDI_NOT_FOUND' })
  await assert.rejects(dissected(emptyFile(join(folder.path, 'zeroes'), MiB)), { code: 'ERR_DDI_NO_TABLE' })
  const cut = join(folder.path, 'cut.raw')
  makeGptImage(cut, 16 * MiB, [{ type: typeUuids.root, size: MiB }])
  truncateSync(cut, 15 * MiB)
  await assert.rejects(openImage(cut), { code: 'ERR_DDI_GPT_TRUNCATED' })
})

test('a file that shrinks under us is an error', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.root, size: MiB }])
  await using image = await openImage(path)
  truncateSync(path, 4096)
  await assert.rejects(image.source.read(MiB, 512), { code: 'ERR_DDI_SHORT_READ' })
})

test('verify without a root hash says what the UUIDs claim, and that it is a claim', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  await using image = await openImage(path)
  await assert.rejects(verify(await dissect(image, { architectures: ['x86-64'] })), {
    code: 'ERR_DDI_NO_ROOT_HASH',
    message: new RegExp(rootHash),
  })
  assert.ok(readFileSync(path).length > 0)
})

test('a superblock that covers less than was hashed, or than the file system has, is refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, hashStart, dataSize } = makeVerityImage(folder.path)
  const refused = { code: 'ERR_DDI_VERITY_SUPERBLOCK' }
  const blocks = dataSize / 4096
  const claim = (count: number) =>
    writeAt(path, hashStart + 72, new Uint8Array(BigUint64Array.of(BigInt(count)).buffer))
  for (const count of [2, 3, blocks - 1]) {
    claim(count)
    await assert.rejects(dissected(path, { rootHash }), refused)
    assert.match(cli('verify', path, `--root-hash=${rootHash}`).stderr, /ERR_DDI_VERITY_SUPERBLOCK/)
  }
  claim(blocks)
  await dissected(path, { rootHash })

  // Hashed honestly, but for fewer blocks than the file system in them says it has.
  const data = join(folder.path, 'data.erofs')
  const { rootHash: short, hashPath } = formatVerity(data, join(folder.path, 'short'), '--data-blocks=8')
  const { data: uuid, hash } = uuidsOf(short)
  const parts = (size: number) => [
    { type: typeUuids.root, size, uuid, from: data },
    { type: typeUuids.rootVerity, size: MiB, uuid: hash, from: hashPath },
  ]
  makeGptImage(path, 32 * MiB, parts(dataSize))
  await assert.rejects(dissected(path, { rootHash: short }), refused)

  // A volume may be larger than what its file system takes of it: verify says how much is covered.
  const whole = formatVerity(data, join(folder.path, 'whole'))
  const uuids = uuidsOf(whole.rootHash)
  makeGptImage(path, 32 * MiB, [
    { type: typeUuids.root, size: 8 * MiB, uuid: uuids.data, from: data },
    { type: typeUuids.rootVerity, size: MiB, uuid: uuids.hash, from: whole.hashPath },
  ])
  assert.match(
    cli('verify', path, `--root-hash=${whole.rootHash}`).stdout,
    new RegExp(`root: ${blocks} blocks \\(1\\.0M of 8M\\) match`),
  )
})

// Plans are data: made without privileges, and compared as what they are.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { concatSources } from '../../lib/bytes/concat.js'
import { type FileSource, openFile } from '../../lib/bytes/file.js'
import { memorySource } from '../../lib/bytes/memory.js'
import { sliceSource } from '../../lib/bytes/slice.js'
import {
  attachmentName,
  type BaseNode,
  type DissectOptions,
  dissect,
  type Image,
  imageOn,
  nestedTypeUuid,
  openImage,
  type Plan,
  type PlanOptions,
  plan,
} from '../../lib/index.js'
import { parseUuid, swapUuidEndianness } from '../../lib/uuid.js'
import { makeDisk } from '../support/gpt.js'
import { formatVerity, MiB, makeFileSystem, makeGptImage, makeVerityImage, typeUuids } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

/** The plan of an image for x86-64, whatever machine this runs on. */
async function planned(image: Image, dissection: DissectOptions = {}, options: PlanOptions = {}): Promise<Plan> {
  return plan(await dissect(image, { architectures: ['x86-64'], ...dissection }), options)
}

async function planOf(path: string, dissection: DissectOptions = {}, options: PlanOptions = {}): Promise<Plan> {
  await using image = await openImage(path)
  return await planned(image, dissection, options)
}

function basesOf({ nodes }: Plan): readonly BaseNode[] {
  return nodes.filter((node) => node.kind === 'base')
}

/** Where the extents of nodes lie. */
function placesOf({ nodes }: Plan): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    nodes.flatMap((node) =>
      node.kind === 'linear'
        ? [
            [
              node.id,
              node.extents.map((one) =>
                one.kind === 'zero' ? `${one.length} zeroes` : `${one.base} ${one.start} ${one.length}`,
              ),
            ],
          ]
        : [],
    ),
  )
}

test('a verified root: every node in order, with its role', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart, dataSize, hashStart } = makeVerityImage(folder.path)
  const superblock = readFileSync(path).subarray(hashStart, hashStart + 512)
  const inner = { kind: 'linear', role: 'inner', readOnly: true }
  assert.deepEqual(await planOf(path, { rootHash }, { name: 'os', writable: true }), {
    name: 'os',
    image: path,
    nodes: [
      {
        kind: 'base',
        id: 'image',
        role: 'image',
        backing: 'file',
        shared: false,
        path,
        identity: `file ${statSync(path).dev}:${statSync(path).ino}`,
        size: 32 * MiB,
        sectorSize: 512,
        readOnly: true,
      },
      {
        ...inner,
        id: 'root-data',
        size: dataSize,
        extents: [{ kind: 'linear', base: 'image', start: dataStart, length: dataSize }],
      },
      {
        ...inner,
        id: 'root-verity',
        size: MiB,
        extents: [{ kind: 'linear', base: 'image', start: hashStart, length: MiB }],
      },
      {
        kind: 'verity',
        id: 'root',
        role: 'volume',
        data: 'root-data',
        hash: 'root-verity',
        size: dataSize,
        readOnly: true,
        algorithm: 'sha256',
        rootHash,
        // Offset 88 of the superblock (docs of cryptsetup, “DMVerity”).
        salt: superblock.toString('hex', 88, 88 + superblock.readUInt16LE(80)),
        dataBlockSize: 4096,
        hashBlockSize: 4096,
        dataBlocks: dataSize / 4096,
        hashStartBlock: 1,
        signature: null,
        signatureRequired: false,
        onCorruption: null,
        ignoreZeroBlocks: false,
        checkAtMostOnce: false,
        errorCorrection: null,
      },
    ],
    volumes: [
      {
        designator: 'root',
        node: 'root',
        size: dataSize,
        readOnly: true,
        verified: true,
        noExec: false,
        growFileSystem: false,
        fileSystem: {
          type: 'erofs',
          uuid: run('blkid', '-p', '-o', 'value', '-s', 'UUID', join(folder.path, 'data.erofs')).trim(),
          label: null,
          blockSize: 4096,
        },
      },
    ],
  })
})

test('volumes by their labels: ids that no node under another has, and one access for the image', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [
    { type: typeUuids.home, size: MiB, label: 'home-data' },
    { type: typeUuids.home, size: MiB, label: 'home data' },
    { type: typeUuids.linuxGeneric, size: MiB, label: 'kept', attributes: [60] },
  ])
  const chosen = await planOf(path, {}, { volumes: ['home-data', 'kept'], writable: true })
  assert.deepEqual(
    chosen.volumes.map(({ node, designator, readOnly }) => ({ node, designator, readOnly })),
    [
      { node: 'home_data', designator: null, readOnly: false },
      { node: 'kept', designator: null, readOnly: true },
    ],
  )
  assert.deepEqual(
    basesOf(chosen).map(({ readOnly }) => readOnly),
    [false],
  )
  assert.deepEqual(
    chosen.nodes.map((node) => [node.id, node.role]),
    [
      ['image', 'image'],
      ['home_data', 'volume'],
      ['kept', 'volume'],
    ],
  )
  await assert.rejects(planOf(path, {}, { volumes: ['home-data', 'home data'] }), { code: 'ERR_DDI_NAME' })
  await assert.rejects(planOf(path, {}, { volumes: ['none'] }), { code: 'ERR_DDI_NO_VOLUME' })
  await assert.rejects(planOf(path, {}, { name: 'a/b' }), { code: 'ERR_DDI_NAME', message: /^invalid attachment name/ })
})

test('a hash tree beside the image is a base of its own', async () => {
  using folder = temporaryFolder()
  const path = makeFileSystem(folder.path, 'erofs')
  const { rootHash, hashPath } = formatVerity(path, `${path}.verity`)
  const beside = await planOf(path, { rootHash })
  assert.deepEqual(
    basesOf(beside).map(({ id, role, path, readOnly }) => ({ id, role, path, readOnly })),
    [
      { id: 'image', role: 'image', path, readOnly: true },
      { id: 'root-verity-file', role: 'beside', path: hashPath, readOnly: true },
    ],
  )
  assert.deepEqual(placesOf(beside)['root-verity'], [`root-verity-file 0 ${readFileSync(hashPath).length}`])
  assert.equal(beside.name, basename(path))
})

test('an image within a file, and in several files: extents are of the files that hold them', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart, dataSize, hashStart } = makeVerityImage(folder.path)
  const bytes = readFileSync(path)
  const write = (name: string, ...parts: Uint8Array[]) => {
    const file = join(folder.path, name)
    writeFileSync(file, Buffer.concat(parts))
    return file
  }
  await using disk = await openFile(write('disk', Buffer.alloc(3 * MiB), bytes, Buffer.alloc(MiB)))
  await using within = await imageOn(sliceSource(disk, { start: 3 * MiB, length: bytes.length }), { name: 'within' })
  const plan = await planned(within, { rootHash })
  assert.deepEqual([plan.name, plan.image], ['within', 'within'])
  assert.deepEqual(placesOf(plan), {
    'root-data': [`image ${3 * MiB + dataStart} ${dataSize}`],
    'root-verity': [`image ${3 * MiB + hashStart} ${MiB}`],
  })
  assert.deepEqual(
    basesOf(plan).map(({ path, size }) => ({ path, size })),
    [{ path: disk.path, size: disk.size }],
  )

  // Cut within the data.
  const cut = dataStart + 8192
  await using first = await openFile(write('first', bytes.subarray(0, cut)))
  await using second = await openFile(write('second', bytes.subarray(cut)))
  await using split = await imageOn(concatSources([first, second]), { name: 'split' })
  const two = await planned(split, { rootHash })
  assert.deepEqual(placesOf(two), {
    'root-data': [`image ${dataStart} 8192`, `image-2 0 ${dataSize - 8192}`],
    'root-verity': [`image-2 ${hashStart - cut} ${MiB}`],
  })
  assert.deepEqual(
    basesOf(two).map(({ id, role, path }) => ({ id, role, path })),
    [
      { id: 'image', role: 'image', path: first.path },
      { id: 'image-2', role: 'beside', path: second.path },
    ],
  )
})

test('bytes that lie in no file are refused, and only they', async () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart } = makeVerityImage(folder.path)
  const bytes = readFileSync(path)
  await using whole = await imageOn(memorySource(bytes), { name: 'memory' })
  await assert.rejects(planned(whole, { rootHash }), { code: 'ERR_DDI_NOT_IN_FILE', message: /^memory / })
  // A table in memory, over volumes that are in a file.
  await using file: FileSource = await openFile(path)
  const rest = sliceSource(file, { start: dataStart, length: bytes.length - dataStart })
  await using mixed = await imageOn(concatSources([memorySource(bytes.subarray(0, dataStart)), rest]), {
    name: 'mixed',
  })
  assert.deepEqual(placesOf(await planned(mixed, { rootHash })), placesOf(await planOf(path, { rootHash })))
})

test('sectors are as small as where volumes lie needs them', async () => {
  using folder = temporaryFolder()
  const uuid = (text: string) => swapUuidEndianness(parseUuid(text)!)
  const disk = makeDisk({
    sectorSize: 4096,
    sectors: 512,
    entries: [{ type: uuid(typeUuids.home), uuid: uuid(crypto.randomUUID()), first: 64n, last: 127n }],
  })
  const aligned = join(folder.path, 'aligned.raw')
  writeFileSync(aligned, disk)
  assert.deepEqual(
    basesOf(await planOf(aligned)).map(({ sectorSize }) => sectorSize),
    [4096],
  )
  const shifted = join(folder.path, 'shifted')
  writeFileSync(shifted, Buffer.concat([Buffer.alloc(512), disk]))
  await using file = await openFile(shifted)
  await using image = await imageOn(sliceSource(file, { start: 512, length: disk.length }), { name: 'shifted' })
  const plan = await planned(image)
  assert.deepEqual(
    basesOf(plan).map(({ sectorSize }) => sectorSize),
    [512],
  )
  assert.deepEqual(placesOf(plan), { home: [`image ${512 + 64 * 4096} ${64 * 4096}`] })
})

for (const signature of ['kernel', 'both'] as const)
  test(`signature=${signature}: an unsigned image is refused, whatever root hash is known`, async () => {
    using folder = temporaryFolder()
    const { path, rootHash } = makeVerityImage(folder.path)
    const refused = { code: 'ERR_DDI_SIGNATURE_UNTRUSTED' }
    await assert.rejects(planOf(path, { rootHash, signature }), refused)
    await assert.rejects(planOf(path, { signature }), refused)
    await assert.rejects(planOf(path, { rootHash, signature }, { volumes: ['os_1'] }), refused)
    // What cannot be signed needs no signature.
    await planOf(path, { rootHash, signature }, { volumes: ['os_1_verity'] })
  })

test('a volume that can be written has no bytes of another: not of one in its own nested table, verified or not', async () => {
  using folder = temporaryFolder()
  const { path: within, rootHash } = makeVerityImage(folder.path)
  const path = join(folder.path, 'outer.raw')
  makeGptImage(path, 64 * MiB, [
    { type: nestedTypeUuid, size: 32 * MiB, label: 'box', from: within },
    { type: typeUuids.home, size: MiB, label: 'home' },
  ])
  await using image = await openImage(path)
  const [inner] = image.volumes.filter(({ designator }) => designator === 'root')
  const volumes = ['box', inner!.uuid!]
  for (const dissection of [{ rootHash }, {}]) {
    await assert.rejects(planned(image, dissection, { volumes, writable: true }), {
      code: 'ERR_DDI_USAGE',
      message: /box would be writable and has bytes of volume/,
    })
    assert.equal((await planned(image, dissection, { volumes })).volumes.length, 2)
  }
  assert.equal((await planned(image, {}, { volumes: ['box', 'home'], writable: true })).volumes.length, 2)
})

test('a volume named as the node of the image has a node of its own', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [
    { type: typeUuids.home, size: MiB, label: 'image' },
    { type: typeUuids.home, size: MiB, label: '_image' },
  ])
  await using image = await openImage(path)
  const { nodes, volumes } = plan(await dissect(image), { volumes: ['image'] })
  assert.deepEqual(
    nodes.map(({ id }) => id),
    ['image', '_image'],
  )
  assert.equal(volumes[0]?.node, '_image')
  const dissection = await dissect(image)
  assert.throws(() => plan(dissection, { volumes: ['image', '_image'] }), { code: 'ERR_DDI_NAME' })
})

test('names of attachments are of at most 40 characters, and of two long images differ', () => {
  const [one, two] = ['a', 'b'].map((version) => attachmentName(`/images/${'long-'.repeat(9)}${version}.raw`)) as [
    string,
    string,
  ]
  assert.match(one, /^(long-){6}l-[0-9a-f]{8}$/)
  assert.equal(one.length, 40)
  assert.notEqual(one, two)
  assert.equal(attachmentName(`/images/${'x'.repeat(40)}.img`), 'x'.repeat(40))
  assert.equal(attachmentName('/images/.raw'), 'image')
})

// What systemd's TEST-50-DISSECT asserts of images that are mounted and attached; test/image/minimal.test.ts has what needs no kernel.
import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import {
  attach,
  copyFrom,
  DdiError,
  type DigestedEntry,
  type DiscoverOptions,
  detach,
  digestTree,
  discoverImages,
  type MountedVolume,
  type MountOptions,
  mountImage,
  parseImagePolicy,
  unmountImage,
  withMount,
  withTree,
} from '../../lib/index.js'
import { parseCertificates } from '../../lib/verity/index.js'
import { copyWithSideFiles, type MinimalImages, makeExtensions, makeMinimalImages } from '../support/minimal-image.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft, dmTable } from './state.js'

const folder = temporaryFolder()
const at = (...names: readonly string[]) => join(folder.path, ...names)
let images: MinimalImages
let machine: MountOptions

before(() => {
  images = makeMinimalImages(folder.path)
  for (const name of ['mount', 'mount2', 'img2:3']) mkdirSync(at(name))
  const certificates = parseCertificates(readFileSync(images.certificate), images.certificate)
  machine = { certificates, architectures: ['x86-64'] }
})
afterEach(assertNothingLeft)
after(() => folder[Symbol.dispose]())

const original = () => readFileSync(at('tree/usr/lib/os-release'), 'utf8')
const osReleases = (root: string) =>
  ['usr/lib/os-release', 'etc/os-release'].map((name) => readFileSync(join(root, name), 'utf8'))
/** The options of what is mounted on a path, as the kernel has them. */
const optionsOf = (path: string) => run('findmnt', '--noheadings', '--output=OPTIONS', path).trim().split(',')
const tableOf = (device: string) => dmTable(device.split('/').at(-1)!)

test('files of a file system whose tree is beside it are listed, hashed, copied out, and there for a command', async () => {
  const hash = (path: string) => run('sha256sum', path).split(' ')[0]
  const copied = await withTree(images.raw, machine, async (tree) => {
    assert.equal(tree.source.kind, 'mount')
    const entries: DigestedEntry[] = []
    for await (const entry of digestTree(tree)) entries.push(entry)
    const cat = entries.find(({ path }) => path === 'usr/bin/cat')!
    assert.deepEqual([cat.kind, cat.mode, cat.uid, cat.gid, cat.size], ['file', 0o755, 0, 0, 7])
    assert.equal(cat.sha256, hash(at('tree/usr/bin/cat')))
    assert.ok(entries.some(({ path }) => path === 'etc/os-release'))
    await copyFrom(tree, 'etc/os-release', at('copied'))
    return hash(at('copied'))
  })
  const read = (options: MountOptions) =>
    withMount(images.raw, options, async ({ path }) => hash(join(path, 'etc/os-release')))
  assert.equal(await read(machine), copied)
})

test('it is mounted on two directories at once, each unmounted by itself', async () => {
  await using one = await mountImage(images.raw, at('mount'), machine)
  {
    await using _two = await mountImage(images.raw, at('mount2'), machine)
    for (const path of [at('mount'), at('mount2')]) assert.deepEqual(osReleases(path), [original(), original()])
    assert.equal(run('dmsetup', 'ls', '--target=verity').trim().split('\n').length, 2)
    assert.match(tableOf(one.volumes[0]!.device), new RegExp(` ${images.rootHash} `))
    // A copy of the files elsewhere is another image.
    mkdirSync(at('loop'))
    await using copy = await attach(copyWithSideFiles(images.raw, at('loop/app0_copy.raw')), machine)
    assert.equal(copy.volumes[0]!.verified, true)
  }
  assert.deepEqual(osReleases(at('mount')), [original(), original()])
  assert.ok(!existsSync(at('mount2/etc')))
})

test('a command runs in an image whose policy allows it, and whose root hash is given or signed', async () => {
  const reads = async (path: string, options: MountOptions) => {
    try {
      return await withMount(
        path,
        options,
        async ({ path }) => run('cat', join(path, 'usr/lib/os-release')) === original(),
      )
    } catch (error) {
      assert.ok(
        error instanceof DdiError && ['ERR_DDI_POLICY', 'ERR_DDI_NOTHING_TO_ATTACH'].includes(error.code),
        String(error),
      )
      return false
    }
  }
  const { rootHash } = images
  assert.ok(await reads(images.raw, machine))
  for (const [policy, expected] of [
    [undefined, true],
    ['*', true],
    ['~', false],
    ['-', false],
    ['root=absent', false],
    ['root=verity', true],
    ['root=signed', true],
    ['root=encrypted', false],
  ] as const) {
    const options = policy === undefined ? {} : { policy: parseImagePolicy(policy) }
    assert.equal(await reads(images.gpt, { ...machine, rootHash, ...options }), expected, policy)
  }
  // One file system named, and the tree counts as before; no root hash given, the signature tells it.
  assert.ok(await reads(images.gpt, { ...machine, policy: parseImagePolicy('root=verity+squashfs') }))
  // Nothing that has the name of the image is beside it.
  const [image, verityData] = [at('other.raw'), at('fooverity')]
  copyFileSync(images.raw, image)
  copyFileSync(at('minimal_0.verity'), verityData)
  await withMount(image, { rootHash, verityData }, async ({ path, volumes }) => {
    assert.deepEqual([volumes[0]!.verified, ...osReleases(path)], [true, original(), original()])
  })
})

test('a GPT is mounted by the root hash given, and unmounted', async () => {
  await mountImage(images.gpt, at('mount'), { architectures: ['x86-64'], rootHash: images.rootHash })
  assert.deepEqual(osReleases(at('mount')), [original(), original()])
  await unmountImage(at('mount'))
  assert.ok(!existsSync(at('mount/etc')))
})

test('a GPT is mounted from a copy in memory, which is gone with it, and its file is free', async () => {
  const moved = at('moved.gpt')
  copyFileSync(images.gpt, moved)
  const inMemory = { ...machine, rootHash: images.rootHash, inMemory: true }
  {
    await using mounted = await mountImage(moved, at('mount'), inMemory)
    rmSync(moved)
    assert.equal(mounted.volumes[0]!.verified, true)
    assert.deepEqual(osReleases(at('mount')), [original(), original()])
    assert.match(run('losetup', '--list', '--noheadings', '--output=BACK-FILE'), /^\/dev\/shm\/\S+ \(deleted\)$/m)
  }
  assert.ok(!existsSync(at('mount/etc')))
  assert.deepEqual(readdirSync('/dev/shm'), [])
})

test('mount options: the last of a designator count, and those of no designator are of the root', () => {
  const words = ['root:relatime,dev', 'home:ro,dev', 'nosuid,dev', 'ro,noatime'].map((one) => `--mount-options=${one}`)
  const shown = ['findmnt', '--noheadings', '--output=FSTYPE,OPTIONS', '--target=.']
  const { status, stdout, stderr } = cli('with', ...words, images.gpt, ...shown)
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^squashfs +.*noatime/)
  assert.doesNotMatch(stdout, /nosuid/)
})

test('several images are mounted with options of their own, on directories of any name, also within an image', async () => {
  const options = { root: 'noatime', home: 'relatime' }
  await using _gpt = await mountImage(images.gpt, at('mount'), { ...machine, mountOptions: options })
  {
    await using raw = await mountImage(images.raw, at('img2:3'), {
      ...machine,
      mountOptions: { root: 'nosuid', home: 'suid' },
    })
    for (const path of [at('mount'), at('img2:3')]) assert.deepEqual(osReleases(path), [original(), original()])
    assert.deepEqual(
      ['nosuid', 'noatime'].map((word) => optionsOf(at('img2:3')).includes(word)),
      [true, false],
    )
    assert.deepEqual(
      ['nosuid', 'noatime'].map((word) => optionsOf(at('mount')).includes(word)),
      [false, true],
    )
    assert.match(tableOf(raw.volumes[0]!.device), new RegExp(` ${images.rootHash} `))
  }
  await using _within = await mountImage(images.raw, at('mount/usr/bin'), machine)
  assert.deepEqual(
    [osReleases(at('mount'))[0], ...osReleases(at('mount/usr/bin'))],
    [original(), original(), original()],
  )
})

test('extensions are mounted, and verified where a tree is beside them', async () => {
  const extensions = makeExtensions(folder.path)
  for (const { path, release, rootHash } of extensions)
    await withMount(path, { architectures: ['x86-64'] }, async (mounted) => {
      assert.ok(existsSync(join(mounted.path, release)), release)
      const [{ device, verified }] = mounted.volumes as [MountedVolume]
      assert.equal(verified, rootHash !== undefined)
      if (rootHash !== undefined) assert.match(tableOf(device), new RegExp(` verity .* ${rootHash} `))
    })
})

test('what is attached is detached by its device, by its loop device, and by its image, and only once', async () => {
  const attached = async () => (await attach(images.raw, machine)).volumes[0]!.device
  const loop = () => run('losetup', '--noheadings', '--output=NAME', '--associated', images.raw).trim()
  await detach(await attached())
  await attached()
  await detach(loop())
  await attached()
  symlinkSync(loop(), at('by-ref'))
  await detach(at('by-ref'))
  await attached()
  await detach(images.raw)
  await assert.rejects(detach(images.raw), { code: 'ERR_DDI_NOT_ATTACHED' })
})

test('images are found where systemd looks for them, of the system, of the user, and of both', async () => {
  const home = at('home')
  for (const name of ['/run/machines', '/run/portables', '/run/extensions', join(home, 'machines')])
    mkdirSync(name, { recursive: true })
  const made = ['/run/machines/a.raw', '/run/portables/b.raw', '/run/extensions/c.raw', join(home, 'machines/d.raw')]
  for (const path of made) writeFileSync(path, '')
  process.env['XDG_STATE_HOME'] = home
  try {
    const of = async (options: DiscoverOptions) =>
      (await discoverImages(options)).filter(({ path }) => made.includes(path))
    const expected = made.map((path, n) => ({
      ...{ name: 'abcd'[n], class: ['machine', 'portable', 'sysext', 'machine'][n], kind: 'raw' },
      ...{ path, readOnly: false },
    }))
    assert.deepEqual(await of({ system: true }), expected.slice(0, 3))
    assert.deepEqual(await of({ user: true }), expected.slice(3))
    assert.deepEqual(await of({ system: true, user: true }), [expected[3], ...expected.slice(0, 3)])
    // The first that has a name is the image of the name.
    writeFileSync(join(home, 'machines/a.raw'), '')
    assert.deepEqual(
      (await of({})).map(({ path }) => path),
      [made[3], made[1], made[2]],
    )
  } finally {
    delete process.env['XDG_STATE_HOME']
    for (const path of made) rmSync(path)
  }
})

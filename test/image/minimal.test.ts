// What systemd's TEST-50-DISSECT asserts of images that need no kernel; test/kernel/dissect.test.ts has what is mounted.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { DdiError, dissect, openImage, parseImagePolicy, readFacts, validate, withTree } from '../../lib/index.js'
import { parseCertificates } from '../../lib/verity/index.js'
import { uuidsOf } from '../support/images.js'
import { type MinimalImages, makeExtensions, makeMinimalImages } from '../support/minimal-image.js'
import { cli, temporaryFolder } from '../support/run.js'

const folder = temporaryFolder()
let images: MinimalImages
before(() => {
  images = makeMinimalImages(folder.path)
})
after(() => folder[Symbol.dispose]())

/** What `inspect` says of an image, by somebody who trusts its signer. */
function shown(...args: readonly string[]) {
  const trust = [`--certificate=${images.certificate}`, '--architecture=x86-64']
  const { status, stdout, stderr } = cli('inspect', ...args, ...trust, '--json=short')
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

/** The lines of os-release(5) of this machine, as a shell has them, and the image's own. */
function osRelease(): Readonly<Record<string, string>> {
  const lines = readFileSync('/usr/lib/os-release', 'utf8').matchAll(/^(\w+)="?(.*?)"?$/gm)
  return { ...Object.fromEntries([...lines].map(([, name, value]) => [name, value])), MARKER: '1' }
}

test('a file system is shown with the tree beside it, under other names too, and with what its files say', () => {
  const check = (...options: readonly string[]) => {
    const { volumes, contents } = shown(images.raw, '--contents', ...options)
    assert.equal(volumes.length, 1)
    const [{ designator, uuid, label, architecture, fileSystem, verity }] = volumes
    assert.deepEqual([designator, uuid, label, architecture], ['root', null, null, null])
    assert.deepEqual([fileSystem.type, verity.rootHash, verity.hashVolume], ['squashfs', images.rootHash, null])
    assert.deepEqual(contents.osRelease, osRelease())
  }
  check()
  const at = (ending: string) => join(dirname(images.raw), `minimal_0.${ending}`)
  const moved = [
    ['verity', 'fooverity'],
    ['roothash', 'foohash'],
  ] as const
  for (const [one, other] of moved) renameSync(at(one), at(other))
  check(`--root-hash=${readFileSync(at('foohash'), 'utf8')}`, `--verity-data=${at('fooverity')}`)
  for (const [one, other] of moved) renameSync(at(other), at(one))
})

test('a GPT with tree and signature is shown, of root and of usr', () => {
  const { data, hash } = uuidsOf(images.rootHash)
  for (const [path, designator, title, ...more] of [
    [images.gpt, 'root', 'Root', '--contents'],
    [images.usrGpt, 'usr', 'Usr'],
  ] as const) {
    const { volumes, contents } = shown(path, `--${designator}-hash=${images.rootHash}`, ...more)
    assert.deepEqual(
      volumes.map((one: Record<string, unknown>) => [one['designator'], one['label'], one['architecture']]),
      [
        [designator, `${title} Partition`, 'x86-64'],
        [`${designator}-verity`, 'Verity Partition', 'x86-64'],
        [`${designator}-verity-sig`, 'Signature Partition', 'x86-64'],
      ],
    )
    const [covered, tree] = volumes
    assert.deepEqual([covered.uuid, covered.fileSystem.type], [data, 'squashfs'])
    assert.deepEqual([tree.uuid, tree.fileSystem.type], [hash, 'DM_verity_hash'])
    // Signed, by whom we trust.
    assert.match(covered.verity.signer, /^[0-9a-f]{64}$/)
    if (contents !== null) assert.deepEqual(contents.osRelease, osRelease())
  }
})

// systemd takes a tree that is there for protection; here a root hash has to be known, given or signed.
test('images are valid under the policies that TEST-50 tries, or not', async () => {
  const certificates = parseCertificates(readFileSync(images.certificate), images.certificate)
  const isValid = async (path: string, designator: string, policy: string | undefined, trusted = certificates) => {
    await using image = await openImage(path)
    const options = { certificates: trusted, architectures: ['x86-64'], [`${designator}Hash`]: images.rootHash }
    const asked = policy === undefined ? {} : { policy: parseImagePolicy(policy) }
    try {
      const volumes = validate(await dissect(image, { ...options, ...asked }))
      assert.ok(volumes.every(({ readOnly }) => readOnly))
      return true
    } catch (error) {
      assert.ok(
        error instanceof DdiError &&
          /^ERR_DDI_(POLICY|NOTHING_TO_ATTACH|NOT_COVERED|SIGNATURE_UNTRUSTED)$/.test(error.code),
        String(error),
      )
      return false
    }
  }
  for (const [policy, expected] of [
    [undefined, true],
    ['*', true],
    ['~', false],
    ['-', false],
    ['root=absent', false],
    ['swap=unprotected+encrypted+verity', false],
    ['root=unprotected', true],
    ['root=verity:swap=absent', true],
    ['root=verity:swap=absent+unprotected', true],
    ...['unprotected', 'signed', 'verity', 'verity+signed'].map((use) => [`root=${use}:=absent+unused`, true] as const),
  ] as const)
    assert.equal(await isValid(images.gpt, 'root', policy), expected, policy)
  // By whoever trusts nobody.
  for (const [policy, expected] of [
    ['verity', true],
    ['verity+signed', true],
    ['signed', false],
  ] as const)
    assert.equal(await isValid(images.gpt, 'root', `root=${policy}:=absent+unused`, []), expected, policy)
  for (const [path, name] of [
    [images.gpt, 'root'],
    [images.usrGpt, 'usr'],
  ] as const)
    for (const [policy, expected] of [
      ['verity', true],
      [`verity:${name}-verity-sig=unused+absent`, true],
      [`verity:${name}-verity=unused+absent`, false],
      ['signed', true],
      [`signed:${name}-verity-sig=unused+absent`, false],
      [`signed:${name}-verity=unused+absent`, false],
    ] as const)
      assert.equal(await isValid(path, name, `${name}=${policy}`), expected, `${name}=${policy}`)
})

test('extensions are told by the name that they are called by, of a link too', async () => {
  const uses = async (path: string) => await withTree(path, {}, async (tree) => (await readFacts(tree, path)).uses)
  const links = join(folder.path, 'links')
  mkdirSync(links)
  for (const { path, uses: expected } of makeExtensions(folder.path)) {
    assert.deepEqual(await uses(path), expected, path)
    const version = join(links, `other-${basename(path)}`)
    copyFileSync(path, version)
    assert.deepEqual(await uses(version), [])
    symlinkSync(version, join(links, basename(path)))
    assert.deepEqual(await uses(join(links, basename(path))), expected)
  }
})

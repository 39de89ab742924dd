import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { policyDesignators, policyUses } from '../../lib/image/policy.js'
import {
  DdiError,
  dissect,
  equivalentPolicies,
  formatImagePolicy,
  type ImagePolicy,
  intersectPolicies,
  namedPolicies,
  openImage,
  parseImagePolicy,
  policyFor,
} from '../../lib/index.js'
import { MiB, makeGptImage, makeVerityImage, typeUuids, writeAt } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'

/** A LUKS volume by cryptsetup, as if it had been made with a cipher. */
function makeLuks(folder: string, cipher = 'aes-xts-plain64'): string {
  const path = join(folder, 'luks')
  writeFileSync(path, Buffer.alloc(20 * MiB))
  const key = join(folder, 'key')
  writeFileSync(key, 'secret')
  const derivation = ['--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000']
  run('cryptsetup', 'luksFormat', '--batch-mode', '--type=luks2', ...derivation, path, key)
  const bytes = readFileSync(path)
  for (const at of [0, 16384]) {
    const before = bytes.toString('latin1', at + 4096, at + 16384)
    const after = before.replaceAll('"aes-xts-plain64"', `"${cipher}"`)
    bytes.write(after.padEnd(before.length, '\0').slice(0, before.length), at + 4096, 'latin1')
    bytes.fill(0, at + 448, at + 512)
    createHash('sha256')
      .update(bytes.subarray(at, at + 16384))
      .digest()
      .copy(bytes, at + 448)
  }
  writeFileSync(path, bytes)
  assert.ok(run('cryptsetup', 'luksDump', path).includes(`cipher: ${cipher}`))
  return path
}

const use = (policy: string, designator: Parameters<typeof policyFor>[1]) =>
  policyFor(parseImagePolicy(policy), designator).use

test('the examples and the rules of systemd.image-policy(7)', () => {
  // "dictates one read-only Verity-enabled /usr/ partition must exist, plus encrypted root and swap; all others are ignored"
  const first = 'usr=verity+read-only-on:root=encrypted:swap=encrypted'
  assert.deepEqual(use(first, 'usr'), ['verity'])
  assert.deepEqual(policyFor(parseImagePolicy(first), 'usr').readOnly, ['on'])
  assert.deepEqual(use(first, 'root'), ['encrypted'])
  assert.deepEqual(use(first, 'home'), ['unused', 'absent'])
  // Hash and signature partitions follow what they protect.
  assert.deepEqual(use(first, 'usr-verity'), ['unprotected'])
  assert.deepEqual(use(first, 'usr-verity-sig'), ['unused', 'absent'])
  assert.deepEqual(use(first, 'root-verity'), ['unused', 'absent'])
  const second = 'root=encrypted+read-only-off:srv=encrypted+absent:swap=absent'
  assert.deepEqual(policyFor(parseImagePolicy(second), 'root').readOnly, ['off'])
  assert.deepEqual(use(second, 'srv'), ['encrypted', 'absent'])
  assert.deepEqual(use(second, 'swap'), ['absent'])
  const third = 'root=unprotected+encrypted:swap=absent+unused:=unprotected+encrypted+absent'
  assert.deepEqual(use(third, 'root'), ['encrypted', 'unprotected'])
  assert.deepEqual(use(third, 'home'), ['encrypted', 'unprotected', 'absent'])
  assert.deepEqual(use(third, 'swap'), ['unused', 'absent'])
  // No flag of a kind means all of them.
  assert.deepEqual(use('root=', 'root'), [...policyUses])
  assert.deepEqual(use('root=read-only-on', 'root'), [...policyUses])
  assert.deepEqual(policyFor(parseImagePolicy('root=verity'), 'root').readOnly, ['on', 'off'])
  // Only root and usr can have verity.
  assert.deepEqual(use('home=verity+unprotected', 'home'), ['unprotected'])
  assert.ok(equivalentPolicies(parseImagePolicy('*'), parseImagePolicy('=open')))
  assert.ok(equivalentPolicies(parseImagePolicy('-'), parseImagePolicy('=unused+absent')))
  assert.ok(equivalentPolicies(parseImagePolicy(''), parseImagePolicy('-')))
  assert.ok(equivalentPolicies(parseImagePolicy('~'), parseImagePolicy('=absent')))
  assert.deepEqual(use('root=signed', 'root-verity-sig'), ['unprotected'])
  assert.deepEqual(use('root=signed+absent', 'root-verity'), ['unprotected', 'absent'])
})

test('the policies of systemd’s components', () => {
  assert.equal(
    formatImagePolicy(namedPolicies['sysext']!),
    'root=verity+signed+encrypted+encryptedwithintegrity+unprotected+absent:usr=verity+signed+encrypted+encryptedwithintegrity+unprotected+absent',
  )
  assert.deepEqual(policyFor(namedPolicies['confext']!, 'usr').use, ['unused', 'absent'])
  assert.deepEqual(policyFor(namedPolicies['service']!, 'esp').use, ['unused', 'absent'])
  assert.deepEqual(policyFor(namedPolicies['container']!, 'esp').use, ['unprotected', 'absent'])
  assert.deepEqual(policyFor(namedPolicies['container']!, 'swap').use, ['unused', 'absent'])
  assert.deepEqual(policyFor(namedPolicies['host']!, 'swap').use, [
    'encrypted',
    'encryptedwithintegrity',
    'unprotected',
    'absent',
  ])
  for (const name of ['*', '-', '~']) assert.equal(formatImagePolicy(parseImagePolicy(name)), name)
})

test('mistakes are told with the place', () => {
  const mistakes: [string, number][] = [
    ['root', 1],
    ['root=verity:usr', 13],
    ['root=verity+nothing', 13],
    ['root=verity:rot=absent', 13],
    ['root=absent:root=verity', 13],
    ['=absent:=open', 9],
    ['root=verity++signed', 13],
    ['root=read-only', 6],
    ['root=verity:', 13],
    ['**', 1],
    ['root=verity, usr=absent', 6],
  ]
  for (const [text, place] of mistakes)
    assert.throws(
      () => parseImagePolicy(text),
      { code: 'ERR_DDI_POLICY_SYNTAX', message: new RegExp(`character ${place}:`) },
      text,
    )
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'root=verity+signed:absent -*'), maxLength: 40 }), (text) => {
      try {
        parseImagePolicy(text)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_POLICY_SYNTAX', text)
      }
    }),
    { numRuns: 2000 },
  )
})

const flags = fc.subarray([...policyUses, 'read-only-on', 'read-only-off', 'growfs-on', 'growfs-off', 'erofs', 'ext4'])
const policies = fc
  .array(fc.tuple(fc.constantFrom(...policyDesignators, ''), flags), { maxLength: 5 })
  .map((rules) => new Map(rules))
  .map((rules) => [...rules].map(([designator, flags]) => `${designator}=${flags.join('+')}`).join(':'))

test('what is printed reads back as an equivalent policy, and an intersection allows just what both do', () => {
  fc.assert(
    fc.property(policies, (text) => {
      const policy = parseImagePolicy(text)
      assert.ok(
        equivalentPolicies(parseImagePolicy(formatImagePolicy(policy)), policy),
        `${text} and ${formatImagePolicy(policy)}`,
      )
    }),
    { numRuns: 2000 },
  )
  let met = 0
  fc.assert(
    fc.property(policies, policies, (one, two) => {
      const [a, b] = [parseImagePolicy(one), parseImagePolicy(two)]
      let both: ImagePolicy
      try {
        both = intersectPolicies(a, b)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_POLICY_CONFLICT')
        return
      }
      met++
      for (const designator of ['home', 'srv', 'swap', 'esp'] as const) {
        const [x, y, z] = [a, b, both].map((policy) => policyFor(policy, designator).use) as [
          string[],
          string[],
          string[],
        ]
        assert.deepEqual(
          z,
          x.filter((each) => y.includes(each)),
          `${designator} of ${one} and ${two}`,
        )
      }
    }),
    { numRuns: 2000 },
  )
  assert.ok(met > 100)
  assert.throws(() => intersectPolicies(parseImagePolicy('root=absent'), parseImagePolicy('root=verity')), {
    code: 'ERR_DDI_POLICY_CONFLICT',
  })
})

test('an image is used as its policy says, or refused', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const judged = async (policy: string, options: object = { rootHash }) => {
    await using image = await openImage(path)
    return [
      ...(
        await dissect(image, { policy: parseImagePolicy(policy), architectures: ['x86-64'], ...options })
      ).roles.keys(),
    ]
  }
  for (const accepted of [
    '*',
    'root=verity',
    'root=verity+signed',
    'root=unprotected',
    'root=verity+erofs',
    'root=verity+read-only-off:home=absent',
  ])
    assert.deepEqual(await judged(accepted), ['root'], accepted)
  for (const ignored of ['-', 'root=unused', 'root=ignore', 'root=encrypted+unused'])
    assert.deepEqual(await judged(ignored), [], ignored)
  const refusals: [string, RegExp, object?][] = [
    ['root=signed', /root is verity/],
    ['root=encrypted', /root is verity/],
    ['root=absent', /root is present/],
    ['~', /root is present/],
    ['root=verity:home=unprotected', /home is absent/],
    ['root=verity+read-only-on', /read-only flag off/],
    ['root=verity+growfs-on', /growfs flag off/],
    ['root=verity+squashfs', /holds erofs/],
    ['root=verity', /root is unprotected/, {}],
  ]
  for (const [policy, message, options] of refusals)
    await assert.rejects(judged(policy, options), { code: 'ERR_DDI_POLICY', message }, policy)
  const plain = join(folder.path, 'plain.raw')
  makeGptImage(plain, 16 * MiB, [{ type: typeUuids.root, size: MiB }])
  const inspected = cli('inspect', plain, '--image-policy=root=signed', '--architecture=x86-64')
  assert.deepEqual([inspected.status, /ERR_DDI_POLICY/.test(inspected.stderr)], [3, true])
  assert.equal(cli('inspect', plain, '--image-policy=root=nothing').status, 2)
})

test('hash and signature volumes that a policy forbids protect nothing', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const judged = async (policy: string, given: { rootHash?: string } = { rootHash }) => {
    await using image = await openImage(path)
    const { verity, roles } = await dissect(image, {
      architectures: ['x86-64'],
      policy: parseImagePolicy(policy),
      ...given,
    })
    return [verity.get('root')?.trusted, roles.has('root')]
  }
  const refused = { code: 'ERR_DDI_POLICY' }
  assert.deepEqual(await judged('root=verity'), [true, true])
  assert.deepEqual(await judged('root=verity:root-verity=unprotected'), [true, true])
  for (const forbidden of ['unused+absent', 'unused', 'absent', 'ignore'])
    await assert.rejects(judged(`root=verity:root-verity=${forbidden}`), refused, forbidden)
  // The root may be used without, but not as if it were covered.
  assert.deepEqual(await judged('root=verity+unprotected:root-verity=unused'), [false, true])
  assert.match(
    cli('plan', path, `--root-hash=${rootHash}`, '--image-policy=root=unprotected:root-verity=unused').stderr,
    /ERR_DDI_NOT_COVERED/,
  )
  // Flags do not hide the volume that the root hash names from the policy.
  run('sgdisk', '--attributes=2:set:63', path)
  assert.deepEqual(await judged('root=verity'), [true, true])
  for (const forbidden of ['unused+absent', 'absent'])
    await assert.rejects(judged(`root=verity:root-verity=${forbidden}`), refused, forbidden)
  // A tree beside the image is not the partition that the policy is about.
  const bytes = readFileSync(join(folder.path, 'hash'))
  writeFileSync(join(folder.path, 'image.verity'), bytes)
  assert.deepEqual(await judged('root=verity:root-verity=unused+absent'), [true, true])
})

test('names that every object has are none of a policy', () => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'nosuch'])
    for (const text of [name, `root=${name}`, `root=verity+${name}`, `${name}=verity`, `=${name}`])
      assert.throws(() => parseImagePolicy(text), { code: 'ERR_DDI_POLICY_SYNTAX' }, text)
})

test('a LUKS volume that encrypts nothing is not encrypted: of two headers, either could count', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const judged = async (volume: string, designator: 'home' | 'root' = 'home') => {
    makeGptImage(path, 40 * MiB, [{ type: typeUuids[designator], size: 20 * MiB, from: volume }])
    await using image = await openImage(path)
    const policy = parseImagePolicy(`${designator}=encrypted`)
    return (await dissect(image, { policy, architectures: ['x86-64'] })).roles.has(designator)
  }
  for (const designator of ['home', 'root'] as const)
    assert.equal(await judged(makeLuks(folder.path), designator), true)
  for (const cipher of ['cipher_null-ecb', 'capi:ecb(cipher_null)-plain'])
    await assert.rejects(judged(makeLuks(folder.path, cipher)), { code: 'ERR_DDI_POLICY', message: /is unprotected/ })
  const good = readFileSync(makeLuks(folder.path))
  const bad = readFileSync(makeLuks(folder.path, 'cipher_null-ecb'))
  const mixed = join(folder.path, 'mixed')
  for (const [first, second] of [
    [good, bad],
    [bad, good],
  ] as const) {
    writeFileSync(mixed, good)
    writeAt(mixed, 0, first.subarray(0, 16384))
    writeAt(mixed, 16384, second.subarray(16384, 32768))
    await assert.rejects(judged(mixed), { code: 'ERR_DDI_POLICY' })
  }
  const deep = Buffer.from(good)
  deep.fill('[', 4096, 16384)
  writeFileSync(mixed, deep)
  await assert.rejects(judged(mixed), { code: 'ERR_DDI_POLICY' })
})

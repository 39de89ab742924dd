import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type DissectOptions,
  dissect,
  openImage,
  parseImagePolicy,
  plan,
  requireWhole,
  sign,
  trustedCertificates,
  verify,
} from '../../lib/index.js'
import { encodeSignatureRecord, parseCertificates } from '../../lib/verity/index.js'
import { makeSignedImage, makeVerityImage } from '../support/images.js'
import { type Identity, makeIdentity } from '../support/keys.js'
import { cli, cliAsNobody, temporaryFolder } from '../support/run.js'

const signerOf = ({ key, certificate }: Identity) =>
  ({
    kind: 'key',
    key: readFileSync(key),
    certificate: parseCertificates(readFileSync(certificate), certificate)[0]!,
  }) as const

/** An image whose record says what `record` makes of the root hash. */
async function signedImage(folder: string, identity: Identity, tamper: (hash: string) => string = (one) => one) {
  // The tree is the same for the same tree of files: once to learn the root hash, once to sign it.
  const records = new Map<string, Uint8Array>()
  let image = makeSignedImage(folder, () => new Uint8Array(4096))
  for (let round = 0; round < 2 && !records.has(image.rootHash); round++) {
    const record = await sign(Buffer.from(tamper(image.rootHash), 'hex'), signerOf(identity))
    records.set(image.rootHash, encodeSignatureRecord({ ...record, rootHash: Buffer.from(image.rootHash, 'hex') }))
  }
  const { rootHash, path } = image
  const record = records.get(rootHash)!
  const bytes = readFileSync(path)
  // Where the record lies, from the table.
  await using opened = await openImage(path)
  const volume = requireWhole(opened.volumes.find(({ designator }) => designator === 'root-verity-sig')!)
  const [extent] = volume.extents
  bytes.set(record, extent!.kind === 'linear' ? extent!.start : 0)
  writeFileSync(path, bytes)
  image = { ...image }
  return image
}

async function dissected(path: string, options: DissectOptions) {
  await using image = await openImage(path)
  const dissection = await dissect(image, { architectures: ['x86-64'], ...options })
  return { pair: dissection.verity.get('root'), problems: dissection.problems.map(({ code }) => code), dissection }
}

test('a root hash that somebody trusted signed needs no other source; what nobody trusted signed is not verified', async () => {
  using folder = temporaryFolder()
  const identity = makeIdentity(folder.path, 'signer')
  const other = makeIdentity(folder.path, 'other')
  const { path, rootHash } = await signedImage(folder.path, identity)
  const certificates = await trustedCertificates([identity.certificate], [])
  const trusted = await dissected(path, { certificates, policy: parseImagePolicy('root=signed') })
  assert.ok(trusted.pair?.trusted)
  assert.equal(Buffer.from(trusted.pair.rootHash).toString('hex'), rootHash)
  assert.deepEqual(
    [trusted.pair.rootHashSource, typeof trusted.pair.signature?.signer, trusted.problems],
    ['signature', 'string', []],
  )
  const strangers = await trustedCertificates([other.certificate], [])
  const untrusted = await dissected(path, { certificates: strangers })
  assert.deepEqual([untrusted.pair?.trusted, untrusted.problems], [false, ['ERR_DDI_SIGNATURE_UNTRUSTED']])
  await assert.rejects(dissected(path, { certificates: strangers, policy: parseImagePolicy('root=signed') }), {
    code: 'ERR_DDI_POLICY',
  })
  // A root hash of one's own is trusted all the same.
  const given = await dissected(path, { certificates: strangers, rootHash })
  assert.deepEqual([given.pair?.trusted, given.problems], [true, ['ERR_DDI_SIGNATURE_UNTRUSTED']])
  // The kernel, if asked, is the one to judge, and the plan has what it needs.
  await using image = await openImage(path)
  const forKernel: DissectOptions = { architectures: ['x86-64'], certificates: [], signature: 'kernel' }
  const node = plan(await dissect(image, forKernel)).nodes.find(({ kind }) => kind === 'verity')
  assert.ok(node?.kind === 'verity' && node.signatureRequired && node.signature!.startsWith('30'))
  const shown = cli('inspect', path, `--certificate=${identity.certificate}`, '--architecture=x86-64')
  assert.match(shown.stdout, /root \(signed\)/)
  assert.match(cli('inspect', path, '--architecture=x86-64').stderr, /ERR_DDI|none of the 0 trusted certificates/)
})

test('a signature of another root hash, in the record and beside the image, is told and vouches for nothing', async () => {
  using folder = temporaryFolder()
  const identity = makeIdentity(folder.path, 'signer')
  const certificates = await trustedCertificates([identity.certificate], [])
  const { path } = await signedImage(folder.path, identity, (hash) =>
    hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
  )
  const { pair, problems } = await dissected(path, { certificates })
  assert.deepEqual([pair?.trusted, problems], [false, ['ERR_DDI_SIGNATURE_WRONG']])

  mkdirSync(join(folder.path, 'beside'))
  const image = makeVerityImage(join(folder.path, 'beside'))
  const { signature } = await sign(Buffer.from(image.rootHash, 'hex'), signerOf(identity))
  const side = join(folder.path, 'beside/image.roothash.p7s')
  writeFileSync(side, signature)
  const good = await dissected(image.path, {
    certificates,
    rootHash: image.rootHash,
    policy: parseImagePolicy('root=signed'),
  })
  assert.ok(good.pair?.trusted && good.pair.signature)
  writeFileSync(side, signature.subarray(0, 100))
  const bad = await dissected(image.path, { certificates, rootHash: image.rootHash })
  assert.deepEqual([bad.pair?.trusted, bad.problems], [true, ['ERR_DDI_SIGNATURE_FORMAT']])
})

test('a certificate in an earlier folder hides one of its name in a later one', async () => {
  using folder = temporaryFolder()
  const [one, two, three] = ['one', 'two', 'three'].map((name) => makeIdentity(folder.path, name)) as [
    Identity,
    Identity,
    Identity,
  ]
  for (const [name, identity] of [
    ['first/a.crt', one],
    ['second/a.crt', two],
    ['second/b.crt', three],
    ['second/c.pem', two],
  ] as const) {
    mkdirSync(join(folder.path, name.split('/')[0]!), { recursive: true })
    writeFileSync(join(folder.path, name), readFileSync(identity.certificate))
  }
  const folders = ['first', 'none', 'second'].map((name) => join(folder.path, name))
  const subjects = (await trustedCertificates([], folders)).map(({ subject }) => subject)
  assert.deepEqual(subjects, ['CN=one', 'CN=three'])
  await assert.rejects(trustedCertificates([join(folder.path, 'none.crt')], []), { code: 'ERR_DDI_NOT_FOUND' })
  writeFileSync(join(folder.path, 'first/z.crt'), 'nothing')
  await assert.rejects(trustedCertificates([], folders), { code: 'ERR_DDI_CERTIFICATE' })
})

test('a signature that only the kernel may judge counts for nothing where no kernel is asked', async () => {
  using folder = temporaryFolder()
  const { path } = await signedImage(folder.path, makeIdentity(folder.path, 'anybody'))
  chmodSync(folder.path, 0o755)
  chmodSync(path, 0o644)
  const { pair, dissection } = await dissected(path, { signature: 'kernel' })
  assert.deepEqual([pair?.trusted, pair && 'signature' in pair && pair.signature?.signer], [false, null])
  await assert.rejects(verify(dissection), { code: 'ERR_DDI_SIGNATURE_KERNEL' })
  for (const mode of ['kernel', 'both'])
    for (const [verb, ...more] of [
      ['validate'],
      ['validate', '--image-policy=root=signed'],
      ['list-files'],
      ['digest'],
    ])
      assert.match(
        cliAsNobody(verb!, path, `--signature=${mode}`, ...more).stderr,
        mode === 'kernel' ? /ERR_DDI_SIGNATURE_KERNEL/ : /ERR_DDI_(SIGNATURE_KERNEL|POLICY)/,
      )
  const copied = cliAsNobody('copy-from', path, 'etc/os-release', '--signature=kernel')
  assert.deepEqual([copied.stdout, copied.status], ['', 1])
  assert.match(cli('inspect', path, '--architecture=x86-64', '--signature=kernel').stdout, /root +/)
  assert.doesNotMatch(
    cli('inspect', path, '--architecture=x86-64', '--signature=kernel').stdout,
    /\((signed|verified)\)/,
  )
})

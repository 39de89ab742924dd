// Images with several versions of /usr, as sysupdate leaves them, and with a root that none of them covers.
import assert from 'node:assert/strict'
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type DissectOptions,
  dissect,
  openImage,
  parseImagePolicy,
  plan,
  trustedCertificates,
} from '../../lib/index.js'
import {
  flipBit,
  formatVerity,
  MiB,
  makeFileSystem,
  makeGptImage,
  type PartitionSpec,
  typeUuids,
  uuidsOf,
} from '../support/images.js'
import { type Identity, makeIdentity } from '../support/keys.js'
import { cli, run, temporaryFolder } from '../support/run.js'
import { signatureRecord } from '../support/signature-record.js'

/** One version of /usr, signed: its three partitions and its root hash. */
function makeVersion(folder: string, version: string, identity: Identity) {
  const data = join(folder, `${version}.usr`)
  copyFileSync(makeFileSystem(folder, 'erofs'), data)
  const { rootHash, hashPath } = formatVerity(data, join(folder, `${version}.tree`))
  const record = join(folder, `${version}.sig`)
  writeFileSync(record, signatureRecord(folder, rootHash, identity))
  const uuids = uuidsOf(rootHash)
  const partitions: readonly PartitionSpec[] = [
    { type: typeUuids.usrVeritySig, size: 16384, label: `os_${version}_sig`, from: record },
    { type: typeUuids.usrVerity, size: MiB, uuid: uuids.hash, label: `os_${version}_tree`, from: hashPath },
    { type: typeUuids.usr, size: 2 * MiB, uuid: uuids.data, label: `os_${version}`, from: data },
  ]
  return { rootHash, partitions }
}

/** What is used as /usr, how it is covered, and the codes of what is wrong with the rest. */
async function used(path: string, options: DissectOptions) {
  await using image = await openImage(path)
  const { roles, verity, problems } = await dissect(image, { architectures: ['x86-64'], ...options })
  const pair = verity.get('usr')
  const covered = pair?.trusted ? (pair.signature ? 'signed' : 'verified') : 'no'
  return [roles.get('usr')?.label, covered, ...problems.map(({ code }) => code)]
}

test('of several signed versions the newest counts whose data and tree are there and match', async () => {
  using folder = temporaryFolder()
  const identity = makeIdentity(folder.path, 'signer')
  const certificates = await trustedCertificates([identity.certificate], [])
  const policy = parseImagePolicy('usr=signed:=ignore')
  const [old, recent] = [makeVersion(folder.path, '27.178', identity), makeVersion(folder.path, '118.26', identity)]
  const path = join(folder.path, 'ab.raw')
  const starts = makeGptImage(path, 32 * MiB, [...recent.partitions, ...old.partitions])
  for (const options of [{ certificates }, { certificates, policy }])
    assert.deepEqual(await used(path, options), ['os_118.26', 'signed'])
  // Each has its own signature, whichever comes last.
  for (const [{ rootHash }, label] of [
    [old, 'os_27.178'],
    [recent, 'os_118.26'],
  ] as const)
    assert.deepEqual(await used(path, { certificates, usrHash: rootHash, policy }), [label, 'signed'])
  // The newer tree is damaged at its top: the older version is whole.
  flipBit(path, starts[1]! + 4096)
  assert.deepEqual(await used(path, { certificates, policy }), ['os_27.178', 'signed', 'ERR_DDI_ROOT_HASH_WRONG'])
  // An update wrote the signature, and was cut off before the rest.
  const [signature] = recent.partitions
  const empty = [typeUuids.usrVerity, typeUuids.usr].map((type) => ({ type, size: MiB, label: '_empty' }))
  makeGptImage(path, 32 * MiB, [...old.partitions, signature!, ...empty])
  assert.deepEqual(await used(path, { certificates, policy }), ['os_27.178', 'signed', 'ERR_DDI_ROOT_HASH_MISMATCH'])
  // If that is all there is, there is nothing to fall back to.
  makeGptImage(path, 32 * MiB, [signature!, ...empty])
  await assert.rejects(used(path, { certificates, policy }), { code: 'ERR_DDI_ROOT_HASH_MISMATCH' })
  // What nobody trusted signed does not keep the rest from counting.
  const stranger = makeVersion(folder.path, '200', makeIdentity(folder.path, 'stranger'))
  makeGptImage(path, 32 * MiB, [...stranger.partitions, ...old.partitions])
  assert.deepEqual(await used(path, { certificates }), ['os_27.178', 'signed', 'ERR_DDI_SIGNATURE_UNTRUSTED'])
})

test('a root or a home beside a covered /usr is offered without permission to execute, or not at all', async () => {
  using folder = temporaryFolder()
  const identity = makeIdentity(folder.path, 'signer')
  const certificates = await trustedCertificates([identity.certificate], [])
  const { rootHash, partitions } = makeVersion(folder.path, '1', identity)
  const path = join(folder.path, 'image.raw')
  const root = { type: typeUuids.root, size: 8 * MiB, label: 'state', from: makeFileSystem(folder.path, 'ext4') }
  const home = { type: typeUuids.home, size: 8 * MiB, label: 'data', from: root.from }
  makeGptImage(path, 32 * MiB, [...partitions, root, home])
  const offered = async (options: DissectOptions, volumes?: readonly string[]) => {
    await using image = await openImage(path)
    const dissection = await dissect(image, { architectures: ['x86-64'], ...options })
    const planned = plan(dissection, { writable: true, ...(volumes && { volumes }) })
    return planned.volumes.map(({ node, verified, readOnly, noExec }) =>
      [node, ...(verified ? ['verified'] : []), readOnly ? 'ro' : 'rw', ...(noExec ? ['noexec'] : [])].join(' '),
    )
  }
  const both = ['usr verified ro', 'root rw noexec']
  const data = 'home rw noexec'
  for (const options of [{ certificates }, { usrHash: rootHash }, { certificates, usrHash: rootHash }]) {
    assert.deepEqual((await offered(options)).toSorted(), [...both, data].toSorted())
    assert.deepEqual(await offered({ ...options, strict: true }), ['usr verified ro', data])
    // By name, too.
    assert.deepEqual(await offered(options, ['os_1', 'data']), ['os_1 verified ro', 'data rw noexec'])
    // That it may be used is not that it may hold programs.
    const use = parseImagePolicy('home=unprotected:usr=verity+signed:=ignore')
    assert.deepEqual(await offered({ ...options, policy: use }), ['usr verified ro', data])
    // A policy that takes it either way does not say that it may hold programs.
    const open = parseImagePolicy('root=open:usr=verity+signed:=ignore')
    assert.deepEqual((await offered({ ...options, policy: open })).toSorted(), both.toSorted())
    const named = parseImagePolicy('root=unprotected:usr=verity+signed:=ignore')
    assert.deepEqual((await offered({ ...options, policy: named })).toSorted(), ['root rw', 'usr verified ro'])
    const refused = { code: 'ERR_DDI_NOT_COVERED' }
    await assert.rejects(offered({ ...options, policy: named, strict: true }), refused)
    await assert.rejects(offered({ ...options, strict: true }, ['state', 'os_1']), refused)
  }
  // A /usr that nothing covers would hide what a root hash covers.
  run('sgdisk', '--delete=1', '--delete=2', `--typecode=3:${typeUuids.root}`, `--typecode=4:${typeUuids.usr}`, path)
  const { hashPath } = formatVerity(join(folder.path, '1.usr'), join(folder.path, 'other.tree'), '--salt=00')
  const report = run('veritysetup', 'format', '--salt=00', join(folder.path, '1.usr'), hashPath)
  const ofRoot = /^Root hash:\s*([0-9a-f]+)$/m.exec(report)![1]!
  run('sgdisk', `--partition-guid=3:${uuidsOf(ofRoot).data}`, path)
  const verityData = hashPath
  await assert.rejects(offered({ rootHash: ofRoot, verityData }), { code: 'ERR_DDI_NOT_COVERED' })
  const policy = parseImagePolicy('root=verity:usr=unprotected:=ignore')
  assert.deepEqual((await offered({ rootHash: ofRoot, verityData, policy })).toSorted(), ['root verified ro', 'usr rw'])
})

test('a tree or a signature under another name, and a tree behind its data, count as those beside the image', async () => {
  using folder = temporaryFolder()
  const identity = makeIdentity(folder.path, 'signer')
  const path = makeFileSystem(folder.path, 'erofs')
  const { rootHash, hashPath } = formatVerity(path, join(folder.path, 'hash-tree'))
  const [text, signature] = [join(folder.path, 'text'), join(folder.path, 'signature')]
  writeFileSync(text, rootHash)
  run(
    ...(['openssl', 'smime', '-sign', '-binary', '-noattr', '-nocerts', '-outform', 'DER', '-in', text] as const),
    ...['-signer', identity.certificate, '-inkey', identity.key, '-out', signature],
  )
  const trust = [`--root-hash=${rootHash}`, `--certificate=${identity.certificate}`, '--image-policy=root=signed']
  assert.match(cli('validate', path, ...trust).stderr, /ERR_DDI_VERITY_MISSING/)
  for (const given of [signature, `base64:${readFileSync(signature).toString('base64')}`]) {
    const args = [...trust, `--root-hash-signature=${given}`]
    assert.equal(cli('validate', path, ...args, `--verity-data=${hashPath}`).status, 0)
    const appended = join(folder.path, 'appended.raw')
    copyFileSync(path, appended)
    appendFileSync(appended, readFileSync(hashPath))
    assert.equal(cli('validate', appended, ...args).status, 0)
    flipBit(appended, 5000)
    assert.match(cli('verify', appended, ...args).stderr, /1 of \d+ data blocks .*ERR_DDI_VERITY_CORRUPT/)
  }
  // What is given is used or refused.
  writeFileSync(signature, readFileSync(signature).subarray(1))
  const withTree = [...trust.slice(0, 2), `--verity-data=${hashPath}`]
  assert.match(
    cli('validate', path, ...withTree, `--root-hash-signature=${signature}`).stderr,
    /ERR_DDI_SIGNATURE_FORMAT/,
  )
  for (const option of [`--verity-data=${hashPath}`, `--root-hash-signature=${signature}`])
    assert.match(cli('validate', path, option).stderr, /no root hash of the root volume .*ERR_DDI_USAGE/)
})

test('why nothing is offered is said as it is', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const said = (...args: string[]) => cli('plan', path, ...args).stderr
  makeGptImage(path, 4 * MiB, [{ type: typeUuids.root, size: MiB, label: 'os', attributes: [63] }])
  assert.match(said('--architecture=x86-64'), /flags or the label _empty keep its root from being used/)
  assert.match(said('--architecture=arm64'), /its volumes are for x86-64, and not for arm64/)
  assert.match(said('--architecture=amd46'), /no partition type is for the architecture "amd46": there are .*arm64/)
  makeGptImage(path, 4 * MiB, [{ type: typeUuids.root, size: MiB, label: 'os' }])
  assert.match(
    said('--architecture=x86-64', '--image-policy=usr=open:=ignore'),
    /the image policy leaves its root unused/,
  )
})

import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
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
import { formatVerity, MiB, makeFileSystem, makeGptImage, typeUuids, uuidsOf } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { cli, temporaryFolder } from '../support/run.js'

/** A verified root, an older one that nothing covers, and a home; their labels are new, old, home. */
function makeTwoRoots(folder: string): { readonly path: string; readonly rootHash: string } {
  const data = makeFileSystem(folder, 'erofs')
  const { rootHash, hashPath } = formatVerity(data, join(folder, 'tree.hash'))
  const uuids = uuidsOf(rootHash)
  const path = join(folder, 'two.raw')
  makeGptImage(path, 64 * MiB, [
    { type: typeUuids.root, size: 4 * MiB, uuid: uuids.data, label: 'new', from: data },
    { type: typeUuids.rootVerity, size: MiB, uuid: uuids.hash, label: 'tree', from: hashPath },
    { type: typeUuids.root, size: 4 * MiB, label: 'old', from: data },
    { type: typeUuids.home, size: 4 * MiB, label: 'home', from: data },
  ])
  return { path, rootHash }
}

async function offered(path: string, options: DissectOptions, volumes?: readonly string[]) {
  await using image = await openImage(path)
  const dissection = await dissect(image, { architectures: ['x86-64'], ...options })
  return plan(dissection, volumes ? { volumes } : {}).volumes.map(({ node, verified }) => `${node} ${verified}`)
}

test('a root hash for /usr is refused where there can be no /usr: on an image without a table', async () => {
  using folder = temporaryFolder()
  const path = makeFileSystem(folder.path, 'erofs')
  const { rootHash, hashPath } = formatVerity(path, join(folder.path, 'hash'))
  renameSync(hashPath, `${path}.verity`)
  const refused = { code: 'ERR_DDI_ROOT_HASH_MISMATCH' }
  for (const usrHash of [rootHash, 'ab'.repeat(32)]) await assert.rejects(offered(path, { usrHash }), refused)
  for (const verb of ['plan', 'validate', 'inspect', 'verify', 'list-files'])
    assert.match(cli(verb, path, `--usr-hash=${rootHash}`).stderr, /no usr volume.*ERR_DDI_ROOT_HASH_MISMATCH/, verb)
  writeFileSync(`${path}.usrhash`, rootHash)
  await assert.rejects(offered(path, {}), refused)
  await assert.rejects(offered(path, { rootHash }), refused)
})

test('volumes are offered by name only if the root hash that was given covers what of them is executable', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeTwoRoots(folder.path)
  const refused = { code: 'ERR_DDI_NOT_COVERED' }
  assert.deepEqual(await offered(path, { rootHash }, ['new']), ['new true'])
  assert.deepEqual(await offered(path, { rootHash }, ['new', 'home']), ['new true', 'home false'])
  for (const volumes of [['old'], ['old', 'new'], ['new', 'old'], ['home']])
    await assert.rejects(offered(path, { rootHash }, volumes), refused, volumes.join())
  // Nobody said what to trust.
  assert.deepEqual(await offered(path, {}, ['old', 'home']), ['old false', 'home false'])
  // A root hash beside the image is about its root alone.
  writeFileSync(join(folder.path, 'two.roothash'), rootHash)
  assert.deepEqual(await offered(path, {}, ['home']), ['home false'])
  await assert.rejects(offered(path, {}, ['old']), refused)
  await assert.rejects(offered(path, { rootHash: 'ab'.repeat(32) }, ['old']), { code: 'ERR_DDI_ROOT_HASH_MISMATCH' })
})

test('certificates, and who verifies signatures, are not given for nothing', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeTwoRoots(folder.path)
  const identity = makeIdentity(folder.path, 'signer')
  const certificates = await trustedCertificates([identity.certificate], [])
  const refused = { code: 'ERR_DDI_SIGNATURE_UNTRUSTED' }
  for (const given of [{ certificates }, { signature: 'userspace' }, { certificates, signature: 'both' }] as const)
    for (const volumes of [undefined, ['old'], ['home'], ['new']])
      await assert.rejects(offered(path, given, volumes), refused)
  // A root hash of one's own is trust enough; a signature is demanded by naming who verifies it.
  assert.deepEqual(await offered(path, { certificates, rootHash }), ['root true', 'home false'])
  assert.deepEqual(await offered(path, { certificates, rootHash }, ['new', 'home']), ['new true', 'home false'])
  for (const volumes of [['old'], ['home']])
    await assert.rejects(offered(path, { certificates, rootHash }, volumes), { code: 'ERR_DDI_NOT_COVERED' })
  for (const given of [{ signature: 'userspace' }, { certificates, signature: 'both' }] as const)
    for (const volumes of [undefined, ['new']])
      await assert.rejects(offered(path, { ...given, rootHash }, volumes), refused)
  const signed = parseImagePolicy('root=signed:=ignore')
  await assert.rejects(offered(path, { certificates, rootHash, policy: signed }), { code: 'ERR_DDI_POLICY' })
  await assert.rejects(offered(path, { certificates, signature: 'kernel' }), { code: 'ERR_DDI_USAGE' })
  // Whoever may write beside the image could have put it there.
  writeFileSync(join(folder.path, 'two.roothash'), rootHash)
  for (const verb of ['plan', 'validate', 'list-files', 'verify'])
    assert.match(cli(verb, path, `--certificate=${identity.certificate}`).stderr, /no trusted certificate signed/, verb)
})

test('what was meant to be trusted and is not there is refused, not taken for nothing', async () => {
  using folder = temporaryFolder()
  const { path } = makeTwoRoots(folder.path)
  for (const name of ['rootHash', 'usrHash', 'policy', 'certificates', 'signature'])
    for (const value of [undefined, null])
      await assert.rejects(offered(path, { [name]: value } as DissectOptions), { code: 'ERR_DDI_USAGE' })
  for (const policy of ['root=signed', {}, Object] as const)
    await assert.rejects(offered(path, { policy } as unknown as DissectOptions), { code: 'ERR_DDI_USAGE' })
  await assert.rejects(offered(path, { signature: 'kernal' } as unknown as DissectOptions), { code: 'ERR_DDI_USAGE' })
})

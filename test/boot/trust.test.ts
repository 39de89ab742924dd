import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseBootParameters } from '../../lib/boot/parameters.js'
import {
  decideTrust,
  devicePolicy,
  dissectOptionsOf,
  readTrustAnchors,
  type Trust,
  type TrustSubject,
} from '../../lib/boot/trust.js'
import { DdiError, dissect, openImage, plan, type VerifyMode } from '../../lib/index.js'
import type { ImageKind } from '../../lib/pull/names.js'
import { makeSignedImage, typeUuids } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { run, temporaryFolder } from '../support/run.js'
import { signatureRecord } from '../support/signature-record.js'

const hash = 'ab'.repeat(32)

test('nothing is used without an anchor of the initrd, whatever is combined', () => {
  using folder = temporaryFolder()
  const certificate = new X509Certificate(readFileSync(makeIdentity(folder.path, 'signer').certificate))
  const subjects = fc.record({
    kind: fc.constantFrom<ImageKind>('raw', 'tar'),
    use: fc.constantFrom<TrustSubject['use']>('root', 'device', 'extension'),
    verify: fc.constantFrom<VerifyMode>('no', 'checksum', 'signature', { sha256: hash }),
    requestedBy: fc.constantFrom<TrustSubject['requestedBy']>('command-line', 'credential'),
  })
  const anchors = fc.record({
    rootHash: fc.constantFrom(undefined, hash),
    usrHash: fc.constantFrom(undefined, hash),
    certificates: fc.constantFrom([], [certificate]),
    policy: fc.constant(undefined),
    insecure: fc.boolean(),
  })
  const seen = new Set<string>()
  fc.assert(
    fc.property(subjects, anchors, (subject, given) => {
      const { kind, use, verify, requestedBy } = subject
      let trust: Trust | undefined
      try {
        trust = decideTrust(subject, given)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_UNTRUSTED')
      }
      seen.add(trust?.by ?? 'refused')
      const isRawRoot = kind === 'raw' && use === 'root'
      const isPinned = given.rootHash !== undefined || given.usrHash !== undefined
      const pinned = isRawRoot && isPinned
      switch (trust?.by) {
        case undefined:
          if (kind === 'tar' && use === 'root' && isPinned) break
          // What is refused has no anchor at all.
          assert.ok(!given.insecure && !pinned && (kind === 'tar' || given.certificates.length === 0))
          assert.ok(
            isRawRoot || (verify !== 'signature' && (typeof verify === 'string' || requestedBy === 'credential')),
          )
          break
        case 'root-hash':
          assert.ok(pinned)
          assert.deepEqual([trust.rootHash, trust.usrHash], [given.rootHash, given.usrHash])
          // Nobody who signs lets in a /usr beside a pinned root.
          assert.deepEqual(dissectOptionsOf(trust, undefined).certificates, [])
          break
        case 'signature':
          assert.ok(kind === 'raw' && trust.certificates.length > 0 && !pinned)
          // An image without a signature is refused where certificates are given.
          assert.ok(dissectOptionsOf(trust, undefined).certificates!.length > 0)
          break
        case 'download':
          assert.ok(!isRawRoot && !(use === 'root' && isPinned))
          assert.ok(verify === 'signature' || (typeof verify === 'object' && requestedBy === 'command-line'))
          break
        case 'nothing':
          assert.ok(given.insecure && !pinned)
      }
    }),
    { numRuns: 3000 },
  )
  assert.equal(seen.size, 5)
})

test('anchors are of the command line and the files of the initrd', async () => {
  using folder = temporaryFolder()
  const read = (line: string) => readTrustAnchors(folder.path, parseBootParameters(line))
  const none = { rootHash: undefined, usrHash: undefined, certificates: [], policy: undefined, insecure: false }
  assert.deepEqual(await read('quiet'), none)
  // Credentials and other programs write below /run.
  for (const directory of ['run/verity.d', 'etc/verity.d']) {
    mkdirSync(join(folder.path, directory), { recursive: true })
    makeIdentity(join(folder.path, directory), directory.slice(0, 3))
  }
  const found = await read(
    `roothash=${'1'.repeat(64)} roothash=${hash.toUpperCase()} usrhash=${hash} systemd.image_policy=root=signed ddi.insecure`,
  )
  assert.deepEqual([found.rootHash, found.usrHash, found.insecure], [hash, hash, true])
  assert.deepEqual(found.policy?.partitions.get('root')?.use, ['signed'])
  assert.deepEqual(
    found.certificates.map(({ subject }) => subject),
    ['CN=etc'],
  )
  assert.equal((await read('ddi.insecure=no')).insecure, false)
  for (const line of [
    'ddi.insecure ddi.insecure=0',
    'note="a ddi.insecure b"',
    'ddi.insecure=perhaps',
    'xddi.insecure',
  ])
    assert.equal((await read(line)).insecure, false, line)
  for (const line of ['roothash=', 'usrhash=12', 'roothash=zz'])
    await assert.rejects(read(line), { code: 'ERR_DDI_ROOT_HASH_FORMAT' })
  await assert.rejects(read('systemd.image_policy=root'), { code: 'ERR_DDI_POLICY_SYNTAX' })
})

test('what vouches for a system makes no device of the volumes beside it', async () => {
  using folder = temporaryFolder()
  const signer = makeIdentity(folder.path, 'signer')
  const { path } = makeSignedImage(folder.path, (hash) => signatureRecord(folder.path, hash, signer))
  run('sgdisk', '--new=0:0:+1M', `--typecode=0:${typeUuids.home}`, '--new=0:0:+1M', '--typecode=0:8200', path)
  const certificates = [new X509Certificate(readFileSync(signer.certificate))]
  for (const [trust, expected] of [
    [{ by: 'signature', certificates }, ['root']],
    [{ by: 'download' }, ['root', 'home', 'swap']],
  ] as const) {
    await using image = await openImage(path)
    const { volumes } = plan(await dissect(image, dissectOptionsOf(trust, devicePolicy(trust, undefined))))
    assert.deepEqual(new Set(volumes.map(({ designator }) => designator)), new Set(expected))
  }
})

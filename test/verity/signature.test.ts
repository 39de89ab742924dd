import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { DdiError } from '../../lib/index.js'
import {
  certificateFingerprint,
  encodeSignatureRecord,
  parseCertificates,
  parseSignatureRecord,
  signRootHash,
  verifyRootHashSignature,
} from '../../lib/verity/index.js'
import { refuseWeakSignature } from '../../lib/verity/signature.js'
import { makeIdentity, makeIdentityBetween } from '../support/keys.js'
import { attempt, cli, cliPath, run, temporaryFolder } from '../support/run.js'

const load = (path: string) => parseCertificates(readFileSync(path), path)

test('RSA and EC: openssl accepts our signatures, and we accept openssl’s', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const kind of ['rsa:2048', 'rsa:4096', 'ec:prime256v1', 'ec:secp384r1']) {
    const rootHash = randomBytes(kind === 'rsa:4096' ? 64 : 32)
    const { key, certificate } = makeIdentity(folder.path, kind.replace(':', '-'), { kind })
    const [trusted] = load(certificate)
    writeFileSync(at('content'), rootHash.toString('hex'))
    writeFileSync(at('ours.p7s'), await signRootHash(rootHash, readFileSync(key), trusted!))
    for (const tool of ['cms', 'smime'])
      run(
        ...([
          'openssl',
          tool,
          '-verify',
          '-binary',
          '-inform',
          'DER',
          '-in',
          at('ours.p7s'),
          '-content',
          at('content'),
        ] as const),
        ...['-certfile', certificate, '-nointern', '-noverify', '-out', '/dev/null'],
      )
    // systemd-repart's way, and with attributes and certificates as openssl has them by default.
    for (const more of [['-noattr', '-nocerts'], []]) {
      run(
        ...([
          'openssl',
          'smime',
          '-sign',
          '-binary',
          '-in',
          at('content'),
          '-inkey',
          key,
          '-signer',
          certificate,
        ] as const),
        ...['-outform', 'DER', '-out', at('theirs.p7s'), ...more],
      )
      const signer = await verifyRootHashSignature(rootHash, readFileSync(at('theirs.p7s')), [trusted!])
      assert.equal(certificateFingerprint(signer), certificateFingerprint(trusted!))
    }
    const der = run('openssl', 'x509', '-in', certificate, '-outform', 'DER', '-fingerprint', '-sha256', '-noout')
    assert.equal(certificateFingerprint(trusted!), der.split('=')[1]!.trim().replaceAll(':', '').toLowerCase())
  }
})

test('untrusted, expired, not valid yet, over another root hash, with trailing data, malformed: each its own error', async () => {
  using folder = temporaryFolder()
  const rootHash = randomBytes(32)
  const one = makeIdentity(folder.path, 'one')
  const other = makeIdentity(folder.path, 'other')
  const [trusted] = load(one.certificate)
  const signature = await signRootHash(rootHash, readFileSync(one.key), trusted!)
  const verify = (bytes: Uint8Array, certificates = [trusted!], hash: Uint8Array = rootHash) =>
    verifyRootHashSignature(hash, bytes, certificates)
  await verify(signature)
  await assert.rejects(verify(signature, load(other.certificate).slice()), { code: 'ERR_DDI_SIGNATURE_UNTRUSTED' })
  await assert.rejects(verify(signature, []), { code: 'ERR_DDI_SIGNATURE_UNTRUSTED' })
  await assert.rejects(verify(signature, [trusted!], randomBytes(32)), { code: 'ERR_DDI_SIGNATURE_WRONG' })
  for (const [name, from, to] of [
    ['expired', '20200101000000Z', '20210101000000Z'],
    ['future', '20900101000000Z', '20910101000000Z'],
  ] as const) {
    const { key, certificate } = makeIdentityBetween(folder.path, name, from, to)
    const [dated] = load(certificate)
    await assert.rejects(verify(await signRootHash(rootHash, readFileSync(key), dated!), [dated!]), {
      code: 'ERR_DDI_SIGNATURE_EXPIRED',
    })
  }
  await assert.rejects(verify(Buffer.concat([signature, Buffer.from('x')])), { code: 'ERR_DDI_SIGNATURE_FORMAT' })
  for (let length = 0; length < signature.length; length += 13)
    await assert.rejects(verify(signature.subarray(0, length)), { code: 'ERR_DDI_SIGNATURE_FORMAT' })
  await fc.assert(
    fc.asyncProperty(fc.nat(signature.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = Uint8Array.from(signature)
      bytes[at]! ^= change
      await assert.rejects(
        verify(bytes).then(() => {
          // Only where it is not signed may something change: parameters and versions.
          throw new DdiError('ERR_DDI_SIGNATURE_WRONG', 'accepted')
        }),
        (error: unknown) => error instanceof DdiError && error.code.startsWith('ERR_DDI_SIGNATURE_'),
      )
    }),
    { numRuns: 300 },
  )
  await assert.rejects(signRootHash(rootHash, readFileSync(other.key), trusted!), { code: 'ERR_DDI_KEY' })
  await assert.rejects(signRootHash(rootHash, 'no key', trusted!), { code: 'ERR_DDI_KEY' })
  assert.throws(() => parseCertificates(Buffer.from('none'), 'there'), {
    code: 'ERR_DDI_CERTIFICATE',
    message: /^there is no/,
  })
})

test('records: padded JSON that reads back; whatever else is an error', () => {
  const record = { rootHash: randomBytes(32), signature: randomBytes(300), certificateFingerprint: 'ab'.repeat(32) }
  const bytes = encodeSignatureRecord(record)
  assert.equal(bytes.length, 4096)
  assert.deepEqual(parseSignatureRecord(bytes), record)
  const text = Buffer.from(bytes).toString().replace(/\0+$/, '')
  const broken = [
    '',
    '{',
    '[]',
    'null',
    text.replace('rootHash', 'root'),
    text.replace(/"rootHash":"../, '"rootHash":"zz'),
    text.replace('"signature":"', '"signature":"*'),
    `${text}\0x`,
    `\ud800${text}`,
    text.replace(`"${'ab'.repeat(32)}"`, '7'),
  ]
  for (const one of broken)
    assert.throws(() => parseSignatureRecord(Buffer.from(one)), { code: 'ERR_DDI_SIGNATURE_FORMAT' }, one.slice(0, 60))
  assert.throws(() => parseSignatureRecord(Buffer.alloc(100 * 1024 * 1024, '[')), { code: 'ERR_DDI_SIGNATURE_FORMAT' })
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (one) => {
      assert.throws(() => parseSignatureRecord(Buffer.from(one)), { code: 'ERR_DDI_SIGNATURE_FORMAT' })
    }),
  )
})

test('verity sign: by a key, by a command, and what these do wrong', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { key, certificate } = makeIdentity(folder.path, 'signer')
  const rootHash = randomBytes(32).toString('hex')
  writeFileSync(at('hash'), `${rootHash}\n`)
  const sign = (...args: string[]) => cli('verity', 'sign', ...args, `--certificate=${certificate}`)
  assert.equal(sign(at('hash'), at('a.p7s'), `--key=${key}`).status, 0)
  const command = `openssl smime -sign -binary -noattr -nocerts -inkey ${key} -signer ${certificate} -outform`
  assert.equal(sign(rootHash, at('b.p7s'), `--signer=${command} PEM`).status, 0)
  assert.equal(sign(rootHash, at('c.record'), `--signer=${command} DER`, '--record').status, 0)
  assert.equal(Buffer.from(parseSignatureRecord(readFileSync(at('c.record'))).rootHash).toString('hex'), rootHash)
  writeFileSync(at('content'), rootHash)
  for (const name of ['a.p7s', 'b.p7s'])
    run(
      ...([
        'openssl',
        'cms',
        '-verify',
        '-binary',
        '-inform',
        'DER',
        '-in',
        at(name),
        '-content',
        at('content'),
      ] as const),
      ...['-certfile', certificate, '-noverify', '-out', '/dev/null'],
    )
  assert.match(sign(rootHash, at('d.p7s'), '--signer=exit 3').stderr, /ERR_DDI_SIGNER/)
  assert.match(sign(rootHash, at('d.p7s'), '--signer=cat').stderr, /ERR_DDI_SIGNATURE_FORMAT/)
  assert.match(sign(rootHash, at('d.p7s')).stderr, /ERR_DDI_USAGE/)
  // What an option names may be a pipe, and is small.
  const piped = `cat '${key}' | '${process.execPath}' '${cliPath}' verity sign ${rootHash} '${at('e.p7s')}' --key=- --certificate=<(cat '${certificate}')`
  assert.equal(attempt('bash', '-c', piped).status, 0)
  assert.ok(readFileSync(at('e.p7s')).length > 0)
  assert.match(sign(rootHash, at('d.p7s'), '--key=/dev/zero').stderr, /ERR_DDI_FILE_KIND/)
  assert.match(sign(rootHash, at('d.p7s'), `--key=${folder.path}`).stderr, /ERR_DDI_FILE_KIND/)
  assert.match(sign(rootHash, at('d.p7s'), `--key=${at('none')}`).stderr, /ERR_DDI_NOT_FOUND/)
  assert.equal(attempt('test', '-e', at('d.p7s')).status, 1)
})

test('signatures over SHA-1 and MD5 are refused, by whomever, and those over longer digests are not', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const rootHash = randomBytes(32)
  writeFileSync(at('content'), rootHash.toString('hex'))
  for (const kind of ['rsa:2048', 'ec:prime256v1']) {
    const { key, certificate } = makeIdentity(folder.path, 'signer', { kind })
    const [trusted] = load(certificate)
    const signed = (digest: string, ...more: string[]) => {
      const source = ['-binary', '-in', at('content'), '-inkey', key, '-signer', certificate]
      run('openssl', 'cms', '-sign', ...source, '-md', digest, '-outform', 'DER', '-out', at('p7s'), ...more)
      return readFileSync(at('p7s'))
    }
    const padding = ['-keyopt', 'rsa_padding_mode:pss']
    for (const more of [[], ['-noattr', '-nocerts'], ...(kind === 'rsa:2048' ? [padding] : [])]) {
      for (const digest of ['sha256', 'sha384', 'sha512'])
        await verifyRootHashSignature(rootHash, signed(digest, ...more), [trusted!])
      for (const digest of kind === 'rsa:2048' && more !== padding ? ['sha1', 'md5', 'sha224'] : ['sha1']) {
        const signature = signed(digest, ...more)
        const refused = { code: 'ERR_DDI_SIGNATURE_UNTRUSTED', message: /only SHA-256/ }
        await assert.rejects(verifyRootHashSignature(rootHash, signature, [trusted!]), refused, `${kind} ${digest}`)
        await assert.rejects(refuseWeakSignature(signature), refused)
      }
    }
  }
})

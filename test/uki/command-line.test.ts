import assert from 'node:assert/strict'
import test from 'node:test'
import { actionsIn, parseBootParameters } from '../../lib/boot/parameters.js'
import { parsePullExpression } from '../../lib/boot/pull-expression.js'
import { type BootRequest, bootCommandLine } from '../../lib/uki/command-line.js'

const nobody = { hasCertificate: false, hasKeyring: false, hasTar: true }
const certificate = { ...nobody, hasCertificate: true }
const keyring = { ...nobody, hasKeyring: true }
const image = 'acme_1.raw.xz'
const rootHash = 'ab'.repeat(32)

/** What the boot program reads of the command line. */
function pullOf(request: BootRequest, trust = nobody) {
  const [, expression] = /^rd\.systemd\.pull=(\S+)/.exec(bootCommandLine(request, trust))!
  return parsePullExpression(expression!)
}

test('the boot program understands the request', () => {
  const { kind, class: use, bootOrigin, local, remote, verify } = pullOf({ image }, certificate)
  assert.deepEqual(
    { kind, use, bootOrigin, local, remote, verify },
    {
      ...{ kind: 'raw', use: 'machine', bootOrigin: true, local: 'root', remote: image, verify: 'no' },
    },
  )
  const url = pullOf({ image: 'https://h/a.tar.zst' }, keyring)
  assert.deepEqual(
    [url.kind, url.bootOrigin, url.remote, url.verify],
    ['tar', false, 'https://h/a.tar.zst', 'signature'],
  )
  assert.deepEqual(pullOf({ image: 'a.tgz', verify: { sha256: rootHash } }).verify, { sha256: rootHash })
})

test('the rest of the command line follows', () => {
  assert.equal(
    bootCommandLine({ network: 'dhcp', rootHash, commandLine: ' quiet rd.break ' }, nobody),
    `ip=dhcp roothash=${rootHash} quiet rd.break`,
  )
  assert.equal(bootCommandLine({}, nobody), '')
})

test('the boot program understands which store it is', () => {
  const line = bootCommandLine({ product: 'acme', image, commandLine: 'panic=0' }, certificate)
  const { store, pulls } = parseBootParameters(line)
  assert.deepEqual(store, { product: 'acme', disk: { by: 'product' }, label: null })
  assert.deepEqual([actionsIn(line).failureAction, pulls.length], ['reboot', 1])
  // The last counts.
  assert.match(line, / panic=10 .* panic=0$/)
  const disk = bootCommandLine({ product: 'acme', store: '/dev/vda', rootHash }, nobody)
  assert.deepEqual(parseBootParameters(disk).store?.disk, { by: 'path', path: '/dev/vda' })
  const code = 'ERR_DDI_USAGE'
  assert.throws(() => bootCommandLine({ product: 'acme' }, nobody), { code, message: /nothing says whose image/ })
  assert.throws(() => bootCommandLine({ store: 'auto' }, certificate), { code, message: /needs a product/ })
  assert.throws(() => bootCommandLine({ product: 'a b' }, certificate), { code })
})

test('an image that nothing protects has to be trusted in words', () => {
  const code = 'ERR_DDI_USAGE'
  assert.throws(() => bootCommandLine({ image }, nobody), { code, message: /nothing says whose image/ })
  // A root hash is of a volume, which an archive has none of.
  assert.throws(() => bootCommandLine({ image: 'a.tar.xz', rootHash }, certificate), { code })
  assert.throws(() => bootCommandLine({ image: 'a.tar.xz', verify: 'checksum' }, keyring), { code })
  // A root is read as long as the machine runs: what was verified as it came is not enough.
  assert.throws(() => bootCommandLine({ image }, keyring), { code })
  assert.throws(() => bootCommandLine({ image, verify: { sha256: rootHash } }, keyring), { code })
  assert.throws(() => bootCommandLine({ image, commandLine: 'not.ddi.insecure ddi.insecurely' }, nobody), { code })
  assert.equal(pullOf({ image, commandLine: 'quiet ddi.insecure' }).verify, 'no')
  assert.equal(pullOf({ image, rootHash }).verify, 'no')
})

test('what the boot program would refuse is not built', () => {
  const code = 'ERR_DDI_USAGE'
  const refused: readonly (readonly [BootRequest, typeof nobody?])[] = [
    [{ image, commandLine: 'ddi.insecure=no' }],
    [{ image, commandLine: 'ddi.insecure ddi.insecure=0' }],
    [{ image, commandLine: '"x ddi.insecure y"' }],
    [{ image, commandLine: '"x roothash=y z"' }],
    [{ image, rootHash, commandLine: `roothash=${'cd'.repeat(32)}` }],
    [{ image, rootHash, verify: 'signature' }],
    [{ image: 'a.tar', verify: 'signature' }],
    [
      { image: 'a.tar', verify: 'signature' },
      { ...keyring, hasTar: false },
    ],
    [{ image: 'a.tar.xz', rootHash, verify: { sha256: rootHash } }],
    [{ image: 'a.tar.xz', verify: { sha256: rootHash }, commandLine: `usrhash=${rootHash}` }],
    ...['txz', 'tbz2', 'tzst', 'TAR', 'tar.lzma'].map((ending) => [{ image: `a.${ending}` }, certificate] as const),
  ]
  for (const [request, means] of refused)
    assert.throws(() => bootCommandLine(request, means ?? nobody), { code }, JSON.stringify(request))
  for (const request of [
    { image, rootHash: 'hello' },
    { image, commandLine: 'usrhash=' },
  ])
    assert.throws(() => bootCommandLine(request, certificate), { code: 'ERR_DDI_ROOT_HASH_FORMAT' })
  assert.equal(pullOf({ image: 'http://h/a.txz?token=b.raw' }, keyring).kind, 'tar')
})

test('what cannot stand on a command line is refused', () => {
  const code = 'ERR_DDI_USAGE'
  for (const image of ['', 'a/b.raw', 'a b.raw', 'a"b.raw', 'a\nb.raw', 'ä.raw'])
    assert.throws(() => bootCommandLine({ image }, certificate), { code }, image)
  assert.throws(() => bootCommandLine({ network: 'dhcp ddi.insecure' }, nobody), { code })
  assert.throws(() => bootCommandLine({ commandLine: 'quiet\0' }, nobody), { code })
  // The kernel would cut off what is behind.
  assert.equal(bootCommandLine({ commandLine: 'x'.repeat(2047) }, nobody).length, 2047)
  assert.throws(() => bootCommandLine({ commandLine: `${'x'.repeat(2040)} roothash=` }, nobody), { code })
})

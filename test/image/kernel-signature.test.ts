// Root hash signatures that a kernel verifies: Debian’s, under qemu, with our certificate among those that it trusts.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sign } from '../../lib/index.js'
import { encodeSignatureRecord, parseCertificates } from '../../lib/verity/index.js'
import { flipBit, makeFileSystem, makeSignedImage, writeAt } from '../support/images.js'
import { type Identity, makeIdentity } from '../support/keys.js'
import { attempt, cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const script = join(packageRoot, 'test/kernel/run-in-qemu.sh')

/** An identity whose certificate has just so many bytes in DER: a comment in it makes up for the rest. */
function identityOfLength(folder: string, length: number): Identity & { readonly der: string } {
  const der = join(folder, 'trusted.der')
  for (let padding = 400, attempts = 0; attempts < 10; attempts++) {
    const identity = makeIdentity(folder, 'trusted', { arguments: ['-addext', `nsComment=${'x'.repeat(padding)}`] })
    run('openssl', 'x509', '-in', identity.certificate, '-outform', 'DER', '-out', der)
    const missing = length - statSync(der).size
    if (missing === 0) return { ...identity, der }
    padding += missing
  }
  throw new Error(`no certificate of ${length} bytes`)
}

async function signedBy(folder: string, { key, certificate }: Identity, name: string): Promise<void> {
  const image = makeSignedImage(folder, () => new Uint8Array(4096), name)
  const [parsed] = parseCertificates(readFileSync(certificate), certificate)
  const record = encodeSignatureRecord(
    await sign(Buffer.from(image.rootHash, 'hex'), { kind: 'key', key: readFileSync(key), certificate: parsed! }),
  )
  const { partitions } = JSON.parse(run('sfdisk', '--json', image.path)).partitiontable
  writeAt(image.path, partitions[2].start * 512, record)
}

/** A file system with a damaged block, its tree, and parity that corrects it. @returns the root hash and the SHA-256 of what it was */
function makeDamaged(data: string) {
  const path = join(data, 'damaged')
  copyFileSync(makeFileSystem(data, 'erofs'), path)
  const format = cli('verity', 'format', path, `${path}.tree`, '--fec-device', `${path}.fec`)
  assert.equal(format.status, 0, format.stderr)
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  flipBit(path, 40960)
  return { rootHash: format.stdout.trim(), sha256 }
}

test('a kernel accepts signatures by whom it trusts, refuses others, and corrects what parity covers', async () => {
  using folder = temporaryFolder()
  const length = Number(run('bash', script, '--certificate-length'))
  const trusted = identityOfLength(folder.path, length)
  const stranger = makeIdentity(folder.path, 'stranger')
  const data = join(folder.path, 'data')
  run('mkdir', data)
  const [one, two] = [join(folder.path, 'one'), join(folder.path, 'two')]
  run('mkdir', one, two)
  await signedBy(one, trusted, 'trusted.raw')
  await signedBy(two, stranger, 'stranger.raw')
  run(
    'cp',
    '--sparse=always',
    join(one, 'trusted.raw'),
    join(two, 'stranger.raw'),
    stranger.certificate,
    trusted.certificate,
    data,
  )
  const { rootHash, sha256 } = makeDamaged(data)
  const ddi = 'node /ddi/dist/cli/main.js'
  const attached = `${ddi} verity attach /data/damaged /data/damaged.tree ${rootHash} --name=damaged`
  const steps = [
    // Nobody but the kernel judges.
    `${ddi} attach /data/trusted.raw --signature=kernel && mount -t erofs -o ro /dev/mapper/ddi-trusted-root /tmp && cat /tmp/etc/os-release`,
    `umount /tmp; ${ddi} detach trusted`,
    `${ddi} attach /data/stranger.raw --signature=kernel`,
    `${ddi} attach /data/trusted.raw --signature=both --certificate /data/trusted.crt && ${ddi} detach trusted`,
    // We trust whom the kernel does not: enough, unless both are asked.
    `${ddi} attach /data/stranger.raw --signature=both --certificate /data/stranger.crt`,
    `${ddi} attach /data/stranger.raw --certificate /data/stranger.crt && ${ddi} detach --all`,
    `${attached}; sha256sum /dev/mapper/ddi-damaged-root; ${ddi} detach damaged`,
    `${attached} --fec-device /data/damaged.fec; sha256sum /dev/mapper/ddi-damaged-root; ${ddi} detach damaged`,
    `${ddi} list`,
  ]
  const lines = steps.map((step, n) => `echo "STEP ${n}"\n{ ${step}; } 2>&1\necho "status $?"`)
  writeFileSync(join(data, 'steps'), `${lines.join('\n')}\n`)
  const { status, stdout, stderr } = attempt('bash', script, data, trusted.der, 'sh /data/steps')
  assert.equal(status, 0, stderr + stdout)
  const [, ...said] = stdout.split(/^STEP \d+$/m)
  const expected = [
    /root +\/dev\/mapper\/ddi-trusted-root.* yes\n[\s\S]*ID=ddi-test\n[\s\S]*status 0/,
    /status 0/,
    /ERR_DDI_SIGNATURE_KERNEL[\s\S]*status 1/,
    / yes\n[\s\S]*status 0/,
    /ERR_DDI_SIGNATURE_KERNEL[\s\S]*status 1/,
    / yes\n[\s\S]*status 0/,
    /(?:I\/O|Input\/output) error[\s\S]*status 0/,
    new RegExp(`${sha256}[\\s\\S]*status 0`),
    /^\s*NAME +STATE[^\n]*\nstatus 0/,
  ]
  for (const [n, pattern] of expected.entries()) assert.match(said[n] ?? '', pattern, `step ${n}:\n${stdout}`)
})

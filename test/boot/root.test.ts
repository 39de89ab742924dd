import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { deviceNamed } from '../../lib/boot/disk-root.js'
import { obtainRoot, rootOnDisk } from '../../lib/boot/root.js'
import { bootIn } from '../support/boot.js'
import {
  MiB,
  makeFileSystem,
  makeGptImage,
  makeSignedImage,
  makeTree,
  makeVerityImage,
  typeUuids,
  type VerityImage,
} from '../support/images.js'
import { signByGpg } from '../support/keyring.js'
import { makeIdentity, makeIdentityBetween } from '../support/keys.js'
import { run, temporaryFolder } from '../support/run.js'
import { type Handler, type ServedFile, serve } from '../support/server.js'
import { signatureRecord } from '../support/signature-record.js'

const folder = temporaryFolder()
let image: VerityImage
let signed: VerityImage
let expired: VerityImage
let foreign: string
let keyring: string
let tree: string
const anchors = {
  signer: makeIdentity(folder.path, 'signer'),
  other: makeIdentity(folder.path, 'other'),
  expired: makeIdentityBetween(folder.path, 'expired', '20200101000000Z', '20210101000000Z'),
}

before(() => {
  const at = (name: string) => {
    mkdirSync(join(folder.path, name))
    return join(folder.path, name)
  }
  image = makeVerityImage(at('plain'))
  signed = makeSignedImage(at('signed'), (hash) => signatureRecord(folder.path, hash, anchors.signer))
  expired = makeSignedImage(at('expired'), (hash) => signatureRecord(folder.path, hash, anchors.expired))
  tree = at('tree')
  run('tar', '-C', makeTree(tree), '-cf', join(tree, 'os.tar'), '.')
  run('sh', '-c', `cd '${tree}' && sha256sum os.tar > SHA256SUMS`)
  keyring = signByGpg(join(folder.path, 'gpg'), join(tree, 'SHA256SUMS'))
  foreign = join(at('foreign'), 'arm64.raw')
  makeGptImage(foreign, 4 * MiB, [
    { type: typeUuids.rootArm64, size: MiB, from: makeFileSystem(join(folder.path, 'foreign'), 'erofs') },
  ])
})
after(() => folder[Symbol.dispose]())

interface Case {
  readonly line: (url: string) => string
  readonly files?: Readonly<Record<string, string | ServedFile | Handler>>
  readonly certificates?: readonly string[]
}

/** Boots as far as the root is obtained. */
async function boot({ line, files = {}, certificates = [] }: Case) {
  const root = join(folder.path, 'root')
  rmSync(root, { recursive: true, force: true })
  const served = Object.entries(files).map(([path, file]) => [
    path,
    typeof file === 'string' ? { bytes: readFileSync(file) } : file,
  ])
  await using server = await serve(Object.fromEntries(served) as Readonly<Record<string, ServedFile | Handler>>)
  const context = bootIn(root, `ddi.retry=0 ${line(server.url)}`)
  mkdirSync(join(root, 'etc/verity.d'), { recursive: true })
  for (const [index, path] of certificates.entries()) copyFileSync(path, join(root, `etc/verity.d/${index}.crt`))
  context.put('etc/systemd/import-pubring.pgp', readFileSync(keyring))
  const result = await obtainRoot(context).catch((error: unknown) => error)
  const { requests } = server
  return { result, said: context.said.join('\n'), requests: requests.map(({ path }) => path), root }
}

test('a root is obtained by its pinned hash, or by a certificate of the initrd', async () => {
  const pinned = await boot({
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/os.raw roothash=${image.rootHash}`,
    files: { '/os.raw': image.path },
  })
  const path = join(pinned.root, 'run/machines/root.raw')
  const {
    kind,
    path: own,
    trust,
    rootHashes,
    url,
  } = pinned.result as Extract<typeof pinned.result, object> & {
    readonly [name: string]: unknown
  }
  assert.deepEqual(
    { kind, own, rootHashes },
    { kind: 'raw', own: path, rootHashes: new Map([['root', image.rootHash]]) },
  )
  assert.deepEqual(trust, { by: 'root-hash', rootHash: image.rootHash, usrHash: undefined })
  assert.match(String(url), /\/os\.raw$/)
  assert.match(pinned.said, /pulling http.*\/os\.raw\npulled: .*root\.raw/)
  const bySignature = await boot({
    line: (origin) => `rd.systemd.pull=raw,machine,verify=no,bootorigin:: ddi.url=${origin}/os_1.efi`,
    files: { '/os_1.raw': signed.path },
    certificates: [anchors.signer.certificate],
  })
  assert.deepEqual((bySignature.result as { rootHashes: unknown }).rootHashes, new Map([['root', signed.rootHash]]))
})

interface Refusal {
  readonly code: string
  /** Whose certificate the initrd has. Default: nobody’s */
  readonly anchor?: keyof typeof anchors
  /** Whether anything is asked of the server. Default: true */
  readonly asks?: false
}

test('a tree is obtained by signed checksums, or by its SHA-256 on the command line', async () => {
  const files = Object.fromEntries(
    ['os.tar', 'SHA256SUMS', 'SHA256SUMS.gpg'].map((name) => [`/${name}`, join(tree, name)]),
  )
  const sha256 = createHash('sha256')
    .update(readFileSync(join(tree, 'os.tar')))
    .digest('hex')
  for (const verify of ['', `,verify=${sha256}`]) {
    const line = (url: string) => `rd.systemd.pull=tar,machine${verify},bootorigin:root:os.tar ddi.url=${url}/os.efi`
    const { result, root } = await boot({ line, files })
    assert.deepEqual((result as { trust: unknown }).trust, { by: 'download' }, String(result))
    assert.equal(readFileSync(join(root, 'run/machines/root/etc/os-release'), 'utf8'), 'ID=ddi-test\n')
  }
})

test('a machine that did not boot from a URL has its root on a disk, by the same trust', async () => {
  const line = `rd.systemd.pull=raw,machine,bootorigin:root: root=/dev/vda roothash=${image.rootHash}`
  const context = bootIn(join(folder.path, 'disk'), line)
  context.put('dev/vda', readFileSync(image.path))
  assert.equal(await obtainRoot(context), undefined)
  const found = await rootOnDisk(context)
  assert.deepEqual(
    [found?.path, found?.rootHashes],
    [join(context.root, 'dev/vda'), new Map([['root', image.rootHash]])],
  )
  const bare = bootIn(context.root, 'root=/dev/vda')
  await assert.rejects(rootOnDisk(bare), { code: 'ERR_DDI_UNTRUSTED' })
  assert.equal(await rootOnDisk(bootIn(context.root, 'root=/dev/disk/by-loop-ref/root.raw')), undefined)
  // What only extends the system does not decide whether it boots.
  const extended = `${line} rd.systemd.pull=raw,sysext,verify=signature:tools:http://127.0.0.1:1/tools.raw ddi.retry=0`
  assert.equal(await obtainRoot(bootIn(context.root, extended)), undefined)
  const other = `rd.systemd.pull=raw,machine:root:http://127.0.0.1:1/os.raw root=/dev/vda roothash=${image.rootHash} ddi.retry=0`
  await assert.rejects(obtainRoot(bootIn(context.root, other)), { code: 'ERR_DDI_PULL_BROKEN' })
})

test('disks are named as the kernel, systemd and udev name them', () => {
  const tag = (text: string) => ({ by: 'tag', tag: text })
  for (const [text, expected] of [
    ['/dev/vda', { by: 'path', path: '/dev/vda' }],
    ['UUID=0-a', tag('UUID=0-a')],
    ['LABEL=my root', tag('LABEL=my root')],
    ['PARTUUID=0b-01', tag('PARTUUID=0b-01')],
    ['/dev/disk/by-uuid/0-a', tag('UUID=0-a')],
    ['/dev/disk/by-label/my\\x20root', tag('LABEL=my root')],
    ['/dev/disk/by-partuuid/0b-01', tag('PARTUUID=0b-01')],
    ['/dev/disk/by-loop-ref/root.raw', undefined],
    ['UUID=', undefined],
    ['', undefined],
  ] as const)
    assert.deepEqual(deviceNamed(text), expected, text)
})

test('what is here is used without asking, and without an origin a request is skipped', async () => {
  const line = () => `rd.systemd.pull=raw,machine,verify=no,bootorigin:root: roothash=${image.rootHash}`
  const skipped = await boot({ line })
  assert.equal(skipped.result, undefined)
  assert.match(skipped.said, /skipped raw,machine,verify=no,bootorigin:root:: this machine did not boot from a URL/)
  const context = bootIn(skipped.root, line())
  context.put('run/machines/root.raw', readFileSync(image.path))
  assert.equal((await obtainRoot(context))?.url, null)
})

const refusals: Readonly<Record<string, Case & Refusal>> = {
  'nothing vouches for it': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/os.raw`,
    code: 'ERR_DDI_UNTRUSTED',
    asks: false,
  },
  'a tree beside a pinned root hash': {
    line: (url) => `rd.systemd.pull=tar,machine,verify=signature:root:${url}/os.tar roothash=${'0'.repeat(64)}`,
    code: 'ERR_DDI_UNTRUSTED',
    asks: false,
  },
  'a tree by unsigned checksums': {
    line: (url) => `rd.systemd.pull=tar,machine,verify=checksum:root:${url}/os.tar`,
    code: 'ERR_DDI_UNTRUSTED',
    asks: false,
  },
  'another root hash': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/os.raw roothash=${'0'.repeat(64)}`,
    code: 'ERR_DDI_ROOT_HASH_MISMATCH',
  },
  'an empty root hash': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/os.raw roothash=`,
    code: 'ERR_DDI_ROOT_HASH_FORMAT',
    asks: false,
  },
  'a signature that nobody trusts': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/signed.raw`,
    anchor: 'other',
    code: 'ERR_DDI_SIGNATURE_UNTRUSTED',
  },
  'a signature by a certificate that has expired': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/expired.raw`,
    anchor: 'expired',
    code: 'ERR_DDI_SIGNATURE_EXPIRED',
  },
  'no signature': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/os.raw`,
    anchor: 'signer',
    code: 'ERR_DDI_SIGNATURE_UNTRUSTED',
  },
  'a policy that refuses it': {
    line: (url) =>
      `rd.systemd.pull=raw,machine,verify=no:root:${url}/os.raw roothash=${image.rootHash} systemd.image_policy=root=signed`,
    code: 'ERR_DDI_POLICY',
  },
  'another architecture': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/arm64.raw ddi.insecure`,
    code: 'ERR_DDI_NOTHING_TO_ATTACH',
  },
  'no such file': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/none.raw roothash=${'0'.repeat(64)}`,
    code: 'ERR_DDI_PULL_NOT_FOUND',
  },
  'a web page with status 200': {
    line: (url) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/page roothash=${'0'.repeat(64)}`,
    code: 'ERR_DDI_PULL_RESPONSE',
  },
  'checksums that nobody signed': {
    line: (url) => `rd.systemd.pull=tar,machine:root:${url}/os.tar`,
    code: 'ERR_DDI_PULL_SIGNATURE',
  },
  'it is not clear which is the root': {
    line: (url) => ['a', 'b'].map((name) => `rd.systemd.pull=raw,machine,verify=no:${name}:${url}/os.raw`).join(' '),
    code: 'ERR_DDI_USAGE',
    asks: false,
  },
  'two requests of one name': {
    line: (url) =>
      [1, 2].map((number) => `rd.systemd.pull=raw,machine,verify=no:root:${url}/os${number}.raw`).join(' '),
    code: 'ERR_DDI_USAGE',
    asks: false,
  },
  'a malformed request alone': { line: () => 'rd.systemd.pull=raw,machine', code: 'ERR_DDI_USAGE', asks: false },
}

for (const [name, one] of Object.entries(refusals))
  test(`no root is obtained: ${name}`, async () => {
    const page: Handler = (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
    const certificates = one.anchor === undefined ? [] : [anchors[one.anchor].certificate]
    const files = {
      '/os.raw': image.path,
      '/signed.raw': signed.path,
      '/expired.raw': expired.path,
      '/arm64.raw': foreign,
      '/page': page,
      '/SHA256SUMS': { bytes: Buffer.from('') },
    }
    const { result, requests, root } = await boot({ files, certificates, ...one })
    assert.equal((result as { code?: string }).code, one.code, String(result))
    assert.equal(requests.length > 0, one.asks ?? true)
    assert.ok(!existsSync(join(root, 'run/machines/root.raw')))
  })

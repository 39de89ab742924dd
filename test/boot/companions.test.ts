import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { companionsIn, listCompanions } from '../../lib/boot/companion-list.js'
import { takeCredentials } from '../../lib/boot/companions.js'
import { obtainRoot } from '../../lib/boot/root.js'
import { bootIn } from '../support/boot.js'
import { flipBit, makeSignedImage, typeUuids, type VerityImage } from '../support/images.js'
import { signByGpg } from '../support/keyring.js'
import { type Identity, makeIdentity } from '../support/keys.js'
import { serveByNginx } from '../support/nginx.js'
import { run, temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'
import { signatureRecord } from '../support/signature-record.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder.path, name)
let keyring: string
let signer: Identity
let image: VerityImage
before(() => {
  for (const name of ['images', 'www', 'www/acme.efi.extra.d']) mkdirSync(at(name))
  signer = makeIdentity(folder.path, 'signer')
  image = makeSignedImage(at('images'), (hash) => signatureRecord(folder.path, hash, signer))
  const extra = at('www/acme.efi.extra.d')
  writeFileSync(join(extra, 'greeting.cred'), 'hello')
  writeFileSync(join(extra, 'stray.cred'), 'of any kernel')
  writeFileSync(join(extra, 'changed.cred'), 'as listed')
  writeFileSync(join(extra, 'plain.sysext.raw'), Buffer.alloc(5000, 'not signed'))
  copyFileSync(image.path, join(extra, 'tools.sysext.raw'))
  copyFileSync(image.path, join(extra, 'corrupt.confext.raw'))
  // A root for another processor, that nobody signed, beside the one that is signed.
  copyFileSync(image.path, join(extra, 'twin.sysext.raw'))
  run('sgdisk', `--new=0:0:+1M`, `--typecode=0:${typeUuids.rootArm64}`, join(extra, 'twin.sysext.raw'))
  flipBit(join(extra, 'corrupt.confext.raw'), image.dataStart + 70_000)
  const names = [
    'greeting.cred',
    'changed.cred',
    'plain.sysext.raw',
    'tools.sysext.raw',
    'twin.sysext.raw',
    'corrupt.confext.raw',
  ]
  const rows = names.map((name) => {
    const hash = createHash('sha256')
      .update(readFileSync(join(extra, name)))
      .digest('hex')
    return `${hash}  acme.efi.extra.d/${name}\n`
  })
  // Its row is as good beside any other kernel.
  rows.push(`${createHash('sha256').update('of any kernel').digest('hex')}  stray.cred\n`)
  writeFileSync(join(extra, 'SHA256SUMS'), rows.join(''))
  keyring = signByGpg(at('gpg'), join(extra, 'SHA256SUMS'))
  writeFileSync(join(extra, 'changed.cred'), 'other')
})
after(() => folder[Symbol.dispose]())

async function boot(
  name: string,
  anchors: { readonly keyring?: string; readonly certificate?: string },
  kernel = 'acme.efi',
) {
  await using nginx = await serveByNginx(at('www'), at(`nginx-${name}`))
  const request = `rd.systemd.pull=raw,portable,verify=no:tools:${nginx.url}/acme.efi.extra.d/tools.sysext.raw`
  const context = bootIn(at(name), `ddi.url=${nginx.url}/${kernel} ddi.retry=0 ${request}`)
  // Another one than that of this machine.
  context.put('etc/systemd/import-pubring.pgp', anchors.keyring ? readFileSync(anchors.keyring) : 'none')
  if (anchors.certificate) context.put('etc/verity.d/signer.crt', readFileSync(anchors.certificate))
  assert.equal(await obtainRoot(context), undefined)
  const has = (path: string) => existsSync(join(context.root, 'run', path))
  // What is here is booted without a server, and then nobody is asked for companions either.
  const again = bootIn(
    context.root,
    'ddi.url=http://127.0.0.1:1/acme.efi ddi.retry=0 rd.systemd.pull=raw,portable,verify=no,bootorigin:tools:x',
  )
  assert.equal(await obtainRoot(again), undefined)
  for (const line of context.said) assert.ok(line.split('http:').length <= 2, line)
  return { has, said: context.said.join('\n'), parts: context.parts, root: context.root }
}

test('companions in a signed list are for the system that is booted', async () => {
  const { has, said, parts, root } = await boot('signed', { keyring })
  assert.deepEqual(
    parts,
    new Set(['tools', 'plain.sysext.raw', 'tools.sysext.raw', 'twin.sysext.raw', 'corrupt.confext.raw']),
  )
  assert.equal(readFileSync(join(root, 'run/credentials/@initrd/greeting'), 'utf8'), 'hello')
  assert.ok(has('extensions/plain.raw') && has('extensions/tools.raw') && has('confexts/corrupt.raw'))
  assert.ok(!has('credentials/@initrd/changed') && !has('credentials/@initrd/stray'))
  assert.match(said, /companion stray\.cred left out: the signed list does not say for which kernel.*ERR_DDI_UNTRUSTED/)
  assert.match(said, /companion changed\.cred left out: .*ERR_DDI_PULL_CHECKSUM/)
})

test('in a list that nobody trusted signed, extensions that a certificate of the initrd signed count, and nothing else', async () => {
  const { has, said } = await boot('unsigned', { certificate: signer.certificate })
  assert.ok(has('extensions/tools.raw'))
  assert.ok(!has('credentials/@initrd') && !has('extensions/plain.raw') && !has('confexts/corrupt.raw'))
  assert.ok(!has('extensions/twin.raw'))
  for (const line of [
    /greeting\.cred left out: .*ERR_DDI_UNTRUSTED/,
    /plain\.sysext\.raw left out/,
    /twin\.sysext\.raw left out: .*ERR_DDI_NOT_COVERED/,
    /corrupt\.confext\.raw left out: .*ERR_DDI_VERITY_CORRUPT/,
  ])
    assert.match(said, line)
})

test('a list that was signed for another kernel gives this one nothing but what a certificate signed', async () => {
  cpSync(at('www/acme.efi.extra.d'), at('www/prod.efi.extra.d'), { recursive: true })
  const { has, said } = await boot('replayed', { keyring }, 'prod.efi')
  assert.ok(!has('credentials/@initrd') && !has('extensions') && !has('confexts'))
  assert.match(said, /companion stray\.cred left out: .*ERR_DDI_UNTRUSTED/)
  assert.doesNotMatch(said, /greeting/)
})

test('without an anchor, nothing beside the kernel is asked for', async () => {
  await using server = await serve({ '/x.raw': { bytes: Buffer.from('x') } })
  const request = 'rd.systemd.pull=raw,portable,verify=no,bootorigin:tools:x.raw'
  const context = bootIn(at('unanchored'), `ddi.url=${server.url}/acme.efi ddi.retry=0 ${request}`)
  assert.equal(await obtainRoot(context), undefined)
  assert.deepEqual(new Set(server.requests.map(({ path }) => path)), new Set(['/x.raw']))
})

test('with a keyring that is none, nothing beside the kernel counts', async () => {
  const { has, said } = await boot('bare', {})
  assert.ok(!has('extensions') && !has('confexts') && !has('credentials/@initrd'))
  assert.match(said, /tools\.sysext\.raw left out: .*ERR_DDI_UNTRUSTED/)
})

test('a list of companions has names that lead nowhere else', () => {
  const hash = 'a'.repeat(64)
  const names = [
    './a.cred',
    'b.sysext.raw',
    'dir/c.cred',
    '../d.confext.raw',
    '.e.sysext.raw',
    'f.raw',
    'g:h.cred',
    'i?j.cred',
  ]
  assert.deepEqual(
    companionsIn(names.map((name) => `${hash}  ${name}\n`).join(''), 'dir').map(({ isOfKernel, ...one }) => [
      one.use,
      one.name,
      one.file,
      isOfKernel,
    ]),
    [
      ['credential', 'a', 'a.cred', false],
      ['sysext', 'b', 'b.sysext.raw', false],
      ['credential', 'c', 'c.cred', true],
      ['credential', 'i?j', 'i?j.cred', false],
    ],
  )
})

/** What a server makes of the list of companions. */
const unhelpful: Readonly<Record<string, Handler>> = {
  'an error': (_, response) => void response.writeHead(500).end(),
  'no answer': (request) => void request.socket.destroy(),
  'a redirect to itself': (request, response) => void response.writeHead(302, { location: request.url! }).end(),
  'a trickle': (_, response) => {
    const dripping = setInterval(() => response.write('#'), 50)
    response.writeHead(200).on('close', () => clearInterval(dripping))
  },
}

for (const [name, handler] of Object.entries(unhelpful))
  test(`a machine boots without companions where the server has ${name} for them`, async () => {
    await using server = await serve({ '/acme.efi.extra.d/SHA256SUMS': handler })
    const notes: string[] = []
    const options = { keyring, retries: 0, retry: Number.POSITIVE_INFINITY, onNote: (text: string) => notes.push(text) }
    assert.equal(await listCompanions(`${server.url}/acme.efi`, options, 0.5), undefined)
    assert.match(notes.at(-1)!, /^companions left out: /)
  })

test('companions that are too many, or that a server keeps back, are left out, and told', async () => {
  const names = Array.from({ length: 70 }, (_, n) => `acme.efi.extra.d/${n}.cred`)
  const list = Buffer.from(names.map((one) => `${'a'.repeat(64)}  ${one}\n`).join(''))
  const away: Handler = (request) => void request.socket.destroy()
  await using server = await serve({
    '/acme.efi.extra.d/SHA256SUMS': { bytes: list },
    ...Object.fromEntries(names.map((one) => [`/${one}`, away])),
  })
  const notes: string[] = []
  const options = { keyring, retries: 0, retry: 0, onNote: (text: string) => notes.push(text) }
  const companions = await listCompanions(`${server.url}/acme.efi`, options)
  assert.equal(companions?.files.length, 64)
  assert.match(notes.at(-1)!, /has 70; those after the first 64 are left out/)
  const anchors = { rootHash: undefined, usrHash: undefined, certificates: [], policy: undefined, insecure: true }
  assert.deepEqual((await takeCredentials(companions!, anchors, options)).taken, [])
  // Once it is away, it is away for all.
  assert.equal(notes.filter((one) => one.includes('the server is away')).length, 63)
})

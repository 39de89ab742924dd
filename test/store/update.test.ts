import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  availableUpdate,
  installUpdate,
  openStore,
  readTransfers,
  type Transfer,
  type UpdateOptions,
} from '../../lib/index.js'
import { parsePattern, productIn } from '../../lib/store/pattern.js'
import { parseTransfer } from '../../lib/store/transfer.js'
import { installUnits } from '../../lib/store/units.js'
import { emptyFile, MiB } from '../support/images.js'
import { signByGpg } from '../support/keyring.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'
import { smallImage } from '../support/small-images.js'

test('a match pattern finds the version in a name, and nothing in others', () => {
  const { versionIn } = parsePattern('acme_@v.raw.xz')
  assert.equal(versionIn('acme_1.4~rc1.raw.xz'), '1.4~rc1')
  for (const name of [
    'acme_.raw.xz',
    'acme_1.raw',
    'xacme_1.raw.xz',
    'acme_1_2.raw.xz',
    'acme_1/2.raw.xz',
    `acme_${'1'.repeat(300)}.raw.xz`,
  ])
    assert.equal(versionIn(name), undefined, name)
  assert.equal(parsePattern('a.me_@v_@h.raw').versionIn(`a.me_2_${'ab'.repeat(32)}.raw`), '2')
  assert.equal(parsePattern('a.me_@v.raw').versionIn('axme_2.raw'), undefined)
  assert.equal(productIn(parsePattern('acme_shop_@v.raw')), 'acme_shop')
  assert.equal(productIn(parsePattern('@v.raw')), undefined)
  for (const text of ['acme.raw', `${'%'.repeat(300)}@v`, '@v@v', '@x_@v', '@', 'a/@v'])
    assert.throws(() => parsePattern(text), { code: 'ERR_DDI_DEFINITION' }, text)
})

test('whatever stands around it, a version is found as it was put in', () => {
  const version = fc.stringMatching(/^[A-Za-z0-9.^~+-]{1,20}$/)
  const around = fc.stringMatching(/^[ -?A-~]{0,10}$/).filter((text) => !/[@/A-Za-z0-9.^~+-]/.test(text))
  fc.assert(
    fc.property(version, around, around, (text, before, after) => {
      assert.equal(parsePattern(`${before}@v${after}`).versionIn(`${before}${text}${after}`), text)
    }),
  )
})

const specifiers = { osRelease: new Map([['IMAGE_VERSION', '7']]), architecture: 'x86-64' }
const definition = (...more: readonly string[]) =>
  [
    '[Transfer]',
    'ProtectVersion=%A 6',
    'MinVersion=3',
    '[Source]',
    'Type=url-file',
    'Path=https://example.com/images',
    'MatchPattern=acme_@v.raw.xz \\',
    '  acme_@v.raw',
    '[Target]',
    'Type=ddi-store',
    'Path=/dev/sda',
    'InstancesMax=4',
    ...more,
  ].join('\n')

test('a transfer definition says what systemd-sysupdate would take from it, and what has no effect is named', () => {
  const { patterns, ...transfer } = parseTransfer(definition('ReadOnly=yes', 'TriesLeft=3'), 'a.transfer', specifiers)!
  assert.deepEqual(transfer, {
    path: 'a.transfer',
    ignored: ['[Target] ReadOnly=', '[Target] TriesLeft='],
    product: 'acme',
    source: { type: 'url-file', path: 'https://example.com/images' },
    minVersion: '3',
    protectVersions: ['7', '6'],
    verify: true,
    disk: '/dev/sda',
    instancesMax: 4,
  })
  assert.deepEqual(
    patterns.map(({ text }) => text),
    ['acme_@v.raw.xz', 'acme_@v.raw'],
  )
  assert.equal(parseTransfer(definition('Type=partition'), 'a', specifiers), undefined)
  assert.equal(parseTransfer('[Whatever]\nwritten for others\n[Target]\nType=partition\n', 'a', specifiers), undefined)
  const withOwn = parseTransfer(definition('X-Note=1', '[X-Other]', 'written for others'), 'a', specifiers)
  assert.deepEqual(withOwn?.ignored, [])
  for (const [line, message] of [
    ['InstancesMax=1', /a:13: InstancesMax=:/],
    ['PathRelativeTo=esp', /a:13: PathRelativeTo=: not supported/],
    ['[Transfer]\nFeatures=x', /a:14: Features=: not supported/],
    ['[Transfer]\nVerify=perhaps', /a:14: Verify=: .*not a boolean/],
    ['[Other]', /a:13: unknown section/],
    ['[Source]\nType=tar', /a: \[Source\] Type=tar is not supported/],
    ['MatchPattern=@v', /a: which product/],
    ['Path=%x', /a:13: Path=: the specifier %x/],
  ] as const)
    assert.throws(() => parseTransfer(definition(line), 'a', specifiers) ?? assert.fail(line), {
      code: 'ERR_DDI_DEFINITION',
      message,
    })
})

test('definitions of all directories count, the first of a name, masked ones not', async () => {
  using folder = temporaryFolder()
  const put = (directory: string, name: string, text: string) => {
    mkdirSync(join(folder.path, directory), { recursive: true })
    writeFileSync(join(folder.path, directory, name), text)
  }
  put('etc', 'os-release', 'IMAGE_VERSION=9\n')
  put('etc/sysupdate.d', '20-acme.conf', definition())
  put('usr/lib/sysupdate.d', '20-acme.conf', 'nonsense')
  put(
    'usr/lib/sysupdate.d',
    '10-shop.transfer',
    definition('MatchPattern=shop_@v', 'Path=auto', '[Transfer]', 'ProtectVersion=%v'),
  )
  put('etc/sysupdate.d/20-acme.conf.d', '10-more.conf', '[Transfer]\nProtectVersion=\nProtectVersion=8\nMinVersion=5\n')
  put('usr/lib/sysupdate.d/20-acme.conf.d', '20-elsewhere.conf', '[Source]\nPath=https://else.example/')
  put('usr/lib/sysupdate.d', '30-masked.transfer', definition())
  put('run/sysupdate.d', '40-note.txt', 'nonsense')
  symlinkSync('/dev/null', join(folder.path, 'etc/sysupdate.d/30-masked.transfer'))
  const transfers: readonly Transfer[] = await readTransfers(folder.path)
  assert.deepEqual(
    transfers.map(({ product, disk, protectVersions }) => [product, disk, protectVersions]),
    [
      ['shop', null, ['9', '6', release()]],
      ['acme', '/dev/sda', ['8']],
    ],
  )
  const { source, minVersion } = transfers[1]!
  assert.deepEqual([source.path, minVersion], ['https://else.example/', '5'])
  symlinkSync('missing', join(folder.path, 'etc/sysupdate.d/50-gone.transfer'))
  await assert.rejects(readTransfers(folder.path), { code: 'ERR_DDI_NOT_FOUND', message: /50-gone/ })
})

test('the newest of a signed folder is installed if it is newer than all there, and only so many are kept', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  let keyring = ''
  const disk = at('disk.raw')
  emptyFile(disk, 32 * MiB)
  assert.equal(cli('volume', 'init', disk).status, 0)
  mkdirSync(at('images'))
  const publish = (...versions: readonly string[]) => {
    for (const version of versions) writeFileSync(at(`images/acme_${version}.raw`), smallImage(Number(version) + 1))
    run('sh', '-c', `cd '${at('images')}' && sha256sum *.raw >SHA256SUMS`)
    keyring = signByGpg(at(`gpg-${versions[0]}`), at('images/SHA256SUMS'))
  }
  const update = (...more: readonly string[]) =>
    cli(
      'store',
      'update',
      disk,
      `--source=file://${at('images')}`,
      '--match=acme_@v.raw',
      `--keyring=${keyring}`,
      ...more,
    )
  publish('1', '2', '10')
  assert.equal(update('--check').status, 0)
  const before = readFileSync(disk)
  assert.match(update('--dry-run').stdout, /^acme_10: would be installed/)
  assert.ok(readFileSync(disk).equals(before))
  assert.match(update().stdout, /^acme_10: installed/)
  assert.match(update('--check').stdout, /nothing newer/)
  assert.equal(update('--check').status, 10)
  assert.equal(update().status, 0)
  cli('store', 'good', disk, 'acme_10')
  publish('11')
  assert.match(update('--keep=2').stdout, /^acme_11: installed/)
  publish('12')
  for (const more of [['--dry-run'], []]) {
    const { installed, removed } = JSON.parse(update('--keep=2', '--json=short', ...more).stdout).updates[0]
    assert.equal(installed.label, 'acme_12')
    assert.deepEqual(
      removed.map(({ label }: { label: string }) => label),
      ['acme_11'],
    )
  }

  publish('13')
  writeFileSync(at('images/acme_13.raw'), smallImage(99))
  const changed = update()
  assert.equal(changed.status, 3)
  assert.match(changed.stderr, /ERR_DDI_PULL_CHECKSUM/)
  run(
    'sh',
    '-c',
    `echo "${createHash('sha256').update('x').digest('hex')}  acme_14.raw" >>'${at('images/SHA256SUMS')}'`,
  )
  assert.match(update().stderr, /ERR_DDI_PULL_SIGNATURE/)
  const { images } = JSON.parse(cli('store', 'list', disk, '--json=short').stdout).stores[0]
  assert.deepEqual(images.map(({ label }: { label: string }) => label).sort(), ['acme_10', 'acme_12'])
})

test('where a server has no list of checksums, its listing says what there is, and a certificate has to vouch for it', async () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  emptyFile(disk, 32 * MiB)
  assert.equal(cli('volume', 'init', disk).status, 0)
  const image = smallImage(1)
  const keys = ['acme/acme_9.raw', 'acme/acme_1~a&amp;b.raw', 'acme/old/acme_99.raw', 'else_98.raw']
  const bucket = '/?list-type=2&delimiter=%2F&prefix=acme%2F'
  const listed = (some: readonly string[], more = '') =>
    `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${some
      .map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`)
      .join('')}${more}</ListBucketResult>`
  const page = `<html><a href="../">..</a> <A HREF='acme_9.raw'>9</A> <a class="x" href="old/acme_99.raw">99</a>
    <a href="http://else.where/acme_98.raw">98</a> <a href="./acme_10%2b1.raw">10+1</a> <a href="%ff_@1.raw">?</a>`
  const known =
    (type: string, body: string | Buffer): Handler =>
    ({ headers }, response) => {
      const isKnown = headers.authorization === `Basic ${Buffer.from('me:secret').toString('base64')}`
      response.writeHead(isKnown ? 200 : 401, { 'content-type': type }).end(isKnown ? body : '')
    }
  await using server = await serve({
    '/acme/': known('text/html; charset=utf-8', page),
    '/acme/acme_10%2b1.raw': known('application/octet-stream', image),
    '/acme/acme_9.raw': { bytes: image },
    [bucket]: (_, response) =>
      void response.end(listed(keys.slice(0, 2), '<NextContinuationToken>1&amp;2</NextContinuationToken>')),
    [`${bucket}&continuation-token=1%262`]: (_, response) => void response.end(listed(keys.slice(2))),
  })
  const update = async (listing: 'html' | 's3', trust: Pick<Transfer, 'verify'> & UpdateOptions) => {
    const { verify, ...options } = trust
    const own = listing === 'html' ? server.url.replace('//', '//me:secret@') : server.url
    const source = { type: 'url-file', path: `${own}/acme`, listing } as const
    const transfer = { ...(parseTransfer(definition(), 'x', specifiers) as Transfer), source, verify, minVersion: null }
    await using store = await openStore(disk)
    const available = await availableUpdate(store.images, transfer, options)
    return available && (await installUpdate(store, transfer, available, options)).image.label
  }
  const untrusted = { code: 'ERR_DDI_SIGNATURE_UNTRUSTED' }
  await assert.rejects(update('html', { verify: true, certificates: [] }), untrusted)
  const { certificate } = makeIdentity(folder.path, 'signer')
  const certificates = [new X509Certificate(readFileSync(certificate))]
  await assert.rejects(update('html', { verify: true, certificates }), untrusted)
  assert.equal(await update('s3', { verify: false }), 'acme_9')
  assert.equal(await update('html', { verify: false }), 'acme_10+1')
  assert.equal(await update('s3', { verify: false }), undefined)
})

test('the units are what systemd takes for units, enabled', async () => {
  using folder = temporaryFolder()
  const program = join(folder.path, 'my tools 100%u', 'ddi-attach')
  mkdirSync(dirname(program))
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
  const planned = await installUnits(program, { root: folder.path, dryRun: true })
  assert.ok(!existsSync(join(folder.path, 'etc')))
  const paths = await installUnits(program, { root: folder.path })
  assert.deepEqual(paths, planned)
  assert.deepEqual(await installUnits(program, { root: folder.path }), paths)
  const update = readFileSync(paths.find((path) => path.endsWith('update.service'))!, 'utf8')
  for (const directory of ['etc', 'run', 'usr/local/lib', 'usr/lib'])
    assert.ok(update.includes(`ConditionDirectoryNotEmpty=|/${directory}/sysupdate.d\n`), directory)
  assert.match(update, /^After=.*ddi-store-good\.service$/m)
  assert.equal(paths.length, 3)
  const verified = attempt('systemd-analyze', 'verify', '--man=no', ...paths)
  assert.equal(verified.status, 0, verified.stderr)
  const enabled = run(
    'systemctl',
    `--root=${folder.path}`,
    'is-enabled',
    'ddi-store-update.timer',
    'ddi-store-good.service',
  )
  assert.equal(enabled, 'enabled\nenabled\n')
})

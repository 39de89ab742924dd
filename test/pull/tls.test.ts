// Whom a client trusts, and how it says who it is, with certificates as people have them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { type PullOptions, pull } from '../../lib/index.js'
import { cliPath, run, temporaryFolder } from '../support/run.js'

const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']

function makeCertificates(folder: string): (name: string) => string {
  const at = (name: string) => join(folder, name)
  for (const name of ['server', 'client']) {
    const more = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']
    run('openssl', 'req', '-x509', ...key, ...more, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`))
  }
  run('openssl', 'x509', '-in', at('server.pem'), '-outform', 'DER', '-out', at('server.der'))
  run('openssl', 'ec', '-aes256', '-in', at('client.key'), '-passout', 'pass:s3cret', '-out', at('encrypted.key'))
  const pkcs12 = ['-export', '-inkey', at('client.key'), '-in', at('client.pem'), '-passout', 'pass:s3cret']
  run('openssl', 'pkcs12', ...pkcs12, '-out', at('client.p12'))
  return at
}

test('client certificates in PEM, with an encrypted key, and in PKCS#12; authorities in DER', async () => {
  using folder = temporaryFolder()
  const at = makeCertificates(folder.path)
  const text = (name: string) => readFileSync(at(name), 'utf8')
  const server = createServer(
    {
      key: text('server.key'),
      cert: text('server.pem'),
      ca: text('client.pem'),
      requestCert: true,
      rejectUnauthorized: false,
    },
    ({ socket }, response) => {
      response.writeHead((socket as TLSSocket).authorized ? 200 : 403).end('image')
    },
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/image.raw`
  const target = { kind: 'raw', path: at('image.raw'), replace: true } as const
  const authorities = readFileSync(at('server.der'))
  const pullAs = (client: NonNullable<PullOptions['client']>) =>
    pull(url, target, { verify: 'no', retries: 0, authorities, client })
  try {
    const certificate = text('client.pem')
    const pkcs12 = readFileSync(at('client.p12'))
    await pullAs({ certificate, key: text('client.key') })
    await pullAs({ certificate, key: text('encrypted.key'), passphrase: 's3cret' })
    await pullAs({ pkcs12, passphrase: 's3cret' })
    for (const client of [
      { certificate, key: text('encrypted.key') },
      { certificate, key: text('encrypted.key'), passphrase: 'wrong' },
      { pkcs12, passphrase: 'wrong' },
      { pkcs12 },
    ])
      await assert.rejects(pullAs(client), { code: 'ERR_DDI_KEY', message: /^(?!.*s3cret)/ })
    await assert.rejects(pullAs({ pkcs12: Buffer.from('0none') }), { code: 'ERR_DDI_CERTIFICATE' })
    writeFileSync(at('passphrase'), 's3cret\n')
    const options = ['--verify=no', '--force', '--ca', at('server.der'), '--key-passphrase-file', at('passphrase')]
    for (const cert of [
      ['--cert', at('client.p12')],
      ['--cert', at('client.pem'), '--key', at('encrypted.key')],
    ]) {
      const child = spawn(process.execPath, [cliPath, 'pull', url, '--output', at('out'), ...options, ...cert])
      assert.deepEqual(await once(child, 'exit'), [0, null])
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('the authorities of the environment, and of this machine alone where it has some; a server of HTTP/2 alone', async () => {
  using folder = temporaryFolder()
  const at = makeCertificates(folder.path)
  const text = (name: string) => readFileSync(at(name), 'utf8')
  const server = createSecureServer({ key: text('server.key'), cert: text('server.pem') }, (request, response) => {
    if (request.url === '/none.raw') response.stream.respond({ ':status': 404 }, { endStream: true })
    else response.end(`image over ${request.httpVersion}`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const target = { kind: 'raw', path: at('image.raw'), replace: true } as const
  const no = { verify: 'no', retries: 0 } as const
  mkdirSync(at('certs'))
  writeFileSync(at('certs/server.pem'), text('server.pem'))
  run('openssl', 'rehash', at('certs'))
  const names = ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'] as const
  const before = { ...process.env }
  const pullWith = async (environment: Partial<Record<(typeof names)[number], string>>, more: PullOptions = {}) => {
    for (const name of names) delete process.env[name]
    Object.assign(process.env, environment)
    await pull(`${base}/image.raw`, target, { ...no, ...more })
  }
  try {
    await pullWith({ SSL_CERT_FILE: at('server.pem') })
    assert.equal(text('image.raw'), 'image over 2.0')
    await pullWith({ SSL_CERT_DIR: `${at('none')}:${at('certs')}` })
    await pullWith({ NODE_EXTRA_CA_CERTS: at('server.pem') })
    await pullWith({}, { authorities: text('server.pem') })
    await assert.rejects(pullWith({}), { code: 'ERR_DDI_PULL_CERTIFICATE' })
    await assert.rejects(pullWith({ SSL_CERT_FILE: at('client.pem') }), { code: 'ERR_DDI_PULL_CERTIFICATE' })
    await assert.rejects(pullWith({ SSL_CERT_FILE: at('none') }), { code: 'ERR_DDI_NOT_FOUND' })
    await assert.rejects(pullWith({ SSL_CERT_FILE: at('client.key') }), { code: 'ERR_DDI_CERTIFICATE' })
    delete process.env['SSL_CERT_FILE']
    const authorities = text('server.pem')
    await assert.rejects(pull(`${base}/none.raw`, target, { ...no, authorities }), { code: 'ERR_DDI_PULL_NOT_FOUND' })
  } finally {
    for (const name of names) delete process.env[name]
    Object.assign(process.env, before)
    server.close()
  }
})

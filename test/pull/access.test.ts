// How clients identify themselves to servers.
import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { type AddressInfo, connect, createServer as createProxy } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { type DdiError, pull } from '../../lib/index.js'
import { credentialsIn } from '../../lib/pull/netrc.js'
import { cliAsNobody, run, temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'

const no = { verify: 'no', retries: 0 } as const

test('names and passwords go only to their server, and into no message', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const target = { kind: 'raw', path, replace: true } as const
  const seen: (string | undefined)[] = []
  const guarded: Handler = (request, response) => {
    seen.push(request.headers.authorization)
    const allowed = request.headers.authorization === `Basic ${Buffer.from('me:s3cret@x').toString('base64')}`
    response.writeHead(allowed ? 200 : 401).end('image')
  }
  await using other = await serve({ '/image.raw': guarded })
  await using server = await serve({
    '/image.raw': guarded,
    '/away.raw': (_, response) => void response.writeHead(302, { location: `${other.url}/image.raw` }).end(),
  })
  const withName = server.url.replace('http://', 'http://me:s3cret%40x@')
  await pull(`${withName}/image.raw`, target, no)
  await pull(`${server.url}/image.raw`, target, { ...no, credentials: { login: 'me', password: 's3cret@x' } })
  assert.equal(seen.length, 2)
  const told = (error: DdiError) => error.code === 'ERR_DDI_PULL_RESPONSE' && !/s3cret|me:/.test(error.message)
  await assert.rejects(pull(`${withName}/away.raw`, target, no), told)
  assert.equal(seen[2], undefined)
  await assert.rejects(pull(`${server.url}/image.raw`, target, no), told)
})

test('a file without read permission is an error with its code', () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o777)
  const path = join(folder.path, 'image.raw')
  writeFileSync(path, 'image', { mode: 0o600 })
  const output = `--output=${join(folder.path, 'pulled.raw')}`
  const { status, stderr } = cliAsNobody('pull', `file://${path}`, output, '--verify=no')
  assert.match(stderr, /ERR_DDI_PERMISSION/)
  assert.equal(status, 4)
  assert.deepEqual(readdirSync(folder.path), ['image.raw'])
})

test('netrc files are read according to netrc(5)', () => {
  const text = `
# a comment
machine one.example login a password "with \\"quotes\\" and space"
machine two.example
  login b
  account x
  password c
macdef init
  machine three.example login evil password evil

default login d password e
`
  assert.deepEqual(credentialsIn(text, 'one.example'), { login: 'a', password: 'with "quotes" and space' })
  assert.deepEqual(credentialsIn(text, 'two.example'), { login: 'b', password: 'c' })
  assert.deepEqual(credentialsIn(text, 'three.example'), { login: 'd', password: 'e' })
  assert.equal(credentialsIn('machine x login y', 'x'), undefined)
  assert.equal(credentialsIn('', 'x'), undefined)
})

test('a server with a private certificate that requires one of the client; also behind a proxy', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const text = (name: string) => readFileSync(at(name), 'utf8')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  for (const name of ['server', 'client']) {
    const more = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']
    run('openssl', 'req', '-x509', ...key, ...more, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`))
  }
  const options = { key: text('server.key'), cert: text('server.pem'), ca: text('client.pem'), requestCert: true }
  const server = createServer({ ...options, rejectUnauthorized: false }, (request, response) => {
    response.writeHead((request.socket as TLSSocket).authorized ? 200 : 403).end('image')
  }).listen(0, '127.0.0.1')
  let tunnels = 0
  const proxy = createProxy((client) => {
    client.once('data', () => {
      tunnels++
      const upstream = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n')
        client.pipe(upstream).pipe(client)
      })
      for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
    })
  }).listen(0, '127.0.0.1')
  await new Promise((done) => proxy.once('listening', done))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/image.raw`
  const target = { kind: 'raw', path: at('image.raw'), replace: true } as const
  const authorities = text('server.pem')
  const client = { certificate: text('client.pem'), key: text('client.key') }
  try {
    await assert.rejects(pull(url, target, no), { code: 'ERR_DDI_PULL_BROKEN' })
    await assert.rejects(pull(url, target, { ...no, authorities }), { code: 'ERR_DDI_PULL_RESPONSE' })
    await pull(url, target, { ...no, authorities, client })
    assert.equal(text('image.raw'), 'image')
    process.env['https_proxy'] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    await pull(url, target, { ...no, authorities, client })
    assert.equal(tunnels, 1)
  } finally {
    delete process.env['https_proxy']
    server.closeAllConnections()
    server.close()
    proxy.close()
  }
})

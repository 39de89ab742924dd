// How clients identify themselves to servers.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createPlainServer, get, type IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect, createServer as createProxy } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { type DdiError, type PullOptions, pull } from '../../lib/index.js'
import { credentialsIn } from '../../lib/pull/netrc.js'
import { cli, cliAsNobody, run, temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'

const no = { verify: 'no', retries: 0 } as const
const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']

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
  const refusing = createProxy((client) => {
    client.once('data', () => client.end('HTTP/1.1 403 Forbidden\r\n\r\n')).on('error', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await Promise.all([server, proxy, refusing].map((one) => once(one, 'listening')))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/image.raw`
  const target = { kind: 'raw', path: at('image.raw'), replace: true } as const
  const authorities = text('server.pem')
  const client = { certificate: text('client.pem'), key: text('client.key') }
  try {
    await assert.rejects(pull(url, target, no), { code: 'ERR_DDI_PULL_CERTIFICATE' })
    await assert.rejects(pull(url, target, { ...no, authorities }), { code: 'ERR_DDI_PULL_FORBIDDEN' })
    await pull(url, target, { ...no, authorities, client })
    assert.equal(text('image.raw'), 'image')
    process.env['https_proxy'] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    await pull(url, target, { ...no, authorities, client })
    assert.equal(tunnels, 1)
    // A proxy that refuses is an error as of a server.
    process.env['https_proxy'] = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`
    await assert.rejects(pull(url, target, { ...no, authorities, client }), {
      code: 'ERR_DDI_PULL_RESPONSE',
      message: /the proxy 127[^ ]* answers 403/,
    })
  } finally {
    delete process.env['https_proxy']
    server.closeAllConnections()
    for (const one of [server, proxy, refusing]) one.close()
  }
})

test('a client certificate goes to the server of the address and to no other', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const text = (name: string) => readFileSync(at(name), 'utf8')
  for (const name of ['server', 'client']) {
    const more = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']
    run('openssl', 'req', '-x509', ...key, ...more, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`))
  }
  const options = { key: text('server.key'), cert: text('server.pem'), requestCert: true, rejectUnauthorized: false }
  const seen: string[] = []
  const note = (name: string, { socket, url }: IncomingMessage) =>
    seen.push(`${name} ${url} ${(socket as TLSSocket).getPeerCertificate()?.subject?.CN ?? 'nobody'}`)
  const other = createServer(options, (request, response) => {
    note('other', request)
    response.end('image')
  }).listen(0, '127.0.0.1')
  const server = createServer(options, (request, response) => {
    note('own', request)
    const elsewhere = `https://127.0.0.1:${(other.address() as AddressInfo).port}/there.raw`
    const location = request.url === '/away.raw' ? elsewhere : '/there.raw'
    if (request.url === '/there.raw') response.end('image')
    else response.writeHead(302, { location }).end()
  }).listen(0, '127.0.0.1')
  await Promise.all([server, other].map((one) => once(one, 'listening')))
  const pullIt = async (name: string) => {
    const client = { certificate: text('client.pem'), key: text('client.key') }
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/${name}.raw`
    const target = { kind: 'raw', path: at('image.raw'), replace: true } as const
    await pull(url, target, { ...no, authorities: text('server.pem'), client })
    return seen.splice(0)
  }
  try {
    assert.deepEqual(await pullIt('away'), ['own /away.raw client', 'other /there.raw nobody'])
    assert.deepEqual(await pullIt('here'), ['own /here.raw client', 'own /there.raw client'])
  } finally {
    for (const one of [server, other]) {
      one.closeAllConnections()
      one.close()
    }
  }
})

test('certificates, keys and headers that are malformed are refused before a server is asked', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const text = (name: string) => readFileSync(at(name), 'utf8')
  for (const name of ['one', 'other'])
    run('openssl', 'req', '-x509', ...key, '-subj', '/CN=x', '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`))
  run('openssl', 'ec', '-aes256', '-in', at('one.key'), '-passout', 'pass:x', '-out', at('encrypted.key'))
  run('openssl', 'x509', '-in', at('one.pem'), '-outform', 'DER', '-out', at('one.der'))
  const certificate = text('one.pem')
  const good = { certificate, key: text('one.key') }
  const malformed = certificate.replace(/^M/m, 'X')
  let asked = 0
  await using server = await serve({ '/image.raw': (_, response) => void response.writeHead(503 + asked++).end() })
  const retries = 1000
  const pullIt = (more: PullOptions) =>
    pull(`${server.url}/image.raw`, { kind: 'raw', path: at('image.raw') }, { ...no, retries, ...more })
  for (const [code, more] of [
    ['ERR_DDI_CERTIFICATE', { authorities: 'none' }],
    ['ERR_DDI_CERTIFICATE', { authorities: '' }],
    ['ERR_DDI_CERTIFICATE', { authorities: malformed }],
    ['ERR_DDI_CERTIFICATE', { authorities: text('one.der') }],
    ['ERR_DDI_CERTIFICATE', { authorities: text('one.key') }],
    ['ERR_DDI_CERTIFICATE', { client: { ...good, certificate: malformed } }],
    ['ERR_DDI_CERTIFICATE', { client: { ...good, certificate: text('one.key') } }],
    ['ERR_DDI_KEY', { client: { ...good, key: '' } }],
    ['ERR_DDI_KEY', { client: { ...good, key: certificate } }],
    ['ERR_DDI_KEY', { client: { ...good, key: text('other.key') } }],
    ['ERR_DDI_KEY', { client: { ...good, key: text('encrypted.key') } }],
    ['ERR_DDI_USAGE', { headers: { 'a b': 'c' } }],
    ['ERR_DDI_USAGE', { headers: { a: 'b\r\nc: d' } }],
    ['ERR_DDI_USAGE', { headers: { 'Transfer-Encoding': 'chunked' } }],
  ] as const)
    await assert.rejects(pullIt(more), { code }, JSON.stringify(more).slice(0, 60))
  assert.equal(asked, 0)
  writeFileSync(at('none.pem'), 'none')
  for (const [option, code] of [
    ['--ca', 'CERTIFICATE'],
    ['--cert', 'CERTIFICATE'],
  ] as const) {
    const url = `${server.url}/image.raw`
    const { status, stderr } = cli('pull', url, '--output', at('x'), '--verify=no', option, at('none.pem'))
    assert.match(stderr, new RegExp(`^ddi-attach: .*ERR_DDI_${code}\\)\n$`))
    assert.equal(status, 2)
  }
})

test('proxies are named as for curl; those that cannot be any are refused at once, and do not matter for files', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const target = { kind: 'raw', path, replace: true } as const
  await using server = await serve({ '/image.raw': { bytes: Buffer.from('image') } })
  const asked: (string | undefined)[] = []
  const proxy = createPlainServer((request, response) => {
    asked.push(`${request.headers.host} ${request.headers['proxy-authorization'] ?? ''}`)
    get(request.url!, (answer) => answer.pipe(response.writeHead(answer.statusCode!)))
  }).listen(0, '127.0.0.1')
  const silent = createProxy(() => {}).listen(0, '127.0.0.1')
  await Promise.all([proxy, silent].map((one) => once(one, 'listening')))
  try {
    const { host } = new URL(server.url)
    const address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
    for (const http_proxy of [address, `http://me:s3cret%40x@${address}`]) {
      process.env['http_proxy'] = http_proxy
      await pull(`${server.url}/image.raw`, target, no)
      for (const no_proxy of ['*', 'a.example, 127.0.0.1', host, '127.0.0.0/8']) {
        process.env['no_proxy'] = no_proxy
        await pull(`${server.url}/image.raw`, target, no)
      }
      process.env['no_proxy'] = '127.0.0.1:1,27.0.0.1'
      await pull(`${server.url}/image.raw`, target, no)
    }
    const password = `Basic ${Buffer.from('me:s3cret@x').toString('base64')}`
    assert.deepEqual(asked, [`${host} `, `${host} `, `${host} ${password}`, `${host} ${password}`])
    for (const bad of ['socks5://127.0.0.1:1', 'http://', 'http://[', 'http://s3cret%zz@h', '://', 'h:99999']) {
      process.env['http_proxy'] = bad
      const named = (error: DdiError) =>
        error.code === 'ERR_DDI_USAGE' && /http_proxy/.test(error.message) && !/s3cret/.test(error.message)
      await assert.rejects(pull(`${server.url}/image.raw`, target, { ...no, retries: 1000 }), named, bad)
      await pull(`file://${path}`, { ...target, path: `${path}.copy` }, no)
    }
    process.env['http_proxy'] = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const timeouts = { headers: 500 }
    await assert.rejects(pull(`${server.url}/image.raw`, target, { ...no, timeouts }), { code: 'ERR_DDI_PULL_BROKEN' })
  } finally {
    delete process.env['http_proxy']
    delete process.env['no_proxy']
    proxy.close()
    silent.close()
  }
})

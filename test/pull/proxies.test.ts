import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { pull } from '../../lib/index.js'
import { needsNone, proxyFor } from '../../lib/pull/proxies.js'
import { temporaryFolder } from '../support/run.js'

test('hosts that need no proxy, as curl reads no_proxy', () => {
  const cases: readonly (readonly [list: string, host: string, needsNone: boolean])[] = [
    ['corp.example', 'corp.example', true],
    ['corp.example', 'mirror.corp.example', true],
    ['.corp.example', 'corp.example', true],
    ['.corp.example', 'a.b.corp.example', true],
    ['corp.example', 'notcorp.example', false],
    ['CORP.example.', 'mirror.corp.example', true],
    ['other, corp.example', 'corp.example', true],
    ['other corp.example', 'corp.example', true],
    ['*', 'anything', true],
    ['', 'anything', false],
    ['127.0.0.0/8', '127.1.2.3', true],
    ['127.0.0.0/8', '128.0.0.1', false],
    ['127.0.0.0/33', '127.0.0.1', false],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.10', false],
    ['10.0.0.0/x', '10.0.0.1', false],
    ['0.0.1', '10.0.0.1', false],
    ['fd00::/8', '[fd12::1]', true],
    ['[::1]', '[::1]', true],
    ['0:0::1', '[::1]', true],
    ['::1/128', '[::2]', false],
    ['corp.example:8080', 'corp.example', false],
    ['corp.example:80', 'corp.example', true],
  ]
  for (const [list, host, expected] of cases)
    assert.equal(needsNone(new URL(`http://${host}/x`), list), expected, `${list} ${host}`)
})

test('each scheme has its proxy, and what is no http proxy is refused by its kind', () => {
  const before = { ...process.env }
  const given = (environment: Readonly<Record<string, string>>, url: string) => {
    for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name]
    Object.assign(process.env, environment)
    return proxyFor(new URL(url))?.href
  }
  try {
    assert.equal(given({ http_proxy: 'http://p:1' }, 'https://h/x'), undefined)
    assert.equal(given({ https_proxy: 'p:1' }, 'https://h/x'), 'http://p:1/')
    assert.equal(given({ https_proxy: 'p:1' }, 'http://h/x'), undefined)
    assert.equal(given({ ALL_PROXY: 'https://p:1', http_proxy: 'http://q:2' }, 'http://h/x'), 'http://q:2/')
    assert.equal(given({ all_proxy: 'https://p:1' }, 'https://h/x'), 'https://p:1/')
    for (const kind of ['socks5', 'socks5h', 'SOCKS4'])
      assert.throws(() => given({ all_proxy: `${kind}://u:s3cret@p:1` }, 'http://h/x'), {
        code: 'ERR_DDI_USAGE',
        message: new RegExp(`^(?!.*s3cret).*${kind}`),
      })
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
})

test('a proxy that refuses ends a download at once, and one that is not there is named', async () => {
  using folder = temporaryFolder()
  const before = { ...process.env }
  let requests = 0
  const proxy = createServer((_, response) => {
    requests++
    response.writeHead(407).end()
  }).listen(0, '127.0.0.1')
  proxy.on('connect', (_, socket) => {
    requests++
    socket.end('HTTP/1.1 407 No\r\n\r\n')
  })
  await once(proxy, 'listening')
  const host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const target = { kind: 'raw', path: join(folder.path, 'image.raw') } as const
  const through = async (scheme: string, retries: number) =>
    await pull(`${scheme}://server.example/image.raw`, target, { verify: 'no', retries })
  for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name]
  Object.assign(process.env, { http_proxy: `http://${host}`, https_proxy: `http://${host}` })
  try {
    for (const scheme of ['http', 'https'])
      await assert.rejects(through(scheme, 3), { code: 'ERR_DDI_PULL_RESPONSE', message: /the proxy .*answers 407/ })
    assert.equal(requests, 2)
    proxy.close()
    for (const scheme of ['http', 'https'])
      await assert.rejects(through(scheme, 0), {
        code: 'ERR_DDI_PULL_BROKEN',
        message: new RegExp(`ECONNREFUSED: the proxy ${host}: `),
      })
  } finally {
    proxy.close()
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
})

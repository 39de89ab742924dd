// Servers behind addresses as clouds and content networks have them.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type PullOptions, pull } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

const bytes = randomBytes(4 * MiB)
const sha256 = createHash('sha256').update(bytes).digest('hex')

async function listen(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Mirrors with ranges, of which no two have the same tag; the first answers break. */
function mirrors(breaks: number): RequestListener & { readonly ranges: (string | undefined)[] } {
  const ranges: (string | undefined)[] = []
  const listener: RequestListener = ({ headers }, response) => {
    const count = ranges.push(headers.range)
    const [, from = '0', last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
    const [start, end] = [Number(from), last ? Math.min(Number(last) + 1, bytes.length) : bytes.length]
    const isPart = headers.range !== undefined && headers['if-range'] === undefined
    const body = isPart ? bytes.subarray(start, end) : bytes
    response.writeHead(isPart ? 206 : 200, {
      etag: `"${count}"`,
      'last-modified': new Date(count * 1e9).toUTCString(),
      'content-length': body.length,
      ...(isPart && { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
    })
    if (count > breaks) response.end(body)
    else response.write(body.subarray(0, MiB), () => response.destroy())
  }
  return Object.assign(listener, { ranges })
}

test('mirrors with different tags and times are one file if its SHA-256 is known, also for the next pull', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  for (const connections of [1, 3]) {
    await using server = await listen(mirrors(2))
    const target = { kind: 'raw', path, replace: true } as const
    const { downloaded } = await pull(`${server.url}/image.raw`, target, { verify: { sha256 }, connections })
    assert.ok(readFileSync(path).equals(bytes))
    assert.equal(downloaded, bytes.length)
  }
  run('rm', path)
  const listener = mirrors(0)
  await using server = await listen(listener)
  const stop = new AbortController()
  // A signature in the query is another one each time.
  const url = `${server.url}/image.raw?X-Amz-Signature=`
  const options: PullOptions = { verify: { sha256 } }
  const onProgress: PullOptions['onProgress'] = ({ done }) => done > MiB && stop.abort()
  const stopped = pull(`${url}one`, { kind: 'raw', path }, { ...options, signal: stop.signal, onProgress })
  await assert.rejects(stopped, { code: 'ERR_DDI_ABORTED' })
  const { resumed, downloaded } = await pull(`${url}two`, { kind: 'raw', path }, options)
  assert.ok(resumed > 0 && resumed + downloaded === bytes.length)
  assert.ok(readFileSync(path).equals(bytes))
  assert.deepEqual(readdirSync(folder.path), ['image.raw'])
})

test('an interrupted pull of a file whose SHA-256 is another one by now is not continued', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const stop = new AbortController()
  await using server = await listen(mirrors(0))
  const url = `${server.url}/image.raw`
  const earlier = { sha256: '0'.repeat(64) }
  const onProgress: PullOptions['onProgress'] = ({ done }) => done > MiB && stop.abort()
  const stopped = pull(url, { kind: 'raw', path }, { verify: earlier, signal: stop.signal, onProgress })
  await assert.rejects(stopped, { code: 'ERR_DDI_ABORTED' })
  assert.equal((await pull(url, { kind: 'raw', path }, { verify: { sha256 } })).resumed, 0)
})

test('a server that gives no size, tag or ranges begins anew after a break', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  let count = 0
  await using server = await listen((_, response) => {
    response.writeHead(200)
    if (count++ > 1) response.end(bytes)
    else response.write(bytes.subarray(0, count * MiB), () => response.destroy())
  })
  for (const verify of ['no', { sha256 }] as const) {
    count = 0
    await pull(`${server.url}/image.raw`, { kind: 'raw', path, replace: true }, { verify })
    assert.ok(readFileSync(path).equals(bytes))
  }
})

test('lists are where the query opens the directory, and missing where a bucket says nothing of what it lacks', async () => {
  using folder = temporaryFolder()
  const target = { kind: 'raw', path: join(folder.path, 'image.raw'), replace: true } as const
  const list = `${sha256}  image.raw\n`
  const asked: string[] = []
  await using server = await listen((request, response) => {
    asked.push(request.url!)
    const { pathname, searchParams } = new URL(request.url!, 'http://h')
    const files: Readonly<Record<string, string | Buffer>> = {
      '/bucket/image.raw': bytes,
      '/bucket/image.raw.sha256': list,
      '/container/image.raw': bytes,
      '/container/SHA256SUMS': list,
      '/nameless/image.raw': bytes,
      '/nameless/image.raw.sha256': `${sha256}  -\n`,
      '/signed/image.raw': bytes,
      '/signed/SHA256SUMS': list,
    }
    const [, directory, name] = pathname.split('/')
    const mayRead = {
      bucket: true,
      nameless: true,
      container: searchParams.get('sig') === 'abc',
      signed: name === 'SHA256SUMS' ? !searchParams.has('sig') : true,
    }
    const file = mayRead[directory as keyof typeof mayRead] ? files[pathname] : undefined
    response.writeHead(file ? 200 : 403).end(file ?? '<Error><Code>AccessDenied</Code></Error>')
  })
  for (const address of [
    'bucket/image.raw',
    'nameless/image.raw',
    'container/image.raw?sig=abc',
    'signed/image.raw?sig=abc',
  ])
    await pull(`${server.url}/${address}`, target, { verify: 'checksum' })
  await assert.rejects(pull(`${server.url}/bucket/none.raw`, target, { verify: 'checksum' }), {
    code: 'ERR_DDI_PULL_NO_CHECKSUM',
  })
  await assert.rejects(pull(`${server.url}/bucket/image.raw`, target), { code: /ERR_DDI_PULL_(SIGNATURE|KEYRING)/ })
})

test('names as long as a file system takes them', async () => {
  using folder = temporaryFolder()
  await using server = await listen((_, response) => void response.end(bytes))
  for (const name of ['n'.repeat(255), `${'ü'.repeat(127)}n`, `${'ü'.repeat(126)}.n`]) {
    const path = join(folder.path, name)
    await pull(`${server.url}/image.raw`, { kind: 'raw', path }, { verify: 'no' })
    assert.ok(readFileSync(path).equals(bytes))
  }
  assert.equal(readdirSync(folder.path).length, 3)
})

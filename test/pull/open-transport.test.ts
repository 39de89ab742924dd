import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTransport } from '../../lib/pull/open-transport.js'
import { settingsOf } from '../../lib/pull/options.js'
import { segmentSize } from '../../lib/pull/segments.js'
import { serve } from '../support/server.js'
import { collect } from './fake-server.js'

test('a closed transport requests nothing more, and says so', async () => {
  const size = 3 * segmentSize
  await using server = await serve({
    '/image.raw': (request, response) => {
      // The first part comes, and the others are not to be had.
      if (request.headers.range !== `bytes=0-${segmentSize - 1}`) return void response.writeHead(503).end()
      const range = `bytes 0-${segmentSize - 1}/${size}`
      response.writeHead(206, { etag: '"x"', 'content-range': range }).end(Buffer.alloc(segmentSize))
    },
  })
  const transport = await openTransport(settingsOf({ connections: 3, retries: 1000 }))
  const { bytes, size: announced } = await transport.download(new URL(`${server.url}/image.raw`))
  assert.equal(announced, size)
  const reading = bytes[Symbol.asyncIterator]()
  assert.ok(!(await reading.next()).done)
  await transport[Symbol.asyncDispose]()
  await assert.rejects(
    async () => {
      for (let next = await reading.next(); !next.done; next = await reading.next());
    },
    { code: 'ERR_DDI_ABORTED' },
  )
  await assert.rejects(transport.download(new URL(`${server.url}/image.raw`)), { code: 'ERR_DDI_ABORTED' })
})

test('small files are read whole, missing ones are none, and large ones are refused', async () => {
  await using server = await serve({ '/small': { bytes: Buffer.from('small') } })
  await using transport = await openTransport(settingsOf({ retries: 0 }))
  const at = (name: string) => new URL(`${server.url}/${name}`)
  assert.equal(String(await transport.read(at('small'), 5)), 'small')
  assert.equal(await transport.read(at('none'), 5), undefined)
  await assert.rejects(transport.read(at('small'), 4), { code: 'ERR_DDI_PULL_RESPONSE' })
  assert.deepEqual([await transport.has(at('small')), await transport.has(at('none'))], [true, false])
  assert.equal(server.requests.findLast(({ path }) => path === '/small')?.range, 'bytes=0-0')
  await assert.rejects(transport.download(new URL('ftp://127.0.0.1/x')), { code: 'ERR_DDI_USAGE' })
  const { bytes, size } = await transport.download(at('small'))
  assert.deepEqual([String(await collect(bytes)), size], ['small', 5])
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetchImage } from '../../lib/boot/fetch.js'
import { parsePullExpression } from '../../lib/boot/pull-expression.js'
import type { WantedRequest } from '../../lib/boot/requests.js'
import { DdiError } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'

function wanted(folder: string, ...candidates: readonly string[]): WantedRequest {
  const expression = `raw,machine,verify=no:image:${candidates[0]}`
  const urls = candidates.map((url) => new URL(url))
  const request = parsePullExpression(expression)
  const path = join(folder, 'image.raw')
  return { expression, requestedBy: 'command-line', state: 'wanted', request, name: 'image', path, candidates: urls }
}

test('a server that goes away is waited for, and the download goes on where it broke', async () => {
  using folder = temporaryFolder()
  const bytes = randomBytes(4 * MiB)
  const from: (string | undefined)[] = []
  const unsteady: Handler = ({ headers }, response, count) => {
    // First it breaks, then it is away, then it is back.
    if (count > 1 && count < 4) return void response.destroy()
    from.push(headers.range)
    const start = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
    const length = { 'content-length': bytes.length - start, etag: '"one"' }
    response.writeHead(start > 0 ? 206 : 200, { ...length, ...(start > 0 && range) })
    if (count > 1) response.end(bytes.subarray(start))
    else response.write(bytes.subarray(0, MiB), () => response.destroy())
  }
  await using server = await serve({ '/image.raw': unsteady })
  const notes: string[] = []
  const one = wanted(folder.path, `${server.url}/image.raw`)
  const options = { retries: 0, retry: 60, onNote: (text: string) => notes.push(text) }
  const fetched = await fetchImage(one, options)
  assert.ok(fetched.state === 'pulled' && fetched.pulled.resumed > 0)
  assert.ok(readFileSync(one.path).equals(bytes))
  assert.match(from[1]!, /^bytes=\d+-$/)
  assert.equal(notes.filter((note) => note.endsWith('trying again')).length, 3)
  assert.deepEqual(await fetchImage(one, options), { state: 'present' })
})

test('what will not pass is not tried again', async () => {
  using folder = temporaryFolder()
  await using server = await serve({ '/away': (_, response) => void response.destroy() })
  const attempt = (path: string, retry: number) =>
    fetchImage(wanted(folder.path, `${server.url}${path}`), { retries: 0, retry })
  await assert.rejects(attempt('/none', Number.POSITIVE_INFINITY), { code: 'ERR_DDI_PULL_NOT_FOUND' })
  await assert.rejects(attempt('/away', 0), { code: 'ERR_DDI_PULL_BROKEN' })
  const signal = AbortSignal.timeout(300)
  const waiting = fetchImage(wanted(folder.path, `${server.url}/away`), {
    retries: 0,
    retry: Number.POSITIVE_INFINITY,
    signal,
  })
  await assert.rejects(waiting, { code: 'ERR_DDI_ABORTED' })
})

test('of several candidates, the first that the server has is pulled', async () => {
  using folder = temporaryFolder()
  await using server = await serve({
    '/b.raw': { bytes: Buffer.from('image') },
    '/c.raw': { bytes: Buffer.from('other') },
  })
  const urls = ['a', 'b', 'c'].map((name) => `${server.url}/${name}.raw`)
  await fetchImage(wanted(folder.path, ...urls), {})
  assert.equal(readFileSync(join(folder.path, 'image.raw'), 'utf8'), 'image')
  assert.deepEqual(
    server.requests.map(({ path, range }) => [path, range]),
    [
      ['/a.raw', 'bytes=0-0'],
      ['/b.raw', 'bytes=0-0'],
      ['/b.raw', undefined],
    ],
  )
})

test('an image that has to be checked has its name only afterwards, and one that is refused is gone', async () => {
  using folder = temporaryFolder()
  await using server = await serve({ '/image.raw': { bytes: Buffer.from('image') } })
  const one = wanted(folder.path, `${server.url}/image.raw`)
  const seen: string[][] = []
  const refuse = async () => {
    seen.push(readdirSync(folder.path))
    throw new DdiError('ERR_DDI_VERITY_CORRUPT', 'refused')
  }
  await assert.rejects(fetchImage(one, {}, refuse), { code: 'ERR_DDI_VERITY_CORRUPT' })
  assert.deepEqual(readdirSync(folder.path), [])
  // As a boot program leaves it that was ended meanwhile.
  writeFileSync(join(folder.path, seen[0]![0]!), 'other')
  const fetched = await fetchImage(one, {}, async () => void seen.push(readdirSync(folder.path)))
  assert.ok(fetched.state === 'pulled' && fetched.pulled.path === one.path)
  // systemd-sysext takes NAME.raw.
  assert.deepEqual(seen, [['.image.raw.unchecked'], ['.image.raw.unchecked']])
  assert.deepEqual(readdirSync(folder.path), ['image.raw'])
  assert.equal(readFileSync(one.path, 'utf8'), 'image')
  // What is here is checked as well.
  await assert.rejects(fetchImage(one, {}, refuse), { code: 'ERR_DDI_VERITY_CORRUPT' })
})

// Names that others have taken before, and servers that go on with another file than the one that was begun.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type PullOptions, pull } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { type Handler, serve } from '../support/server.js'

const no = { verify: 'no', retries: 0 } as const
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Pulls until some of it is here. */
async function begin(url: string, path: string, most: number): Promise<void> {
  const stop = new AbortController()
  const options: PullOptions = { ...no, signal: stop.signal, onProgress: ({ done }) => done >= most && stop.abort() }
  await assert.rejects(pull(url, { kind: 'raw', path }, options), { code: 'ERR_DDI_ABORTED' })
}

test('nothing that others may have written becomes part of an image, and nothing of theirs is written to', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const bytes = randomBytes(300_000)
  await using server = await serve({ '/image.raw': { bytes } })
  const url = `${server.url}/image.raw`
  const mark = sha256(Buffer.from(url)).slice(0, 16)
  const victim = at('victim')
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const state = JSON.stringify({ url, size: bytes.length, validator: '"one"', boot })
  /** By what is in the way of which file. */
  const traps: Readonly<Record<string, (path: string) => void>> = {
    "another user's file": (path) => {
      writeFileSync(path, bytes.subarray(0, 1000))
      chownSync(path, 65534, 65534)
    },
    'a file that others may write': (path) => {
      writeFileSync(path, bytes.subarray(0, 1000))
      chmodSync(path, 0o666)
    },
    'a set-user-ID file': (path) => {
      writeFileSync(path, bytes.subarray(0, 1000))
      chmodSync(path, 0o4755)
    },
    'a hard link': (path) => linkSync(victim, path),
    'a symbolic link': (path) => symlinkSync(victim, path),
    'a dangling link': (path) => symlinkSync(at('elsewhere'), path),
    'a FIFO': (path) => void run('mkfifo', path),
    'a device': (path) => void run('mknod', path, 'c', '1', '5'),
  }
  for (const ending of ['partial', 'state', 'state.new'])
    for (const [what, set] of Object.entries(traps)) {
      writeFileSync(victim, 'precious', { mode: 0o644 })
      mkdirSync(at('shared'))
      chmodSync(at('shared'), 0o1777)
      const base = at(`shared/.image.raw.${mark}`)
      if (ending === 'partial') writeFileSync(`${base}.state`, state)
      else writeFileSync(`${base}.partial`, bytes.subarray(0, 1000))
      set(`${base}.${ending}`)
      const path = at('shared/image.raw')
      const { resumed } = await pull(url, { kind: 'raw', path }, no)
      assert.equal(resumed, 0, `${ending}: ${what}`)
      assert.ok(readFileSync(path).equals(bytes), `${ending}: ${what}`)
      const { uid, nlink, mode } = statSync(path)
      assert.deepEqual([uid, nlink, mode & 0o7777], [process.geteuid!(), 1, 0o644], `${ending}: ${what}`)
      assert.equal(readFileSync(victim, 'utf8'), 'precious', `${ending}: ${what}`)
      assert.deepEqual(readdirSync(folder.path).sort(), ['shared', 'victim'], `${ending}: ${what}`)
      assert.deepEqual(readdirSync(at('shared')), ['image.raw'], `${ending}: ${what}`)
      run('rm', '-r', at('shared'), victim)
    }
  // A folder is not removed.
  mkdirSync(at(`.image.raw.${mark}.partial`))
  await assert.rejects(pull(url, { kind: 'raw', path: at('image.raw') }, no), { code: 'ERR_DDI_KERNEL' })
})

test('a download is continued only with the same file, whatever the server makes of conditions', async () => {
  using folder = temporaryFolder()
  const [first, second] = [randomBytes(5 * MiB), randomBytes(5 * MiB)]
  const longer = Buffer.concat([second, Buffer.alloc(1000, 'x')])
  /** Looks at ranges alone; the answers after the first are of another file. */
  const careless =
    (later: Buffer, fieldsOf: (isFirst: boolean) => Record<string, string>): Handler =>
    (request, response, count) => {
      const bytes = count === 1 ? first : later
      const fields = fieldsOf(count === 1)
      const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      if (from >= bytes.length)
        return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end('nothing there')
      const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
      response.writeHead(from > 0 ? 206 : 200, {
        ...fields,
        ...(from > 0 && range),
        'content-length': bytes.length - from,
      })
      response.end(bytes.subarray(from))
    }
  const date = 'Thu, 01 Jan 2026 00:00:00 GMT'
  const servers: readonly (readonly [string, Buffer, Handler])[] = [
    ['another tag', second, careless(second, (isFirst) => ({ etag: isFirst ? '"1"' : '"2"' }))],
    ['no tag', second, careless(second, (isFirst): Record<string, string> => (isFirst ? { etag: '"1"' } : {}))],
    ['a weak tag', second, careless(second, (isFirst) => ({ etag: isFirst ? '"1"' : 'W/"1"' }))],
    ['the same tag, longer', longer, careless(longer, () => ({ etag: '"1"' }))],
    ['the same tag, shorter', second.subarray(0, MiB), careless(second.subarray(0, MiB), () => ({ etag: '"1"' }))],
    ['another time', second, careless(second, (isFirst) => ({ 'last-modified': isFirst ? date : `${date} later` }))],
    [
      'no time, longer',
      longer,
      careless(longer, (isFirst): Record<string, string> => (isFirst ? { 'last-modified': date } : {})),
    ],
    ['neither', second, careless(second, () => ({}))],
  ]
  await using server = await serve(Object.fromEntries(servers.map(([, , handler], n) => [`/${n}.raw`, handler])))
  for (const [n, [what, expected]] of servers.entries()) {
    const path = join(folder.path, `${n}.raw`)
    await begin(`${server.url}/${n}.raw`, path, 2 * MiB)
    await pull(`${server.url}/${n}.raw`, { kind: 'raw', path }, no)
    assert.ok(readFileSync(path).equals(expected), what)
  }
  assert.equal(readdirSync(folder.path).length, servers.length)
})

test('a download that was complete is believed only after the server was asked again', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const [bytes, other] = [randomBytes(8 * MiB), randomBytes(8 * MiB)]
  const files = { '/image.raw': { bytes, etag: '"1"' } }
  await using server = await serve(files)
  const url = `${server.url}/image.raw`
  const hidden = (ending: string) =>
    join(folder.path, readdirSync(folder.path).find((name) => name.endsWith(ending)) ?? ending)
  const complete = async () => {
    await begin(url, path, 1)
    writeFileSync(hidden('.partial'), bytes)
  }
  await complete()
  const { resumed, downloaded } = await pull(url, { kind: 'raw', path }, no)
  assert.deepEqual([resumed, downloaded], [bytes.length - 1, 1])
  assert.ok(readFileSync(path).equals(bytes))
  renameSync(path, `${path}.old`)
  await complete()
  files['/image.raw'] = { bytes: other, etag: '"2"' }
  await pull(url, { kind: 'raw', path }, no)
  assert.ok(readFileSync(path).equals(other))
  renameSync(path, `${path}.older`)
  // More than the server had.
  await begin(url, path, 1)
  writeFileSync(hidden('.partial'), Buffer.alloc(8 * MiB + 1))
  await pull(url, { kind: 'raw', path }, no)
  assert.ok(readFileSync(path).equals(other))
})

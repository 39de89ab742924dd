import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { DdiError, type PullOptions, pull } from '../../lib/index.js'
import { parseAddress } from '../../lib/pull/address.js'
import { findChecksum } from '../../lib/pull/checksum-list.js'
import { imageKind, imageName, imagePath } from '../../lib/pull/names.js'
import type { Progress } from '../../lib/work.js'
import { MiB, makeVerityImage } from '../support/images.js'
import { gpg, signByGpg } from '../support/keyring.js'
import { serveByNginx } from '../support/nginx.js'
import { cli, cliPath, run, temporaryFolder } from '../support/run.js'
import { type Handler, type ServedFile, serve } from '../support/server.js'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const systemdPull = '/lib/systemd/systemd-pull'
const no = { verify: 'no' } as const
/** Short timeouts, for short tests. */
const quick: PullOptions = { ...no, retries: 2, timeouts: { connect: 2000, headers: 1000, stall: 700 } }

/** A third of it random, a tenth zeroes, the rest text. */
function mixed(size: number): Buffer {
  const bytes = Buffer.alloc(size, 'some text that packs well, ')
  randomBytes(Math.floor(size / 3)).copy(bytes, 0)
  bytes.fill(0, Math.floor(size / 2), Math.floor(size / 2) + Math.floor(size / 10))
  return bytes
}

function pack(folder: string, bytes: Buffer): Record<string, Buffer> {
  const raw = join(folder, 'to-pack')
  writeFileSync(raw, bytes)
  const by = (command: string) => {
    run('sh', '-c', `${command} < '${raw}' > '${raw}.packed'`)
    return readFileSync(`${raw}.packed`)
  }
  return {
    'image.raw': bytes,
    'image.raw.xz': by('xz --block-size=1MiB -T2 -1 -c'),
    'image.raw.gz': by('gzip -1 -c'),
    'image.raw.bz2': by('bzip2 -1 -c'),
    'image.raw.zst': by('zstd -q -c'),
    'image.raw.lz4': by('lz4 -q -c'),
    'image.raw.lzma': by('xz --format=lzma -1 -c'),
  }
}

test('raw × none, xz, gzip, bzip2, zstd, lz4, lzma × no, checksum, signature, from a real nginx', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const www = at('www')
  mkdirSync(www)
  const bytes = mixed(9 * MiB + 777)
  const files = pack(folder.path, bytes)
  for (const [name, packed] of Object.entries(files)) writeFileSync(join(www, name), packed)
  run('sh', '-c', `cd '${www}' && sha256sum *.raw* > SHA256SUMS`)
  const keyring = signByGpg(at('gpg'), join(www, 'SHA256SUMS'))
  await using nginx = await serveByNginx(www, at('nginx'))
  for (const name of Object.keys(files)) {
    for (const verify of ['no', 'checksum', 'signature', { sha256: sha256(files[name]!) }] as const) {
      const path = at('pulled.raw')
      const pulled = await pull(`${nginx.url}/${name}`, { kind: 'raw', path, replace: true }, { verify, keyring })
      assert.ok(readFileSync(path).equals(bytes), `${name} ${verify}`)
      assert.equal(pulled.sha256, sha256(files[name]!))
      // Zeroes are holes.
      assert.ok(statSync(path).blocks * 512 < bytes.length - bytes.length / 20)
    }
    const { status, stdout, stderr } = cli(
      'pull',
      `${nginx.url}/${name}`,
      `--output=${at('pulled.raw')}`,
      `--keyring=${keyring}`,
      '--force',
      '--json=short',
    )
    assert.equal(status, 0, stderr)
    assert.equal(JSON.parse(stdout).sha256, sha256(files[name]!))
  }
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.startsWith('.')),
    [],
  )
  // systemd 252 knows no others, and waits for ever for some checksum files.
  for (const [name, packed] of Object.entries(files).filter(([name]) => /\.(raw|xz|gz|bz2)$/.test(name))) {
    const options = ['settings', 'roothash', 'roothash-signature', 'verity'].map((what) => `--${what}=no`)
    options.push('--force', `--verify=${sha256(packed)}`, `--image-root=${at('systemd')}`)
    run('timeout', '60', systemdPull, 'raw', ...options, `${nginx.url}/${name}`, 'image')
    assert.ok(readFileSync(at('systemd/image.raw')).equals(bytes), `systemd-pull ${name}`)
  }
})

test('broken connections are resumed where they broke, and a killed pull by the next one', async () => {
  using folder = temporaryFolder()
  const output = join(folder.path, 'image.raw')
  const bytes = mixed(24 * MiB)
  {
    await using server = await serve({ '/image.raw': { bytes, breakAfter: 5 * MiB } })
    const { downloaded } = await pull(`${server.url}/image.raw`, { kind: 'raw', path: output }, { ...no })
    assert.ok(readFileSync(output).equals(bytes))
    assert.ok(downloaded === bytes.length && server.requests.length === 5)
  }
  await using server = await serve({ '/image.raw.gz': { bytes: gzipSync(bytes, { level: 1 }) } })
  const packed = gzipSync(bytes, { level: 1 }).length
  let total = 0
  const killed = join(folder.path, 'killed.raw')
  for (let kills = 0; kills < 4; kills++) {
    const child = spawn(process.execPath, [
      cliPath,
      'pull',
      `${server.url}/image.raw.gz`,
      `--output=${killed}`,
      '--verify=no',
      '--rate-limit=6M',
      '--progress=json',
    ])
    const ended = once(child, 'exit')
    let done = 0
    for await (const line of child.stderr) {
      const { done: now } = JSON.parse(String(line).trim().split('\n').at(-1)!)
      done = now
      if (done > (kills + 1) * 1.5 * MiB) break
    }
    child.kill('SIGKILL')
    await ended
    assert.ok(!readdirSync(folder.path).includes('killed.raw'))
    total = done
  }
  assert.ok(total > 5 * MiB)
  // Here, because this process is the server too.
  const { resumed, downloaded } = await pull(`${server.url}/image.raw.gz`, { kind: 'raw', path: killed }, no)
  assert.equal(resumed + downloaded, packed)
  assert.ok(resumed > 5 * MiB, `${resumed} bytes were resumed`)
  assert.ok(readFileSync(killed).equals(bytes))
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.startsWith('.')),
    [],
  )
})

test('what an earlier boot left is resumed only if a checksum covers it', async () => {
  using folder = temporaryFolder()
  const output = join(folder.path, 'image.raw')
  const bytes = mixed(8 * MiB)
  await using server = await serve({ '/image.raw': { bytes } })
  const url = `${server.url}/image.raw`
  for (const { verify, boot, taken } of [
    { verify: 'no', boot: undefined, taken: true },
    { verify: 'no', boot: 'another', taken: false },
    { verify: { sha256: sha256(bytes) }, boot: 'another', taken: true },
  ] as const) {
    const stop = new AbortController()
    const stopped = pull(
      url,
      { kind: 'raw', path: output },
      {
        ...no,
        signal: stop.signal,
        onProgress: ({ done }) => done > 3 * MiB && stop.abort(),
      },
    )
    await assert.rejects(stopped, { code: 'ERR_DDI_ABORTED' })
    const state = join(folder.path, readdirSync(folder.path).find((name) => name.endsWith('.state'))!)
    if (boot) writeFileSync(state, JSON.stringify({ ...JSON.parse(readFileSync(state, 'utf8')), boot }))
    const { resumed, downloaded } = await pull(url, { kind: 'raw', path: output, replace: true }, { verify })
    assert.equal(resumed > 0, taken)
    assert.equal(resumed + downloaded, bytes.length)
    assert.ok(readFileSync(output).equals(bytes))
    run('rm', output)
  }
})

test('servers that lie, stall, loop and change: each has its own error, nothing appears, nothing hangs', async () => {
  using folder = temporaryFolder()
  const bytes = mixed(3 * MiB)
  const stall: Handler = (_, response) =>
    void response.writeHead(200, { 'content-length': 100, etag: '"x"' }).write('begin')
  const short: Handler = (_, response) => {
    response
      .writeHead(200, { 'content-length': bytes.length, etag: '"x"' })
      .write(bytes.subarray(0, 1000), () => response.destroy())
  }
  const wrongRange: Handler = (request, response) => {
    if (request.headers.range)
      response.writeHead(206, { 'content-range': `bytes 0-9/${bytes.length}`, etag: '"x"' }).end('0123456789')
    else short(request, response, 0)
  }
  const changing: Handler = (_request, response, count) => {
    const etag = `"${count}"`
    response
      .writeHead(200, { 'content-length': bytes.length, etag })
      .write(bytes.subarray(0, MiB), () => response.destroy())
  }
  await using server = await serve({
    '/stall': stall,
    '/short': short,
    '/wrong-range': wrongRange,
    '/changing': changing,
    '/page': (_, response) =>
      void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>'),
    '/loop': (_, response) => void response.writeHead(302, { location: '/loop' }).end(),
    '/nowhere': (_, response) => void response.writeHead(302, { location: 'http://[' }).end(),
    '/file': (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/busy': (_, response) => void response.writeHead(503).end(),
    '/never': () => {},
    '/forbidden': (_, response) => void response.writeHead(403).end(),
    '/long': (_, response) => void response.writeHead(200, { etag: '"x"' }).end(bytes),
  })
  const output = join(folder.path, 'image.raw')
  const expected = {
    stall: 'ERR_DDI_PULL_BROKEN',
    short: 'ERR_DDI_PULL_CHANGED',
    'wrong-range': 'ERR_DDI_PULL_RESPONSE',
    changing: 'ERR_DDI_PULL_CHANGED',
    page: 'ERR_DDI_PULL_RESPONSE',
    loop: 'ERR_DDI_PULL_REDIRECT',
    nowhere: 'ERR_DDI_PULL_REDIRECT',
    file: 'ERR_DDI_PULL_REDIRECT',
    busy: 'ERR_DDI_PULL_BROKEN',
    never: 'ERR_DDI_PULL_BROKEN',
    forbidden: 'ERR_DDI_PULL_FORBIDDEN',
    none: 'ERR_DDI_PULL_NOT_FOUND',
  } as const
  const outcomes: Record<string, string> = {}
  await Promise.all(
    Object.keys(expected).map(async (name) => {
      outcomes[name] = await pull(
        `${server.url}/${name}`,
        { kind: 'raw', path: join(folder.path, `${name}.raw`) },
        quick,
      ).then(
        () => 'pulled',
        (error: unknown) => (error instanceof DdiError ? error.code : String(error)),
      )
    }),
  )
  // A server without ranges, whose file ends early each time, never gets further.
  assert.deepEqual({ ...outcomes, short: expected.short }, expected)
  assert.ok(['ERR_DDI_PULL_CHANGED', 'ERR_DDI_PULL_BROKEN'].includes(outcomes['short']!))
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => !name.startsWith('.')),
    [],
  )
  // Without Content-Length its end is the end.
  await pull(`${server.url}/long`, { kind: 'raw', path: output }, quick)
  assert.ok(readFileSync(output).equals(bytes))
  // A closed port, and schemes that are none.
  await assert.rejects(pull('http://127.0.0.1:9/x', { kind: 'raw', path: join(folder.path, 'x') }, quick), {
    code: 'ERR_DDI_PULL_BROKEN',
  })
  for (const address of ['ftp://127.0.0.1/x', 'nonsense'])
    await assert.rejects(pull(address, { kind: 'raw', path: join(folder.path, 'x') }, quick), { code: 'ERR_DDI_USAGE' })
})

test('answers that are only announced, and redirects whose body never ends, are not waited for', async () => {
  using folder = temporaryFolder()
  const bytes = mixed(MiB)
  const announcing: Handler = (_, response) => {
    const timer = setInterval(() => response.writeEarlyHints({ link: '</x>; rel=preload' }), 50)
    response.on('close', () => clearInterval(timer))
  }
  const dripping: Handler = (_, response) => {
    response.writeHead(302, { location: '/image.raw' })
    const timer = setInterval(() => response.write('x'), 50)
    response.on('close', () => clearInterval(timer))
  }
  await using server = await serve({ '/announcing': announcing, '/dripping': dripping, '/image.raw': { bytes } })
  const impatient: PullOptions = { ...no, retries: 1, timeouts: { connect: 300, headers: 300, stall: 300 } }
  const target = (name: string) => ({ kind: 'raw', path: join(folder.path, name) }) as const
  await assert.rejects(pull(`${server.url}/announcing`, target('announcing'), impatient), {
    code: 'ERR_DDI_PULL_BROKEN',
    message: /no answer in time/,
  })
  await pull(`${server.url}/dripping`, target('dripping'), impatient)
  assert.ok(readFileSync(join(folder.path, 'dripping')).equals(bytes))
})

test('a server without ranges is resumed too, if the file is the same', async () => {
  using folder = temporaryFolder()
  const bytes = mixed(4 * MiB)
  let broken = false
  await using server = await serve({
    '/image.raw': (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length, etag: '"same"' })
      if (broken) response.end(bytes)
      else response.write(bytes.subarray(0, 3 * MiB), () => response.destroy())
      broken = true
    },
  })
  await pull(`${server.url}/image.raw`, { kind: 'raw', path: join(folder.path, 'image.raw') }, no)
  assert.ok(readFileSync(join(folder.path, 'image.raw')).equals(bytes))
})

test('several connections download parts of a file at once, survive breaks, and notice changes', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const target = { kind: 'raw', path, replace: true } as const
  const bytes = mixed(45 * MiB + 77)
  let [open, most] = [0, 0]
  /** Ranges as RFC 9110 has them; each answer takes a while, and some break. */
  const ranged =
    (tagOf: (count: number) => string, known = true): Handler =>
    (request, response, count) => {
      const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
      const [start, end] = [Number(first ?? 0), Math.min(last ? Number(last) + 1 : bytes.length, bytes.length)]
      const etag = tagOf(count)
      const isRange = first !== undefined && (request.headers['if-range'] ?? etag) === etag
      const part = isRange ? bytes.subarray(start, end) : bytes
      const range = { 'content-range': `bytes ${start}-${end - 1}/${known ? bytes.length : '*'}` }
      response.writeHead(isRange ? 206 : 200, { etag, 'content-length': part.length, ...(isRange && range) })
      most = Math.max(most, ++open)
      response.on('close', () => open--)
      setTimeout(() => {
        if (count % 3 === 0) response.write(part.subarray(0, part.length / 2), () => response.destroy())
        else response.end(part)
      }, 100)
    }
  await using server = await serve({
    '/image.raw': ranged(() => '"one"'),
    '/endless.raw': ranged(() => '"one"', false),
    '/changing.raw': ranged((count) => `"${count > 3}"`),
    '/plain.raw': { bytes, ignoreRange: true },
    '/small.raw': { bytes: bytes.subarray(0, 100) },
  })
  const { downloaded } = await pull(`${server.url}/image.raw`, target, { ...no, connections: 4 })
  assert.equal(downloaded, bytes.length)
  assert.ok(readFileSync(path).equals(bytes))
  assert.ok(most > 1 && most <= 4, `${most} at once`)
  for (const name of ['endless', 'plain']) {
    await pull(`${server.url}/${name}.raw`, target, { ...no, connections: 4 })
    assert.ok(readFileSync(path).equals(bytes), name)
  }
  await pull(`${server.url}/small.raw`, target, { ...no, connections: 4 })
  assert.ok(readFileSync(path).equals(bytes.subarray(0, 100)))
  await assert.rejects(pull(`${server.url}/changing.raw`, target, { ...no, connections: 4 }), {
    code: 'ERR_DDI_PULL_CHANGED',
  })
  // A download that was kept is resumed.
  const stop = new AbortController()
  const onProgress = ({ done }: Progress) => done > 20 * MiB && stop.abort()
  const stopped = pull(`${server.url}/image.raw`, target, { ...no, connections: 3, signal: stop.signal, onProgress })
  await assert.rejects(stopped, { code: 'ERR_DDI_ABORTED' })
  const { resumed } = await pull(`${server.url}/image.raw`, target, { ...no, connections: 3 })
  assert.ok(resumed > 8 * MiB)
  assert.ok(readFileSync(path).equals(bytes))
})

test('corrupt and truncated streams, bombs and wrong checksums leave nothing at all', async () => {
  using folder = temporaryFolder()
  const bytes = mixed(2 * MiB)
  const files: Record<string, ServedFile> = {}
  for (const [name, packed] of Object.entries(pack(folder.path, bytes))) {
    if (name === 'image.raw') continue
    for (const keep of [10, Math.floor(packed.length / 2), packed.length - 1])
      files[`/cut-${keep}-${name}`] = { bytes: packed.subarray(0, keep) }
    const flipped = Buffer.from(packed)
    flipped[Math.floor(packed.length / 2)]! ^= 0x10
    files[`/flipped-${name}`] = { bytes: flipped }
  }
  run('rm', join(folder.path, 'to-pack'), join(folder.path, 'to-pack.packed'))
  files['/bomb.raw.gz'] = { bytes: gzipSync(Buffer.alloc(64 * MiB)) }
  files['/image.raw'] = { bytes }
  await using server = await serve(files)
  const pullIt = (name: string, options: PullOptions = no) =>
    pull(`${server.url}${name}`, { kind: 'raw', path: join(folder.path, 'image.raw') }, options)
  // zstd makes no checksum unless it is asked to: there the file’s own has to tell.
  for (const name of Object.keys(files).filter((one) => /cut|flipped/.test(one)))
    await assert.rejects(
      pullIt(name, { verify: { sha256: sha256(bytes) } }),
      (error: unknown) =>
        error instanceof DdiError && ['ERR_DDI_PULL_COMPRESSION', 'ERR_DDI_PULL_CHECKSUM'].includes(error.code),
      name,
    )
  await assert.rejects(pullIt('/bomb.raw.gz', { ...no, maxSize: MiB }), { code: 'ERR_DDI_PULL_TOO_LARGE' })
  await assert.rejects(pullIt('/image.raw', { verify: { sha256: '0'.repeat(64) } }), { code: 'ERR_DDI_PULL_CHECKSUM' })
  await assert.rejects(
    pullIt('/image.raw', { ...no, signal: AbortSignal.abort() }),
    (error: unknown) => error instanceof Error,
  )
  assert.deepEqual(readdirSync(folder.path), [])
})

test('checksum files with paths, stars and CRLF; missing names, keys and signatures are errors', async () => {
  const hash = 'ab'.repeat(32)
  const other = 'cd'.repeat(32)
  for (const text of [
    `${hash}  image.raw\n`,
    `${hash} *image.raw\r\n`,
    `${other}  x\n${hash}  ./some/image.raw\n`,
    `SHA256 (image.raw) = ${hash.toUpperCase()}\n`,
  ])
    assert.equal(findChecksum(text, 'image.raw'), hash, text)
  assert.equal(findChecksum(`${other}  a/image.raw\n${hash}  image.raw\n`, 'image.raw'), hash)
  assert.equal(findChecksum(`${other}  a/image.raw\n${hash}  b/image.raw\n`, 'image.raw'), undefined)
  for (const text of ['', `${hash}  image.raw.xz\n`, 'nonsense', `${hash.slice(1)}  image.raw\n`])
    assert.equal(findChecksum(text, 'image.raw'), undefined)
  fc.assert(
    fc.property(fc.string(), (text) =>
      assert.equal(typeof findChecksum(text, 'x'), findChecksum(text, 'x') === undefined ? 'undefined' : 'string'),
    ),
  )

  using folder = temporaryFolder()
  const bytes = randomBytes(1000)
  const list = Buffer.from(`${sha256(bytes)}  image.raw\n`)
  const keyring = join(folder.path, 'keyring')
  await using server = await serve({
    '/image.raw': { bytes },
    '/SHA256SUMS': { bytes: list },
    '/signed/image.raw': { bytes },
    '/signed/SHA256SUMS': { bytes: list },
    '/signed/SHA256SUMS.asc': {
      bytes: Buffer.from('-----BEGIN PGP SIGNATURE-----\n\nnone\n-----END PGP SIGNATURE-----\n'),
    },
    '/alone/image.raw': { bytes },
    '/alone/image.raw.sha256': { bytes: Buffer.from(`${sha256(bytes)}\n`) },
    '/bare/image.raw': { bytes },
  })
  const pullIt = (path: string, options: PullOptions) =>
    pull(`${server.url}${path}`, { kind: 'raw', path: join(folder.path, 'image.raw'), replace: true }, options)
  await pullIt('/image.raw', { verify: 'checksum' })
  await pullIt('/alone/image.raw', { verify: 'checksum' })
  await assert.rejects(pullIt('/bare/image.raw', { verify: 'checksum' }), { code: 'ERR_DDI_PULL_NO_CHECKSUM' })
  await assert.rejects(pullIt('/image.raw', { keyring }), { code: 'ERR_DDI_PULL_KEYRING' })
  writeFileSync(keyring, 'no keys')
  await assert.rejects(pullIt('/image.raw', { keyring }), { code: 'ERR_DDI_PULL_KEYRING' })
  const home = join(folder.path, 'gpg')
  mkdirSync(home, { mode: 0o700 })
  gpg(home, '--quick-generate-key', 'one', 'default', 'default', '1d')
  gpg(home, '--export', '--armor', '--output', keyring)
  await assert.rejects(pullIt('/image.raw', { keyring }), { code: 'ERR_DDI_PULL_SIGNATURE', message: /not signed/ })
  await assert.rejects(pullIt('/signed/image.raw', { keyring }), { code: 'ERR_DDI_PULL_SIGNATURE' })
})

test('a signature by a key that is not in the keyring, or has expired, does not count', async () => {
  using folder = temporaryFolder()
  const bytes = randomBytes(1000)
  const list = Buffer.from(`${sha256(bytes)}  image.raw\n`)
  writeFileSync(join(folder.path, 'list'), list)
  writeFileSync(join(folder.path, 'hash'), `${sha256(bytes)}\n`)
  const home = join(folder.path, 'gpg')
  mkdirSync(home, { mode: 0o700 })
  gpg(home, '--quick-generate-key', 'good', 'default', 'default', 'never')
  gpg(home, '--quick-generate-key', 'other', 'default', 'default', 'never')
  gpg(home, '--faked-system-time=20200101T000000', '--quick-generate-key', 'old', 'default', 'default', '1d')
  const sign = (user: string, file: string, ...more: string[]) => {
    const signature = join(folder.path, `${user}-${file}`)
    gpg(home, ...more, '--local-user', user, '--detach-sign', '--output', signature, join(folder.path, file))
    return { bytes: readFileSync(signature) }
  }
  const files: Record<string, ServedFile> = {}
  for (const [user, signature] of Object.entries({
    good: sign('good', 'list'),
    other: sign('other', 'list'),
    old: sign('old', 'list', '--faked-system-time=20200101T000010'),
  })) {
    files[`/${user}/image.raw`] = { bytes }
    files[`/${user}/SHA256SUMS`] = { bytes: list }
    files[`/${user}/SHA256SUMS.gpg`] = signature
  }
  files['/changed/image.raw'] = { bytes }
  files['/changed/SHA256SUMS'] = { bytes: Buffer.concat([list, Buffer.from('\n')]) }
  files['/changed/SHA256SUMS.gpg'] = files['/good/SHA256SUMS.gpg']!
  // A hash without a name is the hash of any file that was ever signed.
  files['/nameless/image.raw'] = { bytes }
  files['/nameless/image.raw.sha256'] = { bytes: readFileSync(join(folder.path, 'hash')) }
  files['/nameless/image.raw.sha256.gpg'] = sign('good', 'hash')
  await using server = await serve(files)
  const keyring = join(folder.path, 'keyring')
  gpg(home, '--export', '--output', keyring, 'good', 'old')
  const pullIt = (user: string) =>
    pull(`${server.url}/${user}/image.raw`, { kind: 'raw', path: join(folder.path, `${user}.raw`) }, { keyring })
  await pullIt('good')
  for (const user of ['other', 'changed']) await assert.rejects(pullIt(user), { code: 'ERR_DDI_PULL_SIGNATURE' }, user)
  await assert.rejects(pullIt('nameless'), { code: 'ERR_DDI_PULL_NO_CHECKSUM', message: /without a name/ })
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.endsWith('.raw')),
    ['good.raw'],
  )
})

test('existing files are kept, of two pulls at once one is refused, root hashes are verified, disks fill up', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('made'))
  const image = makeVerityImage(at('made'))
  const bytes = readFileSync(image.path)
  await using server = await serve({ '/image.raw': { bytes } })
  const address = `${server.url}/image.raw`
  const otherHash = image.rootHash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
  await pull(address, { kind: 'raw', path: at('a.raw'), rootHash: image.rootHash, readOnly: true }, no)
  assert.equal(statSync(at('a.raw')).mode & 0o777, 0o444)
  await assert.rejects(pull(address, { kind: 'raw', path: at('a.raw') }, no), { code: 'ERR_DDI_EXISTS' })
  await assert.rejects(
    pull(address, { kind: 'raw', path: at('b.raw'), rootHash: otherHash }, no),
    (error: unknown) => error instanceof DdiError && error.kind === 'image',
  )
  const results = await Promise.allSettled([
    pull(address, { kind: 'raw', path: at('c.raw') }, { ...no, rateLimit: 20 * MiB }),
    sleep(200).then(() => pull(address, { kind: 'raw', path: at('c.raw') }, no)),
  ])
  assert.deepEqual(
    results.map((one) => (one.status === 'fulfilled' ? 'pulled' : (one.reason as DdiError).code)),
    ['pulled', 'ERR_DDI_BUSY'],
  )
  assert.ok(readFileSync(at('c.raw')).equals(bytes))
  const file = await pull(`file://${image.path}`, { kind: 'raw', path: at('d.raw') }, no)
  assert.equal(file.sha256, sha256(bytes))
  mkdirSync(at('small'))
  run('mount', '-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', at('small'))
  try {
    await using full = await serve({ '/random.raw': { bytes: randomBytes(4 * MiB) } })
    await assert.rejects(pull(`${full.url}/random.raw`, { kind: 'raw', path: at('small/e.raw') }, no), {
      code: 'ERR_DDI_NO_SPACE',
    })
    assert.ok(!readdirSync(at('small')).includes('e.raw'))
  } finally {
    run('umount', at('small'))
  }
  assert.deepEqual(readdirSync(folder.path).sort(), ['a.raw', 'c.raw', 'd.raw', 'made', 'small'])
  truncateSync(at('c.raw'), 0)
})

test('targets that cannot be written are errors, and left as they are', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('member'), 'x')
  run('tar', '-C', folder.path, '-cf', at('t.tar'), 'member')
  const tar = readFileSync(at('t.tar'))
  await using server = await serve({ '/image.raw': { bytes: mixed(MiB) }, '/t.tar': { bytes: tar } })
  mkdirSync(at('folder/within'), { recursive: true })
  writeFileSync(at('file'), 'x')
  mkdirSync(at('read-only'))
  run('mkfifo', at('fifo'))
  run('mknod', at('block'), 'b', '7', '99')
  symlinkSync('/nonexistent/x', at('dangling'))
  run('mount', '-t', 'tmpfs', '-o', 'ro', 'read-only', at('read-only'))
  try {
    for (const [path, replace, code] of [
      ['folder', false, 'ERR_DDI_EXISTS'],
      ['folder', true, 'ERR_DDI_EXISTS'],
      ['file/image.raw', false, 'ERR_DDI_NOT_FOUND'],
      ['read-only/image.raw', false, 'ERR_DDI_KERNEL'],
      ['read-only/new/image.raw', false, 'ERR_DDI_KERNEL'],
      ['fifo', true, 'ERR_DDI_EXISTS'],
      ['block', true, 'ERR_DDI_EXISTS'],
      ['block', false, 'ERR_DDI_EXISTS'],
      ['dangling/image.raw', true, 'ERR_DDI_NOT_FOUND'],
    ] as const)
      await assert.rejects(
        pull(`${server.url}/image.raw`, { kind: 'raw', path: at(path), replace }, no),
        { code },
        path,
      )
    for (const [path, code] of [
      [at('read-only/t'), 'ERR_DDI_KERNEL'],
      [at('fifo'), 'ERR_DDI_EXISTS'],
      [at('block'), 'ERR_DDI_EXISTS'],
      ['/proc/x/y/t', 'ERR_DDI_NOT_FOUND'],
    ] as const)
      await assert.rejects(pull(`${server.url}/t.tar`, { kind: 'tar', path, replace: true }, no), { code }, path)
    for (const [name, hint] of [
      ['block', /hint: .*--disk and --volume/],
      ['fifo', /hint: .*--output=-/],
    ] as const) {
      // This process is the server: what does not ask it can be waited for.
      const { status, stderr } = cli(
        'pull',
        `${server.url}/image.raw`,
        '--verify=no',
        '--force',
        `--output=${at(name)}`,
      )
      assert.match(stderr, hint)
      assert.equal(status, 2)
    }
    assert.ok(statSync(at('fifo')).isFIFO() && statSync(at('block')).isBlockDevice())
  } finally {
    run('umount', at('read-only'))
  }
  // A file of that name is replaced by a tree as well.
  await pull(`${server.url}/t.tar`, { kind: 'tar', path: at('file'), replace: true }, no)
  assert.deepEqual(readdirSync(at('folder')), ['within'])
  assert.ok(statSync(at('file')).isDirectory())
})

test('names are those of systemd', () => {
  const names = {
    'http://h/os_1.4.raw.xz?x=1#y': 'os_1.4',
    'http://h/a/b.img': 'b',
    'http://h/c.gz': 'c',
    'http://h/d%2e1.raw': 'd.1',
    'http://h/tools_2.tar.xz': 'tools_2',
    'http://h/tools.tgz': 'tools',
    'http://h/TOOLS.TAR.GZ': 'TOOLS',
    'http://h/tools.tzst': 'tools',
    'http://h/os_1~rc1.qcow2': 'os_1~rc1',
    'http://h/os.raw.lz4': 'os',
  }
  for (const [url, name] of Object.entries(names)) assert.equal(imageName(new URL(url)), name)
  for (const url of ['http://h/', 'http://h/..%2fetc', 'http://h/.raw', 'http://h/%zz.raw'])
    assert.throws(() => imageName(new URL(url)), { code: 'ERR_DDI_NAME' }, url)
  const kinds = {
    '/a.tar.zst': 'tar',
    '/a.tgz': 'tar',
    '/a.tbz2': 'tar',
    '/a.TAR.GZ': 'tar',
    '/a.raw.xz': 'raw',
    '/tar': 'raw',
  }
  for (const [url, kind] of Object.entries(kinds)) assert.equal(imageKind(new URL(url, 'http://h')), kind, url)
  assert.equal(imagePath('machine', 'a', 'raw'), '/var/lib/machines/a.raw')
  assert.equal(imagePath('sysext', 'a', 'tar', true), '/run/extensions/a')
  assert.equal(parseAddress('http://%zz:b%40@h/x').credentials?.login, '%zz')
  assert.deepEqual(parseAddress('http://:token@h/x').credentials, { login: '', password: 'token' })
  assert.equal(cli('pull', 'http://127.0.0.1:9/x', '--verify=maybe').status, 2)
})

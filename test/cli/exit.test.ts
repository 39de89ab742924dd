import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../support/images.js'
import { attempt, cliPath, run, temporaryFolder } from '../support/run.js'
import { serve } from '../support/server.js'

/** Runs a command line until something happens, and sends a signal then. */
async function interrupted(signal: NodeJS.Signals, until: Promise<unknown>, args: readonly string[]) {
  const child = spawn(process.execPath, [cliPath, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'close')
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  await until
  await sleep(200)
  child.kill(signal)
  const [status] = await ended
  return { status, said }
}

test('a signal ends a pull with its own exit status and one line, whatever it waits for', async () => {
  using folder = temporaryFolder()
  let asked = () => {}
  const bytes = randomBytes(20 * MiB)
  await using server = await serve({
    '/busy.raw': (_, response, count) => {
      response.writeHead(503).end()
      // It waits longer from time to time.
      if (count % 3 === 0) asked()
    },
    '/slow.raw': (request, response) => {
      const [, first = '0', last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
      const part = bytes.subarray(Number(first), last ? Number(last) + 1 : bytes.length)
      const range = { 'content-range': `bytes ${first}-${Number(first) + part.length - 1}/${bytes.length}` }
      response.writeHead(request.headers.range ? 206 : 200, { etag: '"x"', 'content-length': part.length, ...range })
      response.end(part)
      asked()
    },
    '/silent.raw': () => asked(),
    '/stalled.raw': (_, response) => {
      response.writeHead(200, { etag: '"x"', 'content-length': 100 }).write('begin')
      asked()
    },
    '/silent/SHA256SUMS': () => asked(),
  })
  for (const [name, ...options] of [
    ['busy'],
    ['slow', '--rate-limit=1M'],
    ['slow', '--rate-limit=1M', '--connections=4'],
    ['silent'],
    ['stalled'],
    ['silent/image', '--verify=checksum'],
  ] as const)
    for (const [signal, expected] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const until = new Promise<void>((done) => {
        asked = done
      })
      const output = join(folder.path, `${signal}-${options.length}.raw`)
      const args = ['pull', `${server.url}/${name}.raw`, '--verify=no', `--output=${output}`, ...options]
      const { status, said } = await interrupted(signal, until, args)
      assert.equal(status, expected, `${args.join(' ')}: ${said}`)
      assert.equal(said, 'ddi-attach: interrupted\n')
    }
})

test('an interrupt while a reader of the image waits leaves nothing in the cache', async () => {
  using folder = temporaryFolder()
  const [image, pid] = [join(folder.path, 'image.raw'), join(folder.path, 'pid')]
  writeFileSync(image, randomBytes(4 * MiB))
  const command = `'${process.execPath}' '${cliPath}' pull 'file://${image}' --verify=no --output=-`
  const shell = `{ ${command} & echo $! > '${pid}'; wait $!; echo $? >&2; } | sleep 3`
  const env = { ...process.env, XDG_CACHE_HOME: join(folder.path, 'cache') }
  const child = spawn('sh', ['-c', shell], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  const ended = once(child, 'close')
  await sleep(1500)
  process.kill(Number(readFileSync(pid, 'utf8')), 'SIGTERM')
  await ended
  assert.equal(said, 'ddi-attach: interrupted\n143\n')
  assert.equal(run('find', join(folder.path, 'cache'), '-type', 'f'), '')
})

test('output that cannot be written is an error of one line; a reader that stops reading is none', () => {
  using folder = temporaryFolder()
  const image = join(folder.path, 'image.raw')
  writeFileSync(image, randomBytes(4 * MiB))
  const cache = join(folder.path, 'cache')
  const shell = (text: string) =>
    attempt(
      'bash',
      '-c',
      `set -o pipefail; export XDG_CACHE_HOME='${cache}'; ddi() { '${process.execPath}' '${cliPath}' "$@"; }; ${text}`,
    )
  const pulling = `ddi pull 'file://${image}' --verify=no --output=-`
  for (const command of [pulling, 'ddi --help', 'ddi list --json=pretty', 'ddi completion bash']) {
    const { status, stderr } = shell(`${command} > /dev/full`)
    assert.match(stderr, /^ddi-attach: cannot write to standard output: ENOSPC[^\n]*\n$/, command)
    assert.equal(status, 1, command)
    assert.deepEqual(shell(`${command} | head -c 1 > /dev/null`), { status: 0, stdout: '', stderr: '' }, command)
  }
  assert.equal(run('find', cache, '-type', 'f'), '')
  // What cannot be said changes nothing.
  assert.equal(shell(`ddi pull nonsense --output=x 2> /dev/full`).status, 2)
  assert.equal(shell(`${pulling} 2> /dev/full | cmp - '${image}'`).status, 0)
})

test('the cache is where the user alone can write, or there is an error, at once', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  chmodSync(folder.path, 0o755)
  writeFileSync(at('image.raw'), 'image')
  const pull = (env: readonly string[]) =>
    attempt(
      'timeout',
      '20',
      'env',
      '-C',
      folder.path,
      ...env,
      process.execPath,
      cliPath,
      'pull',
      `file://${at('image.raw')}`,
      '--verify=no',
      '--output=-',
    )
  mkdirSync(at('open/ddi'), { recursive: true })
  chmodSync(at('open/ddi'), 0o777)
  mkdirSync(at('other/ddi'), { recursive: true })
  run('chown', '65534', at('other/ddi'))
  mkdirSync(at('linked'))
  run('ln', '-s', '..', at('linked/ddi'))
  for (const [code, ...env] of [
    ['USAGE', 'HOME=', 'XDG_CACHE_HOME='],
    ['USAGE', 'HOME=relative', 'XDG_CACHE_HOME=relative'],
    ['NOT_FOUND', 'HOME=/proc', 'XDG_CACHE_HOME='],
    ['NOT_FOUND', 'XDG_CACHE_HOME=/proc/x/y'],
    ['PERMISSION', `XDG_CACHE_HOME=${at('open')}`],
    ['PERMISSION', `XDG_CACHE_HOME=${at('other')}`],
    ['PERMISSION', `XDG_CACHE_HOME=${at('linked')}`],
  ] as const) {
    const { stderr } = pull(env)
    assert.match(stderr, new RegExp(`^ddi-attach: [^\n]*\\(ERR_DDI_${code}\\)\n$`), env.join(' '))
  }
  const stranger = [
    'setpriv',
    '--reuid=12345',
    '--regid=12345',
    '--clear-groups',
    'env',
    '-u',
    'HOME',
    '-u',
    'XDG_CACHE_HOME',
  ]
  assert.match(pull(stranger).stderr, /^ddi-attach: [^\n]*ERR_DDI_USAGE\)\n$/)
  assert.equal(pull([`HOME=${at('home')}`, 'XDG_CACHE_HOME=']).stdout, 'image')
})

test('a proxy that says nothing can be interrupted', async () => {
  using folder = temporaryFolder()
  const proxy = createServer(() => proxy.emit('asked')).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  process.env['http_proxy'] = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
  try {
    const args = ['pull', 'http://127.0.0.1:9/x.raw', '--verify=no', `--output=${join(folder.path, 'x')}`]
    const { status, said } = await interrupted('SIGINT', once(proxy, 'asked'), args)
    assert.equal(status, 130)
    assert.match(said, /ddi-attach: interrupted\n$/)
  } finally {
    delete process.env['http_proxy']
    proxy.close()
  }
})

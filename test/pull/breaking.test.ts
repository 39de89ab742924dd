// Connections and processes that end too early, before a real server whose log says what it sent.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pull } from '../../lib/index.js'
import { MiB } from '../support/images.js'
import { freePort, serveByNginx, untilAnswering } from '../support/nginx.js'
import { cliPath, run, temporaryFolder } from '../support/run.js'

/** What the server’s log says that it sent of files, in bytes; headers are not in it. */
function sentBytes(log: string): number {
  const lines = readFileSync(log, 'utf8').split('\n')
  return lines.reduce((sum, line) => sum + Number(/" (?:200|206) (\d+) "/.exec(line)?.[1] ?? 0), 0)
}

/** socat passes connections on, and breaks each after so many bytes from the server, hardly any of which it has read ahead. */
async function breakingProxy(to: number, after: number): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort()
  const upstream = `TCP:127.0.0.1:${to},rcvbuf=16384,readbytes=${after}`
  const socat = spawn('socat', [`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, upstream], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  await untilAnswering(url)
  return {
    url,
    async [Symbol.asyncDispose]() {
      socat.kill()
      await once(socat, 'exit')
    },
  }
}

test('a proxy that breaks the connection every 5 MB, and ten kills at random: the server sends at most 1 % more', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('www'))
  const bytes = Buffer.alloc(256 * MiB)
  for (let block = 0; block < bytes.length; block += 2 * MiB) randomBytes(MiB).copy(bytes, block)
  writeFileSync(at('www/image.raw'), bytes)
  run('sh', '-c', `cd '${at('www')}' && sha256sum * > SHA256SUMS`)
  // Little is on the way when a connection breaks: what the server has sent is what came.
  await using nginx = await serveByNginx(at('www'), at('nginx'), { sendBuffer: '64k', rate: '6m', piece: '16k' })
  await using small = await serveByNginx(at('www'), at('small'), { sendBuffer: '16k' })
  const size = bytes.length
  {
    await using proxy = await breakingProxy(Number(new URL(small.url).port), 5_000_000)
    const target = { kind: 'raw', path: at('broken.raw') } as const
    const { downloaded } = await pull(`${proxy.url}/image.raw`, target, { verify: 'checksum' })
    assert.equal(downloaded, size)
    assert.ok(readFileSync(target.path).equals(bytes))
  }
  await sleep(200)
  const sent = sentBytes(small.log)
  assert.ok(sent >= size && sent <= size * 1.01, `broken: ${sent} of ${size} bytes`)
  const path = at('killed.raw')
  const args = [cliPath, 'pull', `${nginx.url}/image.raw`, `--output=${path}`, '--verify=checksum', '--progress=json']
  for (let kills = 0; kills < 10; kills++) {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'exit')
    // nginx gives what a second may have at once: then nobody knows what it was read of.
    let first: number | undefined
    for await (const line of createInterface(child.stderr)) {
      const { done } = JSON.parse(line)
      first ??= done as number
      if (done - first > 6 * MiB) break
    }
    await sleep(Math.random() * 300)
    child.kill('SIGKILL')
    await ended
    assert.ok(!existsSync(path))
  }
  run(process.execPath, ...args)
  assert.ok(readFileSync(path).equals(bytes))
  await sleep(200)
  const sentAgain = sentBytes(nginx.log)
  assert.ok(sentAgain >= size && sentAgain <= size * 1.01, `killed: ${sentAgain} of ${size} bytes`)
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.startsWith('.')),
    [],
  )
})

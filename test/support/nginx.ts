import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { attempt } from './run.js'

/**
 * Serves a folder by Debian’s nginx.
 * @param scratch a folder for what it writes
 * @param options `sendBuffer`: how much the kernel holds for each connection; `rate`: bytes a second; `piece`: what
 *   is sent at once, so also what is sent in vain to a connection that has ended; as nginx writes sizes. `server`: a block of the
 *   configuration instead of all that, for port 80 and /srv/web
 */
export async function serveByNginx(
  root: string,
  scratch: string,
  {
    sendBuffer,
    rate = '0',
    piece = '2m',
    server,
  }: {
    readonly sendBuffer?: string
    readonly rate?: string
    readonly piece?: string
    readonly server?: string
  } = {},
): Promise<AsyncDisposable & { readonly url: string; readonly log: string }> {
  mkdirSync(scratch, { recursive: true })
  const at = (name: string) => join(scratch, name)
  const log = at('access.log')
  const port = await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${at(what)};`)
  const own = `server { listen 127.0.0.1:${port}${sendBuffer === undefined ? '' : ` sndbuf=${sendBuffer}`}; root ${root}; limit_rate ${rate}; sendfile_max_chunk ${piece}; }`
  const given = server?.replace('listen 80;', `listen 127.0.0.1:${port};`).replace('/srv/web', root)
  writeFileSync(
    at('nginx.conf'),
    `daemon off; user root; pid ${at('pid')}; error_log ${at('error.log')}; worker_processes 1; events {}
     http { access_log ${log}; sendfile on; ${temporary.join(' ')} ${given ?? own} }`,
  )
  const nginx = spawn('nginx', ['-c', at('nginx.conf'), '-e', at('error.log')], {
    stdio: 'ignore',
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
  })
  const url = `http://127.0.0.1:${port}`
  await untilAnswering(url)
  return {
    url,
    log,
    async [Symbol.asyncDispose]() {
      nginx.kill()
      await once(nginx, 'exit')
    },
  }
}

/** Waits until a server answers. */
export async function untilAnswering(url: string): Promise<void> {
  const answers = () => attempt('curl', '-s', '-o', '/dev/null', url).status === 0
  for (let tries = 0; !answers() && tries < 100; tries++) await sleep(50)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

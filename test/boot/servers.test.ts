// The examples of servers in the manual.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pull } from '../../lib/index.js'
import { serveByNginx } from '../support/nginx.js'
import { packageRoot, run, temporaryFolder } from '../support/run.js'

test('nginx as the manual has it serves parts of files as they are, by which a download is resumed', async () => {
  using folder = temporaryFolder()
  const [www, scratch] = ['www', 'nginx'].map((name) => join(folder.path, name)) as [string, string]
  mkdirSync(www)
  const image = randomBytes(100_000)
  writeFileSync(join(www, 'acme_1.raw.xz'), image)
  const [server] = /^server \{\n.*?^\}$/ms.exec(readFileSync(join(packageRoot, 'docs/boot.md'), 'utf8')) ?? []
  await using nginx = await serveByNginx(www, scratch, { server: server! })
  const url = `${nginx.url}/acme_1.raw.xz`
  const head = run('curl', '-s', '--compressed', '-r', '500-599', '-D', '-', '-o', join(folder.path, 'part'), url)
  assert.match(head, /^HTTP\/1\.1 206 .*^etag: "[^"]+"\r$/ims)
  assert.match(head, /^content-range: bytes 500-599\/100000\r$/im)
  assert.doesNotMatch(head, /^content-encoding:/im)
  assert.deepEqual(readFileSync(join(folder.path, 'part')), image.subarray(500, 600))
  const path = join(folder.path, 'plain.raw')
  writeFileSync(join(www, 'plain.raw'), image)
  await pull(`${nginx.url}/plain.raw`, { kind: 'raw', path }, { verify: 'no' })
  assert.deepEqual(readFileSync(path), image)
})

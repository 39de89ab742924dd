// Native work may be under way when its worker or the process ends, and nothing of that may abort the process.
import assert from 'node:assert/strict'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { addon } from '../bindings/addon.js'
import { attempt, temporaryFolder } from './support/run.js'

const { argv } = process
if (!isMainThread) await work(workerData as string)
else if (argv[2] === 'terminate' || argv[2] === 'exit') await endWhileWorking(argv[2], argv[3]!)
else
  for (const how of ['terminate', 'exit'])
    test(`${how} during native work`, { timeout: 120_000 }, () => {
      using folder = temporaryFolder()
      writeFileSync(join(folder.path, 'image'), Buffer.alloc(4 << 20, 1))
      for (let turn = 0; turn < 3; turn++) {
        const { status, stderr } = attempt(process.execPath, import.meta.filename, how, folder.path)
        assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
      }
    })

test('wrong arguments of native calls are errors, and do not abort', { skip: !isMainThread }, () => {
  const call = addon().sha256Update as (...given: unknown[]) => unknown
  for (const given of [[], [null, 1], [new Uint8Array(8), [1]], [new Uint8Array(8), {}]])
    assert.throws(() => call(...given))
})

async function endWhileWorking(how: string, folder: string): Promise<void> {
  for (let turn = 0; turn < 6; turn++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: folder })
    await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 100))
    if (how === 'exit') process.exit(0)
    await worker.terminate()
  }
}

async function work(folder: string): Promise<void> {
  const fd = openSync(join(folder, 'image'), 'r')
  const out = openSync(join(folder, 'out'), 'w')
  const bytes = new Uint8Array(4 << 20).fill(7)
  const size = 4 << 20
  const blocks = [{ kind: 'linear' as const, base: { fd, path: 'image' }, start: 0, length: size }]
  const salt = new Uint8Array(32)
  const native = addon()
  const state = native.sha256Begin()
  for (let turn = 0; turn < 10_000; turn++)
    await Promise.all([
      native.verityDigestBlocks({ algorithm: 'sha512', salt, blocks, blockSize: 4096, count: 300 }),
      native.writeSparse(out, 'out', [bytes], 0),
      native.sha256Update(state, [bytes]),
      native.scanPartitions(fd, 'image', size),
      native.getExtendedAttribute('/nonexistent', 'user.x').catch(() => undefined),
    ])
  closeSync(fd)
  closeSync(out)
}

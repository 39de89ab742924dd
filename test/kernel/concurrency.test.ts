import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { detachAll, list } from '../../lib/index.js'
import { makeVerityImage } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'

const worker = fileURLToPath(new URL('./attach-worker.js', import.meta.url))

test('200 rounds by 8 processes at once lose and leak nothing', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const statuses = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const child = spawn(process.execPath, [worker, path, rootHash, `round${index}`, '25'], { stdio: 'inherit' })
      return (await once(child, 'exit'))[0]
    }),
  )
  assert.deepEqual(statuses, Array(8).fill(0))
  assertNothingLeft()
})

test('killed at any point, an attach leaves nothing that list does not show and detach does not remove', async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  const states: string[] = []
  for (let point = 1; ; point++) {
    // strace kills the process as it enters its nth system call that changes devices; one thread makes them all.
    const inject = `inject=ioctl,mknod,mknodat:signal=KILL:when=${point}`
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
    const child = fork(worker, [path, rootHash, 'killed', '0'], { env })
    const exit = once(child, 'exit')
    // It waits until it is traced: tracing all of its start takes longer than the rest.
    await once(child, 'message')
    const trace = ['--follow-forks', '--output=/dev/null', '--trace=ioctl,mknod,mknodat', '-e', inject]
    const strace = spawn('strace', [...trace, `--attach=${child.pid}`], { stdio: ['ignore', 'ignore', 'pipe'] })
    const traced = once(strace, 'exit')
    await once(strace.stderr, 'data')
    child.send('go')
    const [status] = await exit
    await traced
    const listed = await list()
    if (run('dmsetup', 'ls').trim() !== 'No devices found') assert.equal(listed.length, 1, `point ${point}`)
    states.push(listed[0]?.state ?? 'none')
    await detachAll()
    assertNothingLeft()
    if (status === 0) break
    assert.ok(point < 100)
  }
  console.log(`killed at ${states.length - 1} points: ${states.join(' ')}`)
  // Some of the points were before the first device, some half-way.
  assert.ok(states.includes('none') && states.includes('partial') && states.at(-1) === 'active')
})

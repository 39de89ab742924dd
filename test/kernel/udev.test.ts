// With systemd-udevd running beside us: its nodes, its cookies, and no race between making a node and using it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readFileSync, rmSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { attach } from '../../lib/index.js'
import { makeVerityImage } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'

const ours = process.env['DDI_IN_UML'] === '1'
let udevd: ReturnType<typeof spawn> | undefined

before(async () => {
  if (!ours) return
  udevd = spawn('/usr/lib/systemd/systemd-udevd', [], { stdio: 'ignore' })
  while (!existsSync('/run/udev/control')) await sleep(50)
})

after(async () => {
  if (!udevd) return
  udevd.kill()
  await once(udevd, 'exit')
  // It leaves its socket, by which dmsetup takes it to be alive, and waits for it forever.
  rmSync('/run/udev', { recursive: true })
})

test('udev makes the nodes, answers every cookie, and nothing is left', async (t) => {
  if (!existsSync('/run/udev/control')) {
    t.skip('no udevd runs on this machine’s own kernel, and it is not ours to start one')
    return
  }
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  for (let round = 0; round < 10; round++) {
    const attachment = await attach(path, { rootHash, name: 'watched' })
    const [volume] = attachment.volumes
    // A link by udev, not a node by us; there the moment that attach is done.
    assert.ok(lstatSync(volume!.device).isSymbolicLink(), `round ${round}`)
    assert.equal(readFileSync(volume!.device).length, volume!.size)
    await attachment.detach()
    assert.ok(!existsSync(volume!.device), `round ${round}`)
  }
  run('udevadm', 'settle')
  assertNothingLeft()
  assert.doesNotMatch(run('dmsetup', 'udevcookies'), /0x0?d4d/)
})

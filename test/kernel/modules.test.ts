// What happens on kernels that lack a part. Needs a kernel whose modules are ours to unload.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { attach, detach, list } from '../../lib/index.js'
import { copyOf, makeVerityImage } from '../support/images.js'
import { cliPath, run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'

const inUml = process.env['DDI_IN_UML'] === '1'
const options = inUml ? {} : { skip: 'this machine’s own kernel: its modules are not ours to unload' }
const modprobe = (...args: string[]) => run('modprobe', '-d', '/run/modules', ...args)

/** Keeps the kernel from loading modules by itself. */
function withoutAutoload(): Disposable {
  const path = '/proc/sys/kernel/modprobe'
  const before = readFileSync(path, 'utf8')
  writeFileSync(path, '/bin/false\n')
  return { [Symbol.dispose]: () => writeFileSync(path, before) }
}

test('without the verity target it names the module, and leaves nothing', options, async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  {
    using _ = withoutAutoload()
    modprobe('-r', 'dm-verity')
    await assert.rejects(attach(path, { rootHash }), { code: 'ERR_DDI_MISSING_TARGET', message: /modprobe dm-verity/ })
    assertNothingLeft()
  }
  modprobe('dm-verity')
})

/** Takes device-mapper from the kernel for the length of a scope. */
function withoutDeviceMapper(): Disposable {
  const autoload = withoutAutoload()
  for (const module of ['dm-verity', 'dm-zero', 'dm-log-writes', 'dm-crypt', 'dm-mod']) modprobe('-r', module)
  return {
    [Symbol.dispose]() {
      autoload[Symbol.dispose]()
      modprobe('dm-mod')
      modprobe('dm-verity')
    },
  }
}

function loopDevices(): string {
  return run('losetup', '--list', '--noheadings').trim()
}

test('without device-mapper plain volumes get loop devices, and verified ones an error', options, async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  using _ = withoutDeviceMapper()
  await assert.rejects(attach(path, { rootHash }), { code: 'ERR_DDI_NO_DEVICE_MAPPER' })
  assert.equal(loopDevices(), '')
  const { volumes } = await attach(path, { name: 'plain' })
  assert.match(volumes[0]!.device, /^\/dev\/loop\d+$/)
  const [listed] = await list()
  assert.deepEqual(listed?.volumes, [{ designator: 'root', device: volumes[0]!.device, verified: false }])
  assert.deepEqual(await detach(path), ['plain'])
  assert.equal(loopDevices(), '')
})

test('without device-mapper a name serves one image, and each of its volumes once', options, async () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  const other = copyOf(path, join(folder.path, 'other.raw'))
  using _ = withoutDeviceMapper()
  const used = { code: 'ERR_DDI_NAME_IN_USE' }
  await using first = await attach(path, { name: 'same' })
  await assert.rejects(attach(path, { name: 'same' }), used)
  await assert.rejects(attach(other, { name: 'same' }), used)
  await assert.rejects(attach(other, { name: 'same', volumes: ['os_1_verity'] }), used)
  // Another volume of the same image is no rival, as with device-mapper.
  await attach(path, { name: 'same', volumes: ['os_1_verity'] })
  const [listed] = await list()
  assert.deepEqual(listed?.volumes.map(({ designator }) => designator).sort(), ['os_1_verity', 'root'])
  await first.detach()
  assert.equal(loopDevices(), '')
})

test('without device-mapper, of processes that race for a name one has it', options, async () => {
  using folder = temporaryFolder()
  const { path } = makeVerityImage(folder.path)
  const images = [path, ...[1, 2, 3].map((n) => copyOf(path, join(folder.path, `copy${n}.raw`)))]
  using _ = withoutDeviceMapper()
  for (let round = 0; round < 3; round++) {
    const attempts = await Promise.all(
      images.map(
        (image) =>
          new Promise<string>((done) =>
            execFile(process.execPath, [cliPath, 'attach', image, '--name=raced'], (error, _, stderr) =>
              done(error ? stderr : ''),
            ),
          ),
      ),
    )
    const refused = attempts.filter((message) => message !== '')
    assert.equal(refused.length, images.length - 1, attempts.join('\n'))
    for (const message of refused) assert.match(message, /ERR_DDI_NAME_IN_USE/)
    assert.equal(loopDevices().split('\n').length, 1)
    assert.equal((await list()).length, 1)
    await detach('raced')
  }
})

test('loop devices are found by their numbers where each may have partitions', options, async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  // With partitions of their own, loop devices have minor numbers that are not theirs in /dev.
  modprobe('-r', 'loop')
  modprobe('loop', 'max_part=7')
  try {
    const taken = run('losetup', '--find', '--show', copyOf(path, join(folder.path, 'taken.raw'))).trim()
    {
      await using attachment = await attach(path, { rootHash, name: 'parts' })
      const [listed] = await list()
      assert.equal(listed?.image, path)
      const [loop] = run('losetup', '--associated', path, '--noheadings', '--output=NAME').trim().split('\n')
      assert.deepEqual(listed.devices.slice(-1), [loop])
      assert.deepEqual(await detach(loop!), [attachment.name])
    }
    run('losetup', '--detach', taken)
    assertNothingLeft()
  } finally {
    modprobe('-r', 'loop')
    modprobe('loop')
  }
})

// What happens on kernels that lack a part. Needs a kernel whose modules are ours to unload.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { attach, detach, list } from '../../lib/index.js'
import { makeVerityImage } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
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

test('without device-mapper plain volumes get loop devices, and verified ones an error', options, async () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  {
    using _ = withoutAutoload()
    for (const module of ['dm-verity', 'dm-zero', 'dm-log-writes', 'dm-crypt', 'dm-mod']) modprobe('-r', module)
    await assert.rejects(attach(path, { rootHash }), { code: 'ERR_DDI_NO_DEVICE_MAPPER' })
    assert.equal(run('losetup', '--list', '--noheadings').trim(), '')
    const { volumes } = await attach(path, { name: 'plain' })
    assert.match(volumes[0]!.device, /^\/dev\/loop\d+$/)
    const [listed] = await list()
    assert.deepEqual(listed?.volumes, [{ designator: 'root', device: volumes[0]!.device, verified: false }])
    assert.deepEqual(await detach(path), ['plain'])
    assert.equal(run('losetup', '--list', '--noheadings').trim(), '')
  }
  modprobe('dm-mod')
  modprobe('dm-verity')
})

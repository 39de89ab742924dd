// Typed tables against the kernel's own and veritysetup's.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { formatDevice, openDeviceMapper } from '../../lib/kernel/device-mapper.js'
import { attachLoop } from '../../lib/kernel/loop.js'
import { formatTable, type TableTarget } from '../../lib/kernel/targets.js'
import { beginUdevTransaction } from '../../lib/kernel/udev.js'
import { emptyFile, formatVerity, MiB, makeFileSystem } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

/** A table in the form in which dmsetup prints it. */
function printed(targets: readonly TableTarget[]): string {
  return formatTable(targets)
    .map((line) => `${line.startSector} ${line.sectorCount} ${line.type} ${line.parameters}`)
    .join('\n')
}

async function tableOf(name: string): Promise<readonly TableTarget[]> {
  await using mapper = (await openDeviceMapper())!
  return await mapper.table(name)
}

test('linear and zero targets: the kernel’s table is ours, and is read back as it was', async () => {
  using folder = temporaryFolder()
  const backing = emptyFile(join(folder.path, 'file'), 4 * MiB)
  await using loop = await attachLoop({ backing, readOnly: false, sectorSize: 512, reference: 'ddi:targets' })
  const targets: TableTarget[] = [
    { kind: 'linear', length: MiB, device: loop.deviceNumber, start: 2 * MiB },
    { kind: 'zero', length: 4096 },
    { kind: 'linear', length: 512, device: loop.deviceNumber, start: 512 },
  ]
  await using mapper = (await openDeviceMapper())!
  const udev = await beginUdevTransaction()
  const device = await mapper.create({ name: 'typed', uuid: 'DDI-test', targets, readOnly: false, inner: false }, udev)
  try {
    await udev.settle()
    assert.equal(dmTable('typed'), printed(targets))
    assert.deepEqual(await mapper.table('typed'), targets)
    assert.deepEqual((await mapper.dependencies('typed')).map(formatDevice), [loop.deviceNumber])
  } finally {
    const undo = await beginUdevTransaction()
    await mapper.remove(device.name, undo)
    await undo.settle()
    await mapper.dropNode(device)
  }
})

// Neither error correction nor root hash signatures: user-mode-linux is built without them.
test('verity targets as veritysetup makes them', async () => {
  using folder = temporaryFolder()
  const data = makeFileSystem(folder.path, 'erofs')
  const { rootHash, hashPath } = formatVerity(data, join(folder.path, 'hash'))
  const opened: readonly (readonly [options: readonly string[], facts: Partial<TableTarget>])[] = [
    [[], { kind: 'verity', version: 1, algorithm: 'sha256' }],
    [['--ignore-corruption'], { onCorruption: 'ignore' }],
    [['--restart-on-corruption'], { onCorruption: 'restart' }],
    [['--ignore-zero-blocks', '--check-at-most-once'], { ignoreZeroBlocks: true, checkAtMostOnce: true }],
  ]
  for (const [options, facts] of opened) {
    run('veritysetup', 'open', ...options, data, 'theirs', hashPath, rootHash)
    try {
      const targets = await tableOf('theirs')
      assert.equal(printed(targets), dmTable('theirs'))
      const [target] = targets
      assert.ok(target?.kind === 'verity', dmTable('theirs'))
      assert.equal(target.rootHash, rootHash)
      for (const [name, value] of Object.entries(facts))
        assert.equal(target[name as keyof typeof target], value, options.join(' '))
    } finally {
      run('veritysetup', 'close', 'theirs')
    }
  }
})

test('other targets are kept as they are', async () => {
  run('dmsetup', 'create', 'odd', '--table', '0 2048 error')
  try {
    assert.deepEqual(await tableOf('odd'), [{ kind: 'other', length: MiB, type: 'error', parameters: '' }])
  } finally {
    run('dmsetup', 'remove', 'odd')
  }
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import {
  attach,
  dissect,
  extensionTypeUuid,
  extensionUuid,
  nestedTypeUuid,
  openImage,
  verify,
} from '../../lib/index.js'
import {
  emptyFile,
  formatVerity,
  MiB,
  makeFileSystem,
  makeGptImage,
  type PartitionSpec,
  typeUuids,
  uuidsOf,
  writeAt,
} from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft, dmTable } from './state.js'

afterEach(assertNothingLeft)

const continued = 58

/** A head and its extensions, a segment for each size. */
function chain(head: PartitionSpec & { uuid: string }, sizes: readonly number[]): PartitionSpec[] {
  return sizes.map((size, n) => {
    const more = n < sizes.length - 1 ? [continued] : []
    return n === 0
      ? { ...head, size, attributes: more }
      : { type: extensionTypeUuid, size, uuid: extensionUuid(head.uuid, n), attributes: [63, ...more] }
  })
}

test('three segments on a sparse file are one device of their bytes', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  const uuid = '0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4051'
  const segments = chain({ type: typeUuids.home, size: 0, uuid, label: 'home' }, [MiB, 3 * MiB, 2 * MiB])
  // Out of order on the disk, with something else in between.
  const [third, first, second] = [segments[2]!, segments[0]!, segments[1]!]
  const starts = makeGptImage(path, 32 * MiB, [third, { type: typeUuids.linuxGeneric, size: MiB }, first, second])
  const bytes = randomBytes(6 * MiB)
  writeAt(path, starts[2]!, bytes.subarray(0, MiB))
  writeAt(path, starts[3]!, bytes.subarray(MiB, 4 * MiB))
  writeAt(path, starts[0]!, bytes.subarray(4 * MiB))
  await using attachment = await attach(path, { name: 'chain' })
  const home = attachment.volumes.find(({ designator }) => designator === 'home')!
  assert.ok(readFileSync(home.device).equals(bytes))
  const table = dmTable('ddi-chain-home')
  assert.deepEqual(
    table.split('\n').map((line) => line.split(' ')[2]),
    ['linear', 'linear', 'linear'],
  )
})

test('two tables deep, 512-byte sectors within 4096: the bytes of the innermost volume', async () => {
  using folder = temporaryFolder()
  const bytes = randomBytes(3 * MiB)
  const content = join(folder.path, 'content')
  writeFileSync(content, bytes)
  const innermost = join(folder.path, 'innermost.raw')
  makeGptImage(innermost, 8 * MiB, [{ type: typeUuids.home, size: 3 * MiB, label: 'deep', from: content }])
  const middle = join(folder.path, 'middle.raw')
  const box = { type: nestedTypeUuid, size: 8 * MiB, from: innermost }
  makeGptImage(middle, 16 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB }, box])
  const path = emptyFile(join(folder.path, 'outer.raw'), 32 * MiB)
  const device = run('losetup', '--find', '--show', '--sector-size', '4096', path).trim()
  run('sgdisk', '-n', '1:1024:+16M', '-t', `1:${nestedTypeUuid}`, device)
  run('losetup', '--detach', device)
  writeAt(path, 4 * MiB, readFileSync(middle))
  await using attachment = await attach(path, { name: 'nested' })
  const home = attachment.volumes.find(({ designator }) => designator === 'home')!
  assert.ok(readFileSync(home.device).equals(bytes))
  // One loop device for all of it, and no device over a device.
  assert.equal(run('losetup', '--list', '--noheadings').trim().split('\n').length, 1)
})

test('verity over a chained data and a chained hash volume mounts; without its middle it is refused', async () => {
  using folder = temporaryFolder()
  const data = makeFileSystem(folder.path, 'erofs')
  const { rootHash, hashPath } = formatVerity(data, join(folder.path, 'hash'))
  const uuids = uuidsOf(rootHash)
  const page = 4096
  const cut = (path: string, count: number) => {
    const pages = Math.ceil(statSync(path).size / page)
    const step = Math.floor(pages / count)
    return Array.from({ length: count }, (_, n) => (n < count - 1 ? step : pages - step * (count - 1)) * page)
  }
  const fill = (specs: PartitionSpec[], path: string): PartitionSpec[] => {
    let offset = 0
    return specs.map((spec, n) => {
      const from = join(folder.path, `${spec.uuid}-${n}`)
      writeFileSync(from, readFileSync(path).subarray(offset, offset + spec.size))
      offset += spec.size
      return { ...spec, from }
    })
  }
  const dataChain = fill(chain({ type: typeUuids.root, size: 0, uuid: uuids.data, label: 'os_1' }, cut(data, 3)), data)
  const hashChain = fill(
    chain({ type: typeUuids.rootVerity, size: 0, uuid: uuids.hash, label: 'os_1' }, cut(hashPath, 2)),
    hashPath,
  )
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 32 * MiB, [...hashChain, ...dataChain])
  {
    await using attachment = await attach(path, { rootHash, name: 'chain' })
    assert.equal(dmTable('ddi-chain-root-data').split('\n').length, 3)
    assert.equal(dmTable('ddi-chain-root-verity').split('\n').length, 2)
    const mounted = join(folder.path, 'mounted')
    mkdirSync(mounted)
    run('mount', '-o', 'ro', attachment.volumes[0]!.device, mounted)
    assert.equal(readFileSync(join(mounted, 'etc/os-release'), 'utf8'), 'ID=ddi-test\n')
    run('umount', mounted)
    await using image = await openImage(path)
    const [verified] = await verify(await dissect(image, { rootHash }))
    assert.equal(verified!.badDataBlocks, 0)
  }
  const middle = hashChain.length + 2
  run('sgdisk', `--delete=${middle}`, path)
  await assert.rejects(attach(path, { rootHash }), { code: 'ERR_DDI_CHAIN_BROKEN' })
})

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Designator } from '../../lib/gpt/dps-types.js'
import { findPlace, type Placed, placements } from '../../lib/mount/places.js'
import { temporaryFolder } from '../support/run.js'

const all: readonly Designator[] = ['swap', 'esp', 'xbootldr', 'tmp', 'var', 'srv', 'home', 'usr', 'root']
const place = (designator: Designator) => placements((one) => (one === designator ? {} : undefined))[0]!

test('volumes go into a tree from its root on, those without a place not at all', () => {
  const order = placements((designator) => all.find((one) => one === designator)).map(({ volume }) => volume)
  assert.deepEqual(order, ['root', 'usr', 'home', 'srv', 'var', 'tmp', 'xbootldr', 'esp'])
  assert.deepEqual(
    placements((designator) => designator, ['usr', 'root', 'swap']).map(({ volume }) => volume),
    ['root', 'usr'],
  )
})

test('a volume goes where its directory is, wherever a link within the tree puts that', async () => {
  using folder = temporaryFolder()
  const target = realpathSync(folder.path)
  for (const name of ['data/home', 'var', 'boot', 'outside']) mkdirSync(join(target, 'tree', name), { recursive: true })
  const tree = join(target, 'tree')
  symlinkSync('/data/home', join(tree, 'home'))
  // Out of the tree is back to its root.
  symlinkSync('../../../outside', join(tree, 'srv'))
  const root: Placed[] = [{ path: tree, readOnly: true }]
  assert.equal(await findPlace(tree, place('root'), [], 'image'), tree)
  assert.equal(await findPlace(tree, place('home'), root, 'image'), join(tree, 'data/home'))
  assert.equal(await findPlace(tree, place('srv'), root, 'image'), join(tree, 'outside'))
  await assert.rejects(findPlace(tree, place('tmp'), root, 'image'), { code: 'ERR_DDI_MOUNT_POINT' })
  assert.equal(await findPlace(tree, place('esp'), root, 'image'), join(tree, 'boot'))
  const withBoot = [...root, { path: join(tree, 'boot'), readOnly: true }]
  assert.equal(await findPlace(tree, place('esp'), withBoot, 'image'), undefined)
})

test('a missing directory is created if everything in the tree is writable', async () => {
  using folder = temporaryFolder()
  const target = realpathSync(folder.path)
  assert.equal(await findPlace(target, place('usr'), [], 'image'), join(target, 'usr'))
  assert.ok(existsSync(join(target, 'usr')))
  const readOnly = [{ path: join(target, 'usr'), readOnly: true }]
  await assert.rejects(findPlace(target, place('home'), readOnly, 'image'), { code: 'ERR_DDI_MOUNT_POINT' })
  // Its parent has to exist.
  await assert.rejects(findPlace(target, place('tmp'), [], 'image'), { code: 'ERR_DDI_MOUNT_POINT' })
})

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Designator } from '../../lib/gpt/dps-types.js'
import { findPlace, type Placed, placements, refuseAstray } from '../../lib/mount/places.js'
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

/** Where a volume would go, within what is there. */
async function pathOf(target: string, designator: Designator, placed: readonly Placed[]): Promise<string | undefined> {
  await using found = await findPlace(target, place(designator), async () => placed, 'image')
  return await found?.realPath()
}

const noPlace = { code: 'ERR_DDI_MOUNT_POINT' } as const

test('a volume goes where its directory is, wherever a link within the tree puts that', async () => {
  using folder = temporaryFolder()
  const target = realpathSync(folder.path)
  for (const name of ['data/home', 'var', 'boot', 'outside']) mkdirSync(join(target, 'tree', name), { recursive: true })
  const tree = join(target, 'tree')
  symlinkSync('/data/home', join(tree, 'home'))
  // Out of the tree is back to its root.
  symlinkSync('../../../outside', join(tree, 'srv'))
  const root: Placed[] = [{ designator: 'root', path: tree, readOnly: true }]
  assert.equal(await pathOf(tree, 'root', []), tree)
  assert.equal(await pathOf(tree, 'home', root), join(tree, 'data/home'))
  assert.equal(await pathOf(tree, 'srv', root), join(tree, 'outside'))
  await assert.rejects(pathOf(tree, 'tmp', root), noPlace)
  assert.equal(await pathOf(tree, 'esp', root), join(tree, 'boot'))
  const withBoot: Placed[] = [...root, { designator: 'xbootldr', path: join(tree, 'boot'), readOnly: true }]
  assert.equal(await pathOf(tree, 'esp', withBoot), undefined)
})

test('a missing directory is created in what is writable, or memory', async () => {
  using folder = temporaryFolder()
  const target = realpathSync(folder.path)
  assert.equal(await pathOf(target, 'usr', []), join(target, 'usr'))
  assert.ok(existsSync(join(target, 'usr')))
  // Without a root, the read-only /usr is in one in memory.
  const usr: Placed = { designator: 'usr', path: join(target, 'usr'), readOnly: true }
  assert.equal(await pathOf(target, 'home', [usr]), join(target, 'home'))
  const root: Placed = { designator: 'root', path: target, readOnly: true }
  await assert.rejects(pathOf(target, 'srv', [root, usr]), noPlace)
  assert.equal(await pathOf(target, 'srv', [{ ...root, readOnly: false }, usr]), join(target, 'srv'))
  // Those above it, too.
  assert.equal(await pathOf(target, 'tmp', [usr]), join(target, 'var/tmp'))
  // A link to nothing is there, and is no directory.
  symlinkSync('nowhere', join(target, 'efi'))
  symlinkSync('nowhere', join(target, 'boot'))
  assert.equal(await pathOf(target, 'esp', [usr]), undefined)
  // In a volume that it does not belong in, nothing is created.
  mkdirSync(join(target, 'other'))
  const other: Placed = { designator: 'home', path: join(target, 'other'), readOnly: false }
  rmSync(join(target, 'var'), { recursive: true })
  symlinkSync('other', join(target, 'var'))
  await assert.rejects(pathOf(target, 'tmp', [other]), noPlace)
  assert.deepEqual(readdirSync(join(target, 'other')), [])
})

test('a link whose way is through a volume that came later is refused', async () => {
  using folder = temporaryFolder()
  const target = realpathSync(folder.path)
  for (const name of ['home', 'real']) mkdirSync(join(target, name))
  symlinkSync('../real', join(target, 'home/way'))
  symlinkSync('home/way', join(target, 'usr'))
  const usr = await pathOf(target, 'usr', [])
  assert.equal(usr, join(target, 'real'))
  const placed: Placed[] = [
    { designator: 'usr', path: usr!, readOnly: true },
    { designator: 'home', path: join(target, 'home'), readOnly: true },
  ]
  await refuseAstray(target, placed, 'image')
  rmSync(join(target, 'home/way'))
  // It leads to nothing.
  await refuseAstray(target, placed, 'image')
  mkdirSync(join(target, 'home/way'))
  await assert.rejects(refuseAstray(target, placed, 'image'), { ...noPlace, message: /usr leads to "\/home\/way"/ })
})

test('no link puts a volume on, below or above another one', async () => {
  const links = fc.constantFrom('.', 'usr', 'usr/bin', 'home', 'data', 'data/usr', 'data/usr/home', '/var', '..', 'srv')
  const designators = ['usr', 'home', 'srv', 'var', 'tmp', 'xbootldr', 'esp'] as const
  const names = fc.constantFrom('usr', 'home', 'srv', 'var', 'var/tmp', 'boot', 'efi')
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, links, { maxKeys: 4 }), async (linked) => {
      using folder = temporaryFolder()
      const target = realpathSync(folder.path)
      for (const name of ['data/usr/home', 'usr/bin', 'home', 'srv', 'var/tmp', 'boot', 'efi'])
        mkdirSync(join(target, name), { recursive: true })
      for (const [name, to] of Object.entries(linked).toSorted().toReversed()) {
        rmSync(join(target, name), { recursive: true })
        symlinkSync(to, join(target, name))
      }
      const placed: Placed[] = [{ designator: 'root', path: target, readOnly: true }]
      for (const designator of designators) {
        const path = await pathOf(target, designator, placed).catch(() => undefined)
        if (path === undefined) continue
        assert.ok(path.startsWith(`${target}/`))
        for (const one of placed.filter((one) => one.designator !== 'root')) {
          assert.ok(!`${one.path}/`.startsWith(`${path}/`), `${designator} on or above ${one.designator}`)
          if (designator !== 'tmp' || one.designator !== 'var')
            assert.ok(!path.startsWith(`${one.path}/`), `${designator} in ${one.designator}`)
        }
        placed.push({ designator, path, readOnly: true })
      }
    }),
    { numRuns: 50 },
  )
})

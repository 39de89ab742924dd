// dm-error under an image: what cannot be read is an error of its own, in the middle of whatever reads it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, test } from 'node:test'
import {
  buildImage,
  copyFrom,
  digestFile,
  dissect,
  formatFile,
  openImage,
  type Tree,
  verify,
  withTree,
} from '../../lib/index.js'
import { defineImage, emptyFile, MiB } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'
import { assertNothingLeft } from './state.js'

afterEach(assertNothingLeft)

/** A device with the bytes of a file, `length` bytes of which, from `start`, cannot be read. */
function unreadable(path: string, start: number, length: number): { readonly path: string } & Disposable {
  const name = 'unreadable'
  const loop = run('losetup', '--find', '--show', path).trim()
  const [sectors, first, count] = [Number(run('blockdev', '--getsz', loop)), start / 512, length / 512]
  const end = first + count
  const table = `0 ${first} linear ${loop} 0\n${first} ${count} error\n${end} ${sectors - end} linear ${loop} ${end}`
  run('dmsetup', 'create', name, '--table', table)
  if (!existsSync(`/dev/mapper/${name}`)) run('dmsetup', 'mknodes', name)
  return {
    path: `/dev/mapper/${name}`,
    [Symbol.dispose]() {
      run('dmsetup', 'remove', name)
      rmSync(`/dev/mapper/${name}`, { force: true })
      run('losetup', '--detach', loop)
    },
  }
}

test('what cannot be read ends building, formatting and verifying with an error of its own, and leaves nothing', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  emptyFile(at('data'), 8 * MiB)
  using data = unreadable(at('data'), 4 * MiB, 4096)
  const definitions = defineImage(folder.path, { '1': ['Type=home', `CopyBlocks=${data.path}`] })
  const before = readdirSync(folder.path)
  const calls: readonly (() => Promise<unknown>)[] = [
    () => formatFile(data.path, at('out')),
    () => buildImage(definitions, at('out'), { root: '/' }),
  ]
  for (const call of calls) {
    await assert.rejects(call(), { code: 'ERR_DDI_IO' })
    assert.deepEqual(readdirSync(folder.path), before)
  }
})

test('what cannot be read of an image ends verifying it, and reading its files', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('tree'))
  writeFileSync(at('tree/file'), randomBytes(8 * MiB))
  const definitions = defineImage(folder.path, {
    '1': ['Type=root', 'Format=squashfs', 'CopyFiles=/', 'Verity=data', 'VerityMatchKey=r'],
    '2': ['Type=root-verity', 'Verity=hash', 'VerityMatchKey=r'],
  })
  const { partitions } = await buildImage(definitions, at('image.raw'), { root: at('tree') })
  const [{ extents, rootHash }] = partitions as [(typeof partitions)[0]]
  using device = unreadable(at('image.raw'), extents[0]!.start + 5 * MiB + 12_288, 4096)
  const before = readdirSync(folder.path)
  {
    await using image = await openImage(device.path)
    await assert.rejects(verify(await dissect(image, { rootHash: rootHash! })), { code: 'ERR_DDI_IO' })
  }
  const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
  const uses: readonly (readonly [string, (tree: Tree) => Promise<unknown>])[] = [
    ['ERR_DDI_IO', (tree) => copyFrom(tree, 'file', sink())],
    ['ERR_DDI_TOOL', (tree) => copyFrom(tree, 'file', at('out'))],
    [
      'ERR_DDI_IO',
      async (tree) => {
        for await (const entry of tree.entries()) if (entry.path === 'file') await digestFile(tree, entry)
      },
    ],
  ]
  for (const [code, use] of uses) await assert.rejects(withTree(device.path, {}, use), { code })
  assert.deepEqual(readdirSync(folder.path), before)
})

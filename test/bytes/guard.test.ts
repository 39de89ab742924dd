// Sources of others: what they answer reaches neither parsers nor native code unless it is what was requested.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { copy } from '../../lib/bytes/copy.js'
import { createFile, openFile } from '../../lib/bytes/file.js'
import { guardSource } from '../../lib/bytes/guard.js'
import { dissect, imageOn, openImage, type Source, verify } from '../../lib/index.js'
import {
  checkedSource,
  memorySource,
  newSuperblock,
  parseRootHash,
  readSuperblock,
  verifyTree,
  writeTree,
} from '../../lib/verity/index.js'
import { formatVerity, MiB, makeVerityImage } from '../support/images.js'
import { temporaryFolder } from '../support/run.js'

/** A source of a program without types, which answers with whatever it likes. */
function answering(size: unknown, answer: (offset: number, length: number) => unknown, where?: unknown): Source {
  return { size, read: async (offset: number, length: number) => answer(offset, length), where } as unknown as Source
}

const odd: Readonly<Record<string, (offset: number, length: number) => unknown>> = {
  nothing: () => undefined,
  text: (_, length) => 'x'.repeat(length),
  list: (_, length) => Array.from({ length }, () => 0),
  'an array buffer': (_, length) => new ArrayBuffer(length),
  'too much': (_, length) => new Uint8Array(length + 1),
}

test('answers that are not the bytes requested are refused, wherever a source is taken', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'data')
  writeFileSync(path, randomBytes(64 * 4096))
  const { hashPath, rootHash } = formatVerity(path, join(folder.path, 'hash'))
  const tree = memorySource(readFileSync(hashPath))
  const superblock = await readSuperblock(tree)
  const refused = { code: 'ERR_DDI_USAGE' }
  for (const [what, answer] of Object.entries(odd)) {
    const source = answering(64 * 4096, answer)
    await assert.rejects(imageOn(source, { name: 'odd' }), refused, what)
    await assert.rejects(verifyTree(superblock, source, tree), refused, what)
    const checked = await checkedSource(superblock, source, tree, parseRootHash(rootHash))
    await assert.rejects(checked.read(0, 1), refused, what)
    await using target = await createFile(join(folder.path, what), MiB)
    await assert.rejects(writeTree(newSuperblock(64 * 4096), source, target), refused, what)
    await assert.rejects(copy(source, target), refused, what)
  }
})

test('fewer bytes than requested are an error, and end', async () => {
  using folder = temporaryFolder()
  await using target = await createFile(join(folder.path, 'target'), MiB)
  for (const short of [0, 1, 4095])
    await assert.rejects(
      copy(
        answering(8192, () => new Uint8Array(short)),
        target,
      ),
      { code: 'ERR_DDI_SHORT_READ' },
    )
})

test('sizes that are none, and places where bytes cannot lie, are refused', async () => {
  for (const size of [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, '1000', undefined, null])
    assert.throws(() => guardSource(answering(size, () => new Uint8Array())), { code: 'ERR_DDI_USAGE' }, String(size))
  const base = { fd: -1, path: 'closed', kind: 'file', size: 100 }
  const places = [
    [],
    [{ kind: 'zero', length: 9 }],
    [{ kind: 'linear', base, start: 0, length: 10 }],
    [{ kind: 'linear', base: { ...base, fd: 0 }, start: -1, length: 10 }],
  ]
  for (const place of places) {
    const source = guardSource(
      answering(
        100,
        () => new Uint8Array(10),
        () => place,
      ),
    )
    assert.throws(() => source.where?.(0, 10), { code: 'ERR_DDI_USAGE' }, JSON.stringify(place))
  }
})

test('what is closed is not read as zeroes', async () => {
  using folder = temporaryFolder()
  // A tree over zeroes, and data that is none.
  const zeroes = join(folder.path, 'zeroes')
  writeFileSync(zeroes, Buffer.alloc(MiB))
  const { hashPath } = formatVerity(zeroes, join(folder.path, 'zeroes.hash'))
  writeFileSync(zeroes, Buffer.alloc(MiB, 7))
  const data = await openFile(zeroes)
  await using hash = await openFile(hashPath)
  const superblock = await readSuperblock(hash)
  await data.close()
  await assert.rejects(verifyTree(superblock, data, hash), { code: 'ERR_DDI_USAGE', message: /zeroes is closed/ })
  await using target = await createFile(join(folder.path, 'zeroes.tree'), MiB)
  await assert.rejects(writeTree(superblock, data, target), { code: 'ERR_DDI_USAGE', message: /zeroes is closed/ })

  const { path, rootHash } = makeVerityImage(folder.path)
  const image = await openImage(path)
  const dissection = await dissect(image, { rootHash })
  await image.close()
  await assert.rejects(verify(dissection), { code: 'ERR_DDI_USAGE', message: /image.raw is closed/ })
})

test('a salt that is not bytes is refused', () => {
  for (const salt of ['aabb', [1, 2], 5])
    assert.throws(() => newSuperblock(MiB, { salt: salt as unknown as Uint8Array }), { code: 'ERR_DDI_USAGE' })
})

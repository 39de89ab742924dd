// ddi/gpt, ddi/verity and ddi/android in a bundle for browsers: nothing of Node.js is in it, nor does it miss any. It runs in a context that
// has what browsers have, and no more.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { makeSuper } from '../lib/index.js'
import { MiB, makeGptImage, typeUuids } from './support/images.js'
import { packageRoot, run, temporaryFolder } from './support/run.js'

/** What the modules under test use, and web pages have. */
const { Blob, console, crypto, TextEncoder, TextDecoder, AbortController } = globalThis
const web = { Blob, console, crypto, TextEncoder, TextDecoder, AbortController, Uint8Array, ArrayBuffer }

/** Bundles a program as a web page's would be, and runs it. @returns what it exports as `result` */
async function inBrowser(folder: string, program: string, given: Readonly<Record<string, unknown>> = {}) {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(packageRoot, join(folder, 'node_modules/ddi'))
  writeFileSync(join(folder, 'page.js'), program)
  const { outputFiles, metafile } = await build({
    absWorkingDir: folder,
    entryPoints: ['page.js'],
    platform: 'browser',
    format: 'iife',
    globalName: 'page',
    bundle: true,
    write: false,
    metafile: true,
    preserveSymlinks: true,
  })
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports.map(({ path }) => path))
  assert.deepEqual(
    imports.filter((path) => path.startsWith('node:') || path.includes('bindings/')),
    [],
  )
  return (await runInContext(`${outputFiles[0]!.text}; page.result`, createContext({ ...web, ...given }))) as unknown
}

test('a page reads a GPT, and an Android super partition', async () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  makeGptImage(disk, 8 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  const [superPath, sparse] = [join(folder.path, 'super.img'), join(folder.path, 'super.simg')]
  const definition = {
    geometry: { metadataSize: 65536, slotCount: 2, blockSize: 4096 },
    devices: [{ name: 'super', size: 8 * MiB }],
    partitions: [{ name: 'system_a', size: MiB, group: 'default' }],
  } as const
  await makeSuper(superPath, definition)
  run('img2simg', superPath, sparse)
  const program = `
    import { blobSource, partitionTypeName, readGpt } from 'ddi/gpt'
    import { expand, readSuper } from 'ddi/android'
    const read = async () => {
      const { table } = await readGpt(blobSource(disk))
      const names = table.partitions.map(({ label, typeUuid }) => [label, partitionTypeName(typeUuid)])
      const { metadata } = await readSuper((await expand(blobSource(image))).source)
      return JSON.stringify({ names, logical: metadata.partitions.map(({ name }) => name) })
    }
    export const result = read()`
  const given = { disk: new Blob([readFileSync(disk)]), image: new Blob([readFileSync(sparse)]) }
  assert.deepEqual(JSON.parse((await inBrowser(folder.path, program, given)) as string), {
    names: [['home', 'home']],
    logical: ['system_a'],
  })
})

test('a page makes a hash tree that veritysetup verifies, and verifies one that is damaged', async () => {
  using folder = temporaryFolder()
  const program = `
    import { layoutTree, memorySource, newSuperblock, readSuperblock, verifyTree, writeTree } from 'ddi/verity'
    const make = async () => {
      const superblock = newSuperblock(data.length)
      const tree = new Uint8Array(layoutTree(superblock).end)
      const source = memorySource(tree)
      const write = async (offset, bytes) => tree.set(bytes, offset)
      const rootHash = await writeTree(superblock, memorySource(data), { ...source, read: source.read.bind(source), size: tree.length, write, flush: async () => {} })
      data[5000] ^= 1
      const bad = []
      await verifyTree(await readSuperblock(memorySource(tree)), memorySource(data), memorySource(tree), { onBadBlocks: (one) => bad.push(one) })
      data[5000] ^= 1
      return { tree, rootHash: Array.from(rootHash, (byte) => byte.toString(16).padStart(2, '0')).join(''), bad: JSON.stringify(bad) }
    }
    export const result = make()`
  const data = Uint8Array.from({ length: 300 * 4096 }, (_, at) => (at * 7 + (at >> 8)) & 0xff)
  const made = (await inBrowser(folder.path, program, { data })) as { tree: Uint8Array; rootHash: string; bad: string }
  assert.deepEqual(JSON.parse(made.bad), [{ level: 'data', first: 1, count: 1 }])
  writeFileSync(join(folder.path, 'data'), data)
  writeFileSync(join(folder.path, 'tree'), made.tree)
  run('veritysetup', 'verify', join(folder.path, 'data'), join(folder.path, 'tree'), made.rootHash)
})

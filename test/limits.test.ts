// A process that can open no more files, or has no more memory: errors of their own, and nothing stays open.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { closeSync, copyFileSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dlopen } from 'node:process'
import { test } from 'node:test'
import { addon } from '../bindings/addon.js'
import { refuseExhausted } from '../bindings/exhausted.js'
import { packageRoot } from '../bindings/package-root.js'
import * as ddi from '../lib/index.js'
import { digestBlocks } from '../lib/verity/blocks.js'
import { defineImage, emptyFile, MiB, makeGptImage, typeUuids } from './support/images.js'
import { attempt, run, temporaryFolder } from './support/run.js'

const [, own = '', mode, folder = ''] = process.argv
if (mode === 'files') await withFewFiles()
else if (mode === 'memory') await withLittleMemory()
else {
  test('with no more files to open, each call succeeds or says so, and leaves none open', { timeout: 300_000 }, () => {
    using here = temporaryFolder()
    const { stdout, stderr } = attempt(
      'sh',
      '-c',
      'ulimit -n 256; exec "$@"',
      'sh',
      process.execPath,
      own,
      'files',
      here.path,
    )
    assert.equal(stdout, 'done\n', stderr)
  })

  test('with no more memory, native code ends in an error and not in an abort', () => {
    const { status, stdout, stderr } = attempt(process.execPath, own, 'memory')
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'ERR_DDI_LIMIT ERR_DDI_LIMIT\n' }, stderr)
  })
}

async function withFewFiles(): Promise<void> {
  const at = (name: string) => join(folder, name)
  mkdirSync(at('tree'))
  writeFileSync(at('tree/file'), 'x')
  const definitions = defineImage(folder, { '1': ['Type=root', 'Format=squashfs', 'CopyFiles=/'] })
  makeGptImage(at('disk.raw'), 16 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'data' }])
  emptyFile(at('data'), MiB)
  await ddi.buildImage(definitions, at('image.raw'), { root: at('tree') })
  const image = readFileSync(at('image.raw'))
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    async dissect() {
      await using opened = await ddi.openImage(at('disk.raw'))
      await ddi.dissect(opened)
    },
    async create() {
      await using disk = await ddi.openDisk(at('disk.raw'))
      const head = { typeUuid: typeUuids.linuxGeneric, uuid: randomUUID(), label: 'new', attributes: 0n }
      await disk.remove(await disk.create(head, MiB))
    },
    buildImage: () => ddi.buildImage(definitions, at('out'), { root: at('tree') }),
    formatFile: () => ddi.formatFile(at('data'), at('out')),
    pull: () => ddi.pull(`file://${at('data')}`, { kind: 'raw', path: at('out') }, { verify: 'no' }),
    async withTree() {
      await using opened = await ddi.imageOn(ddi.memorySource(image), { name: 'image' })
      await ddi.withTree(opened, {}, (tree) => ddi.copyFrom(tree, 'file', at('out')))
    },
    list: () => ddi.list(),
  }
  for (const [name, call] of Object.entries(calls)) {
    const again = async () => {
      rmSync(at('out'), { recursive: true, force: true })
      await call()
    }
    // What is opened once and stays open, is.
    await again()
    let before = openFiles()
    for (let free = 0, succeeded = false; !succeeded; free++) {
      const taken = takeAll()
      for (const fd of taken.splice(0, free)) closeSync(fd)
      const error = await call().then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      for (const fd of taken) closeSync(fd)
      rmSync(at('out'), { recursive: true, force: true })
      succeeded = error === undefined
      assert.ok(succeeded || error instanceof ddi.DdiError, `${name}, ${free} left: ${(error as Error)?.stack}`)
      // Node.js 20 itself loses the three pipes of a program that it could not start for want of a file.
      if (error instanceof ddi.DdiError && error.syscall?.startsWith('spawn ')) before = openFiles()
      assert.equal(openFiles(), before, `${name}, ${free} left`)
    }
  }
  copyFileSync(join(packageRoot, 'build/Release/ddi.node'), at('addon.node'))
  const taken = takeAll()
  const unloadable = attemptToLoad(at('addon.node'))
  for (const fd of taken) closeSync(fd)
  assert.throws(() => refuseExhausted(unloadable, 'it'), { code: 'ERR_DDI_LIMIT' })
  console.log('done')
}

function attemptToLoad(library: string): unknown {
  try {
    return dlopen({ exports: {} }, library)
  } catch (error) {
    return error
  }
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

function takeAll(): number[] {
  const taken: number[] = []
  for (;;)
    try {
      taken.push(openSync('/dev/null', 'r'))
    } catch {
      return taken
    }
}

async function withLittleMemory(): Promise<void> {
  const hash = { algorithm: 'sha512', salt: new Uint8Array(32) } as const
  // The digests of so much do not fit into what is left, in which Node.js itself and each thread’s allocator have enough.
  const size = 8192 * MiB
  const blocks = (source: ddi.Source) =>
    digestBlocks({ source, blockSize: 512, offset: 0 }, { first: 0, count: source.size / 512 }, hash)
  const located = ddi.extentSource(ddi.memorySource(new Uint8Array()), [{ kind: 'zero', length: size }])
  const elsewhere: ddi.Source = { size: 1024 * MiB, read: async (_, length) => new Uint8Array(length) }
  addon()
  const inUse = Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024
  run('prlimit', `--pid=${process.pid}`, `--as=${inUse + 512 * MiB}`)
  const codes: unknown[] = []
  for (const source of [located, elsewhere])
    await blocks(source).catch((error: unknown) => codes.push(error instanceof ddi.DdiError ? error.code : error))
  console.log(...codes)
}

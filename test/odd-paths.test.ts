// Whatever a path leads to, and whichever call gets it: nothing waits, and what is thrown is a DdiError.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import * as ddi from '../lib/index.js'
import { emptyFile, MiB } from './support/images.js'
import { run, temporaryFolder } from './support/run.js'

/** Something at the end of a path that is no file to read or write, by name. */
async function oddPaths(folder: string): Promise<Readonly<Record<string, string>> & AsyncDisposable> {
  const at = (name: string) => join(folder, name)
  for (const name of ['directory', 'definitions']) mkdirSync(at(name))
  writeFileSync(at('definitions/1.conf'), '[Partition]\nType=root\nFormat=squashfs\nCopyFiles=/directory:/\n')
  writeFileSync(at('empty'), '')
  writeFileSync(at('text'), 'text\n'.repeat(1000))
  run('mkfifo', at('fifo'))
  symlinkSync('loop', at('loop'))
  symlinkSync('/nonexistent/x', at('dangling'))
  const server = createServer()
  await new Promise<void>((done) => server.listen(at('socket'), done))
  const names = ['none', 'none/none', 'text/x', 'directory', 'empty', 'text', 'fifo', 'socket', 'loop', 'dangling']
  const devices = ['/dev/null', '/dev/zero', '/dev/full', '/proc/self/mem', '/proc/none', '/proc/self/status']
  const odd = ['', '.', 'a\0b', `/${'x'.repeat(5000)}`, at('x'.repeat(300))]
  return Object.assign(Object.fromEntries([...names.map(at), ...devices, ...odd].map((path) => [path, path])), {
    [Symbol.asyncDispose]: () => new Promise<void>((done) => server.close(() => done())),
  })
}

async function closing(opened: Promise<AsyncDisposable>): Promise<void> {
  await using _ = await opened
}

/** The public calls that take a path, each with one of its paths replaced. */
function calls(folder: string): Readonly<Record<string, (path: string) => Promise<unknown>>> {
  const at = (name: string) => join(folder, name)
  const geometry = { metadataSize: 65536, slotCount: 2, blockSize: 4096 }
  const inTree = async (use: (tree: ddi.Tree) => Promise<unknown>) => {
    await using root = await ddi.openRoot(folder)
    const none = async function* () {}
    return await use({
      source: { kind: 'mount' },
      root,
      entries: none,
      attribute: () => Promise.resolve(undefined),
      unread: [],
    })
  }
  const entry = { kind: 'file', mode: 0o644, uid: 0, gid: 0, size: 5000, modified: 0, target: null } as const
  const raw = (path: string) => ({ kind: 'raw', path }) as const
  return {
    openFile: (path) => closing(ddi.openFile(path)),
    openImage: (path) => closing(ddi.openImage(path)),
    openDisk: (path) => closing(ddi.openDisk(path)),
    openSuper: (path) => closing(ddi.openSuper(path)),
    initDisk: (path) => ddi.initDisk(path),
    installDisk: (path) => ddi.installDisk(path, { uki: at('text') }),
    'installDisk, UKI': (path) => ddi.installDisk(at('disk.raw'), { uki: path }),
    attach: (path) => ddi.attach(path),
    detach: (path) => ddi.detach(path),
    'buildImage, definitions': (path) => ddi.buildImage(path, at('out')),
    'buildImage, output': (path) => ddi.buildImage(at('definitions'), path),
    'formatFile, data': (path) => ddi.formatFile(path, at('out')),
    'formatFile, hash': (path) => ddi.formatFile(at('text'), path),
    'formatFile, both': (path) => ddi.formatFile(path, path),
    makeSuper: (path) => ddi.makeSuper(path, { geometry, devices: [{ name: 'super', size: 8 * MiB }] }),
    trustedCertificates: (path) => ddi.trustedCertificates([path], []),
    'trustedCertificates, directory': (path) => ddi.trustedCertificates([], [path]),
    withTree: (path) => ddi.withTree(path, {}, () => Promise.resolve()),
    mountImage: (path) => ddi.mountImage(path, at('directory')),
    'mountImage, place': (path) => ddi.mountImage(at('disk.raw'), path),
    unmountImage: (path) => ddi.unmountImage(path),
    openRoot: (path) => closing(ddi.openRoot(path)),
    'open of a root': (path) => inTree(({ root }) => closing(root.open(path))),
    'open of a root, to read': (path) => inTree(({ root }) => closing(root.open(path, 0))),
    'open of a closed root': async (path) => {
      const root = await ddi.openRoot(folder)
      await root.close()
      await root.open(path)
    },
    'pull, output': (path) => ddi.pull(`file://${at('text')}`, raw(path), { verify: 'no' }),
    'pull, URL': (path) => ddi.pull(`file://${path}`, raw(at('out')), { verify: 'no' }),
    'pull, tree': (path) => ddi.pull(`file://${at('text')}`, { kind: 'tar', path }, { verify: 'no' }),
    addPartitionNodes: (path) => ddi.addPartitionNodes(path),
    removePartitionNodes: (path) => ddi.removePartitionNodes(path, [1]),
    besideOrigin: async (path) => ddi.besideOrigin(path, path),
    findBootOrigin: (path) => ddi.findBootOrigin({ root: path }),
    'copyFrom, output': (path) => inTree((tree) => ddi.copyFrom(tree, 'text', path)),
    copyFrom: (path) => inTree((tree) => ddi.copyFrom(tree, path || 'none', at('out'))),
    copyTo: (path) => inTree((tree) => ddi.copyTo(tree, path === '.' ? 'none' : path, 'directory/in')),
    'copyTo, place': (path) => inTree((tree) => ddi.copyTo(tree, at('text'), join('directory', path))),
    digestFile: (path) => inTree((tree) => ddi.digestFile(tree, { ...entry, path })),
    sign: async (path) => {
      const certificate = {} as Parameters<typeof ddi.sign>[1]['certificate']
      await ddi.sign(new Uint8Array(32), { kind: 'command', command: `exit 1 ${path}`, certificate })
    },
  }
}

test('whatever a path leads to, nothing waits, and what is thrown is a DdiError', { timeout: 300_000 }, async () => {
  const here = process.cwd()
  for (const name of Object.keys(calls(''))) {
    using folder = temporaryFolder()
    await using paths = await oddPaths(folder.path)
    emptyFile(join(folder.path, 'disk.raw'), 8 * MiB)
    // The current directory is the odd path `.`.
    process.chdir(join(folder.path, 'directory'))
    for (const path of Object.values(paths)) {
      rmSync(join(folder.path, 'out'), { recursive: true, force: true })
      try {
        await calls(folder.path)[name]!(path)
      } catch (error) {
        assert.ok(error instanceof ddi.DdiError, `${name} ${JSON.stringify(path)}: ${(error as Error).stack}`)
      }
    }
    process.chdir(here)
  }
})

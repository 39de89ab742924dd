// Copies into and out of a tree: whose they are, by stat(1), and that none lies elsewhere.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { copyFrom, copyTo, type Progress, withTree } from '../../lib/index.js'
import { cli, run, temporaryFolder } from '../support/run.js'

const skip = process.getuid?.() === 0 ? false : 'needs root'

test('user, group and set-ID bits are kept of directories, or as it is asked, in both directions', {
  skip,
}, async () => {
  using folder = temporaryFolder()
  const at = (...names: readonly string[]) => join(folder.path, ...names)
  for (const name of ['tree', 'given/sub']) mkdirSync(at(name), { recursive: true })
  for (const name of ['given/file', 'tree/file']) writeFileSync(at(name), 'contents')
  symlinkSync(at('tree/file'), at('given/link'))
  run('chown', '--recursive', '--no-dereference', '1234:5678', at('given'), at('tree/file'))
  for (const name of ['given/file', 'tree/file']) chmodSync(at(name), 0o6755)
  chmodSync(at('given/sub'), 0o2750)
  const facts = (path: string) => run('stat', '--format=%u:%g %a', path).trim()
  const theirs = { file: '1234:5678 6755', sub: '1234:5678 2750', link: '1234:5678 777' }
  const ours = { file: '0:0 755', sub: '0:0 750', link: '0:0 777' }
  for (const [options, ofFile, ofDirectory] of [
    [{}, ours, theirs],
    [{ ownership: true }, theirs, theirs],
    [{ ownership: false }, ours, ours],
  ] as const) {
    await withTree(at('tree'), { writable: true }, async (tree) => {
      await copyTo(tree, at('given/file'), '/copied', options)
      await copyTo(tree, at('given'), 'directory', options)
      await copyFrom(tree, 'file', at('out'), options)
      await copyFrom(tree, 'directory', at('back'), { ownership: true })
    })
    for (const path of [at('out'), at('tree/copied')]) assert.equal(facts(path), ofFile.file, path)
    for (const directory of [at('tree/directory'), at('back')])
      for (const name of ['file', 'sub', 'link'] as const)
        assert.equal(facts(join(directory, name)), ofDirectory[name], `${directory} ${name}`)
    // What a link leads to is not changed with it.
    assert.equal(facts(at('tree/file')), theirs.file)
    run('rm', '--recursive', at('out'), at('back'), at('tree/directory'), at('tree/copied'))
  }
  const copied = cli('copy-to', at('tree'), at('given/file'), 'copied', '--copy-ownership=yes')
  assert.equal(copied.status, 0, copied.stderr)
  assert.equal(facts(at('tree/copied')), theirs.file)
  assert.equal(cli('copy-from', at('tree'), 'copied', at('out'), '--copy-ownership=auto').status, 0)
  assert.equal(facts(at('out')), ours.file)
})

test('a directory is written where an image is, and no link of it leads out', async () => {
  using folder = temporaryFolder()
  const at = (...names: readonly string[]) => join(folder.path, ...names)
  for (const name of ['tree/etc', 'outside']) mkdirSync(at(name), { recursive: true })
  writeFileSync(at('text'), 'abc\n')
  symlinkSync('../outside', at('tree/up'))
  symlinkSync('/etc', at('tree/within'))
  assert.equal(cli('copy-to', at('tree'), at('text'), '/abc').status, 0)
  await withTree(at('tree'), { writable: true }, async (tree) => {
    await copyTo(tree, at('text'), 'within/abc')
    for (const [target, code] of [
      ['up/abc', 'ERR_DDI_NOT_FOUND'],
      ['../outside/abc', 'ERR_DDI_NOT_FOUND'],
      ['none/abc', 'ERR_DDI_NOT_FOUND'],
      ['up', 'ERR_DDI_EXISTS'],
      ['/', 'ERR_DDI_EXISTS'],
    ] as const)
      await assert.rejects(copyTo(tree, at('text'), target), { code }, target)
  })
  for (const name of ['abc', 'etc/abc']) assert.equal(readFileSync(at('tree', name), 'utf8'), 'abc\n')
  assert.deepEqual(readdirSync(at('outside')), [])
  assert.deepEqual(readdirSync(at('tree')).sort(), ['abc', 'etc', 'up', 'within'])
})

test('a copy tells how far it is, and no more than there is', { skip }, async () => {
  using folder = temporaryFolder()
  const at = (...names: readonly string[]) => join(folder.path, ...names)
  for (const name of ['tree', 'given']) mkdirSync(at(name))
  for (const name of ['one', 'two']) writeFileSync(at('given', name), new Uint8Array(8 * 1024 * 1024).fill(1))
  const reports: Progress[] = []
  await withTree(at('tree'), { writable: true }, async (tree) => {
    await copyTo(tree, at('given'), 'copied', { onProgress: (progress) => reports.push(progress) })
  })
  const total = 2 * 8 * 1024 * 1024
  for (const report of reports) assert.deepEqual(report, { ...report, total, part: 'copied' })
  assert.deepEqual(reports.at(-1), { done: total, total, part: 'copied' })
})

test('a file system that nothing can be written to says so by itself', { skip }, async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const name of ['tree', 'mounted']) mkdirSync(at(name))
  writeFileSync(at('tree/file'), 'contents')
  run('mksquashfs', at('tree'), at('image'), '-quiet')
  run('mount', '--options=loop,ro', at('image'), at('mounted'))
  try {
    const { status, stderr } = cli('copy-to', at('mounted'), at('tree/file'), 'file')
    assert.match(stderr, /^ddi-attach: cannot write to the file system of the image: it is read-only/)
    assert.equal(status, 4)
  } finally {
    run('umount', at('mounted'))
  }
})

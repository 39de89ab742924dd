import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeDirectories, writeNewFile } from '../../lib/bytes/new-file.js'
import { run, temporaryFolder } from '../support/run.js'

test('directories are made with those above them, or there is an error, at once', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const path of ['a', 'a/b/c', 'a/b/c', 'a/x/../y/z/']) {
    await makeDirectories(at(path))
    assert.ok(statSync(at(path)).isDirectory(), path)
  }
  await makeDirectories('/')
  await makeDirectories('.')
  writeFileSync(at('file'), '')
  symlinkSync('/nonexistent/x', at('dangling'))
  symlinkSync('loop', at('loop'))
  symlinkSync('a', at('link'))
  await makeDirectories(at('link/new'))
  assert.ok(statSync(at('a/new')).isDirectory())
  for (const path of [
    at('file'),
    at('file/x'),
    at('dangling'),
    at('dangling/x/y'),
    at('loop/x'),
    '/proc/x',
    '/proc/x/y/z',
  ])
    await assert.rejects(makeDirectories(path), { code: 'ERR_DDI_NOT_FOUND' }, path)
})

test('a new file takes the place of nothing that is no file', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('directory'))
  run('mkfifo', at('fifo'))
  run('mknod', at('block'), 'b', '7', '99')
  run('mknod', at('character'), 'c', '1', '3')
  symlinkSync('block', at('link'))
  writeFileSync(at('file'), '')
  const before = readdirSync(folder.path)
  const make = (path: string) => writeNewFile(path, 10, async () => {}, { replace: true })
  for (const [name, message] of [
    ['directory', /a directory/],
    ['fifo', /a FIFO/],
    ['block', /a block device/],
    ['character', /a character device/],
    ['link', /a block device/],
  ] as const)
    await assert.rejects(make(at(name)), { code: 'ERR_DDI_EXISTS', message })
  await assert.rejects(make('/dev/ddi-test-none'), { code: 'ERR_DDI_EXISTS', message: /in \/dev/ })
  assert.ok(!existsSync('/dev/ddi-test-none'))
  await make(at('file'))
  assert.deepEqual(readdirSync(folder.path), before)
})

import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, renameSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { openLocal } from '../../lib/pull/local.js'
import { temporaryFolder } from '../support/run.js'
import { collect } from './fake-server.js'

const signal = new AbortController().signal

test('a local file is resumed as long as it is the same', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image #1.raw')
  const url = pathToFileURL(path)
  writeFileSync(path, '0123456789')
  const whole = await openLocal(url, { from: 0, size: null, validator: null }, signal)
  assert.deepEqual([whole.start, whole.size], [0, 10])
  assert.equal(String(await collect(whole.bytes)), '0123456789')
  const rest = await openLocal(url, { from: 7, size: null, validator: whole.validator }, signal)
  assert.equal(rest.start, 7)
  assert.equal(String(await collect(rest.bytes)), '789')
  assert.equal((await openLocal(url, { from: 7, size: null, validator: 'another' }, signal)).start, 0)
  appendFileSync(path, 'x')
  assert.equal((await openLocal(url, { from: 7, size: null, validator: whole.validator }, signal)).start, 0)
})

test('what is not a regular file, or not local, is an error with its code', async () => {
  using folder = temporaryFolder()
  mkdirSync(join(folder.path, 'directory'))
  for (const [name, code] of [
    ['none', 'ERR_DDI_PULL_NOT_FOUND'],
    ['directory', 'ERR_DDI_PULL_NOT_FOUND'],
  ] as const)
    await assert.rejects(
      openLocal(pathToFileURL(join(folder.path, name)), { from: 0, size: null, validator: null }, signal),
      { code },
      name,
    )
  for (const url of ['file://elsewhere/x', 'file:///a%2fb', 'file:///a%00b', 'file:///%ff%zz'])
    await assert.rejects(
      openLocal(new URL(url), { from: 0, size: null, validator: null }, signal),
      { code: 'ERR_DDI_USAGE' },
      url,
    )
})

test('a local file that changes before it is read, or while it is, is an error', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  const changes: Record<string, () => void> = {
    'is cut': () => truncateSync(path, 4 * 1024 * 1024),
    grows: () => appendFileSync(path, 'x'),
    'is written': () => utimesSync(path, 1, 1),
  }
  const replace = () => {
    writeFileSync(`${path}.new`, Buffer.alloc(9 * 1024 * 1024))
    renameSync(`${path}.new`, path)
  }
  for (const [name, change] of Object.entries({ ...changes, 'is replaced': replace })) {
    writeFileSync(path, Buffer.alloc(9 * 1024 * 1024))
    const begin = () => openLocal(pathToFileURL(path), { from: 0, size: null, validator: null }, signal)
    const early = await begin()
    change()
    await assert.rejects(collect(early.bytes), { code: 'ERR_DDI_PULL_CHANGED' }, name)
    if (change === replace) continue
    writeFileSync(path, Buffer.alloc(9 * 1024 * 1024))
    const { bytes } = await begin()
    const iterator = bytes[Symbol.asyncIterator]()
    await iterator.next()
    change()
    await assert.rejects(collect({ [Symbol.asyncIterator]: () => iterator }), { code: 'ERR_DDI_PULL_CHANGED' }, name)
  }
})

test('an aborted read is an error with its code', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'image.raw')
  writeFileSync(path, 'image')
  const { bytes } = await openLocal(pathToFileURL(path), { from: 0, size: null, validator: null }, AbortSignal.abort())
  await assert.rejects(collect(bytes), { code: 'ERR_DDI_ABORTED' })
})

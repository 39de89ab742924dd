import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { findChecksum } from '../../lib/pull/checksum-list.js'
import { temporaryFolder } from '../support/run.js'

const hash = createHash('sha256').update('image').digest('hex')
const other = createHash('sha256').update('other').digest('hex')

test('rows that sha256sum takes are taken, and no others of its kind', () => {
  using folder = temporaryFolder()
  const names = ['os.raw', 'a\\b\nc\rd', ' os.raw', 'os (1) = x.raw']
  for (const name of names) writeFileSync(join(folder.path, name), 'image')
  const by = (args: readonly string[], name: string) =>
    spawnSync('sha256sum', [...args, '--', name], { cwd: folder.path, encoding: 'utf8' }).stdout
  const written = names.flatMap((name) => [
    [name, by([], name)],
    [name, by(['--binary'], name)],
    [name, by(['--tag'], name)],
  ]) as [string, string][]
  const rows: readonly (readonly [name: string, text: string])[] = [
    ...written,
    ['os.raw', `  ${hash}  os.raw\n`],
    ['os.raw', `\t${hash}  os.raw\r\n`],
    ['os.raw', `${hash.toUpperCase()} *os.raw`],
    ['os.raw', `${hash} os.raw\n`],
    ['os.raw', `SHA256(os.raw)= ${hash}\n`],
    ['os.raw', `SHA256 (os.raw)  =${hash}\n`],
    ['os.raw', `# ${hash}  os.raw\n`],
    ['os.raw', `\\${hash}  os.raw\n`],
    ['os.raw', `\\${hash}  os.r\\aw\n`],
    ['os.raw', `${hash}os.raw\n`],
    ['os.raw', `${hash.slice(1)}  os.raw\n`],
    ['os.raw', `SHA512 (os.raw) = ${hash}\n`],
  ]
  for (const [name, text] of rows) {
    const list = join(folder.path, 'list')
    writeFileSync(list, text)
    const { status } = spawnSync('sha256sum', ['--check', '--strict', list], { cwd: folder.path })
    assert.equal(findChecksum(text, name) === hash, status === 0, JSON.stringify(text))
  }
})

test('what sha256sum does not take, and people publish', () => {
  // OpenSSL 3, an editor for another system, a signature around.
  for (const text of [
    `SHA2-256(os.raw)= ${hash}\n`,
    `\ufeff${hash}  os.raw\n`,
    `Hash: SHA256\n\n${hash}  os.raw\n----`,
  ])
    assert.equal(findChecksum(text, 'os.raw'), hash, text)
})

test('a name with directories counts if there is no doubt', () => {
  assert.equal(findChecksum(`${hash}  a/os.raw\n${hash}  b/os.raw\n`, 'os.raw'), hash)
  assert.equal(findChecksum(`${other}  a/os.raw\n${hash}  b/os.raw\n`, 'os.raw'), undefined)
  assert.equal(findChecksum(`${other}  old/os.raw\n${hash}  ./os.raw\n`, 'os.raw'), hash)
  assert.equal(findChecksum(`${other}  os.raw\n${hash}  os.raw\n`, 'os.raw'), undefined)
  assert.equal(findChecksum(randomBytes(1000).toString('latin1'), 'os.raw'), undefined)
})

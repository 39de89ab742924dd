import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from './support/run.js'

const read = (path: string) => readFileSync(join(packageRoot, path), 'utf8')

test('each test that SECURITY.md names exists', () => {
  const rows = read('SECURITY.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
  const named = rows.flatMap((row) => {
    const [, path, name] = /\| \[(test\/[^\]]+\.test\.ts)\]\(\1\): (.*) \|$/.exec(row) ?? []
    return path === undefined || name === undefined ? [] : [{ path, name }]
  })
  // All rows but that of the fuzzer.
  assert.equal(named.length, rows.length - 1)
  for (const { path, name } of named) {
    const tests = Array.from(read(path).matchAll(/\btest\((['`])(.*?)\1,/g), ([, , found]) => found)
    assert.ok(tests.includes(name), `${path} has no test "${name}"`)
  }
})

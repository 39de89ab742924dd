// test/build/compatibility.test.ts does the same for definitions, and more.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from './support/run.js'

const page = readFileSync(join(packageRoot, 'docs/compatibility.md'), 'utf8')

test('docs/compatibility.md says of pulls and Android which tests hold it', () => {
  for (const [title, folder] of [
    ['Pull', 'pull'],
    ['Android', 'android'],
  ] as const) {
    const section = page.split(/^## /m).find((one) => one.startsWith(title))!
    const rows = section.split('\n').filter((line) => /^\| (?!\|)/.test(line) && !/\| test \|$/.test(line))
    assert.ok(rows.length > 20, title)
    for (const row of rows) {
      const cell = row.split('|').at(-2)!
      for (const [, name] of cell.matchAll(/`([^`]+)`/g)) {
        const file = name!.includes('/') ? name! : `test/${folder}/${name}`
        assert.ok(existsSync(join(packageRoot, `${file}.test.ts`)), `${file} is no test`)
      }
      // What has no test says why it is not there.
      if (!cell.includes('`')) assert.match(row, /\| (not|what|4096)/, row)
    }
  }
})

test('docs/compatibility.md names the tests of what systemd’s TEST-50-DISSECT asserts by their titles', () => {
  const [, table] = /^TEST-50-DISSECT .*\n\n([\s\S]*?)\n\n/m.exec(page)!
  const rows = table!.split('\n').slice(2)
  assert.ok(rows.length > 15)
  for (const row of rows) {
    const [, file, title] = /\| `([^`]+)`: (.*) \|$/.exec(row) ?? []
    if (file === undefined) assert.match(row, /\| not: .* \| \|$/)
    else assert.ok(readFileSync(join(packageRoot, `${file}.test.ts`), 'utf8').includes(`'${title!}'`), row)
  }
})

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

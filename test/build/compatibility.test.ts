import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { options, refused } from '../../lib/build/definition-options.js'
import { packageRoot, run } from '../support/run.js'

const page = readFileSync(join(packageRoot, 'docs/compatibility.md'), 'utf8')
const definitions = /^## Definitions\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(page)![1]!

test('docs/compatibility.md names every option of repart.d(5) and systemd-repart(8), and tests that exist', () => {
  const manual = (name: string) => run('sh', '-c', `MANWIDTH=200 man ${name} | col -bx`)
  const named = [
    ...[...manual('repart.d').matchAll(/^ {7}([A-Z][A-Za-z0-9]+=)(?=$|,)/gm)].map(([, name]) => name!),
    ...[...manual('systemd-repart').matchAll(/^ {7}(?:-\w, )?(--[a-z0-9-]+=?)/gm)].map(([, name]) => name!),
    ...[...Object.keys(options), ...Object.keys(refused)].map((name) => `${name}=`),
  ]
  const known = ['--help', '--version', 'Dynamic=', 'MaxSegmentBytes=']
  assert.ok(named.length > 60)
  for (const name of named) assert.ok(known.includes(name) || definitions.includes(`\`${name}`), `${name} is missing`)
  for (const row of definitions.split('\n').filter((line) => line.startsWith('| `'))) {
    const cell = row.split('|').at(-2)!
    for (const [, name] of cell.matchAll(/`([^`]+)`/g)) {
      const file = name!.includes('/') ? name! : `test/build/${name}`
      assert.ok(existsSync(join(packageRoot, `${file}.test.ts`)), `${file} is no test`)
    }
    if (/\bdone\b/.test(row)) assert.match(cell, /`/, row)
  }
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { readIndex } from '../../lib/cli/verb-index.js'
import { packageRoot, run } from '../support/run.js'

const { verbs, groups } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>
const readPage = (path: string) => readFileSync(join(packageRoot, path), 'utf8')

test('docs/cli.md is what the verbs say: else run npm run docs', () => {
  assert.equal(readPage('docs/cli.md'), run(process.execPath, join(packageRoot, 'scripts/reference.mjs'), '--stdout'))
})

/** `ddi-attach a\|b`, and behind a comma `c`: the verbs that a cell of README's table names. */
function verbsIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].flatMap(([, code]) => {
    const [first, second] = code!
      .replace(/^ddi-attach /, '')
      .replace('[attach]', 'attach')
      .split(' ') as [string, string?]
    const alternatives = (words: string) => words.split('\\|')
    return Object.hasOwn(groups, first) ? alternatives(second!).map((name) => `${first} ${name}`) : alternatives(first)
  })
}

test('README’s table has every verb, and none that does not exist', () => {
  const table = /## Command line\n\n\| \| \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(readPage('README.md'))![1]!
  const named = table.split('\n').flatMap((row) => verbsIn(row.replace(/ \|[^|]*\|$/, '')))
  assert.deepEqual([...new Set(named)].sort(), verbs.map(({ name }) => name).sort())
})

test('every verb is in the manual with all its options', () => {
  const page = readPage('dist/ddi-attach.8').replaceAll('\\-', '-')
  for (const { name, summary, options } of verbs) {
    const start = page.indexOf(`\n.B ${name}`)
    assert.ok(start > 0, name)
    const text = page.slice(start, page.indexOf('\n.TP\n.B', start + 1))
    assert.ok(text.includes(summary), name)
    for (const { flags } of options) assert.ok(page.slice(start).includes(`.B ${flags}`), `${name} ${flags}`)
  }
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { readIndex } from '../../lib/cli/verb-index.js'
import { documents, readPage } from '../support/doc-blocks.js'
import { packageRoot, run } from '../support/run.js'

const { verbs, groups } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as ReturnType<
  typeof readIndex
>
const textOf = (path: string) => readFileSync(join(packageRoot, path), 'utf8')

test('docs/cli.md is what the verbs say: else run npm run docs', () => {
  assert.equal(textOf('docs/cli.md'), run(process.execPath, join(packageRoot, 'scripts/reference.mjs'), '--stdout'))
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
  const table = /## Command line\n\n\| \| \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(textOf('README.md'))![1]!
  const named = table.split('\n').flatMap((row) => verbsIn(row.replace(/ \|[^|]*\|$/, '')))
  assert.deepEqual([...new Set(named)].sort(), verbs.map(({ name }) => name).sort())
})

test('every verb is in the manual with all its options', () => {
  const page = textOf('dist/ddi-attach.8').replaceAll('\\-', '-')
  for (const { name, summary, options } of verbs) {
    const start = page.indexOf(`\n.B ${name}`)
    assert.ok(start > 0, name)
    const text = page.slice(start, page.indexOf('\n.TP\n.B', start + 1))
    assert.ok(text.includes(summary), name)
    for (const { flags } of options) assert.ok(page.slice(start).includes(`.B ${flags}`), `${name} ${flags}`)
  }
})

/** The words behind each `ddi-attach` of a line of shell, without redirections. */
function callsIn(line: string): string[][] {
  const words = [...line.matchAll(/"[^"]*"|'[^']*'|\|\|?|&&|<\(|[^\s()|]+|\)/g)].map(([word]) => word)
  return words.flatMap((word, at) => {
    if (word !== 'ddi-attach') return []
    const rest = words.slice(at + 1)
    const end = rest.findIndex((one) => ['|', '||', '&&', ')'].includes(one) || /^[<>]/.test(one))
    return [end < 0 ? rest : rest.slice(0, end)]
  })
}

/** Blocks of documents that are not run, without comments and with the lines that a backslash joins. */
function blocksNotRun(): string[] {
  const text = documents()
    .flatMap((path) => readPage(path).notRun)
    .join('\n')
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/ +# .*/, ''))
}

test('examples, and blocks of documents that are not run, have the options and the number of arguments of their verbs', () => {
  const examples = verbs.flatMap(({ examples }) => examples)
  for (const call of [...examples, ...blocksNotRun()].flatMap(callsIn)) {
    const text = call.join(' ')
    const verb =
      verbs.find(({ name }) => `${text} `.startsWith(`${name} `)) ?? verbs.find(({ name }) => name === 'attach')!
    const words = `${text} `.startsWith(`${verb.name} `) ? call.slice(verb.name.split(' ').length) : call
    let positional = 0
    for (let at = 0; at < words.length && !(verb.passThroughOptions && positional > 0); at++) {
      const [flag, value] = words[at]!.split('=') as [string, string?]
      if (!/^-./.test(flag)) {
        positional++
        continue
      }
      const option = verb.options.find(({ flags }) => flags.split(/[ ,]+/).includes(flag))
      assert.ok(option, `${text}: ${verb.name} has no ${flag}`)
      if (option.flags.includes('<') && value === undefined) at++
    }
    const required = verb.arguments.filter(({ spec }) => spec.startsWith('<')).length
    const most = verb.arguments.some(({ spec }) => spec.includes('...'))
      ? Number.POSITIVE_INFINITY
      : verb.arguments.length
    assert.ok(
      verb.passThroughOptions || (positional >= required && positional <= most),
      `${text}: ${positional} arguments`,
    )
  }
})

// test/build/compatibility.test.ts does the same for definitions, and more.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { peers } from './support/peer-options.js'
import { attempt, packageRoot } from './support/run.js'

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

/** The rows of the table whose heading begins with some words. */
function rowsOf(text: string, heading: string): readonly string[] {
  const table = text.split('\n\n').find((block) => block.startsWith(`| ${heading} `))
  assert.ok(table, `there is no table ${heading}`)
  return table.trimEnd().split('\n').slice(2)
}

/** The titles of a file's tests. */
function titlesOf(file: string): readonly string[] {
  const path = join(packageRoot, `${file}.test.ts`)
  assert.ok(existsSync(path), `${file} is no test`)
  return [...readFileSync(path, 'utf8').matchAll(/\btest\(\s*(?:'([^'\n]+)'|`([^`]+)`)/g)].map(
    ([, plain, template]) => plain ?? template!,
  )
}

/**
 * The tests that hold a row are in its last cell, as `FILE`: WORDS; `FILE`: WORDS. The words are of the title of one test, and
 * of no other of that file.
 * @returns how many there are
 */
function testsOf(row: string, folder: string): number {
  const cell = row.split(' | ').at(-1)!.replace(/ ?\|$/, '')
  if (cell === '') return 0
  const named = cell.split(/; (?=`)/)
  for (const one of named) {
    const [, name, words] = /^`([^`]+)`: (.+)$/.exec(one) ?? []
    assert.ok(name && words, `not of the form \`FILE\`: WORDS OF A TITLE: ${one}, in ${row}`)
    const titles = titlesOf(name.startsWith('test/') ? name : `${folder}/${name}`).filter((title) =>
      title.includes(words),
    )
    assert.equal(titles.length, 1, `${name} has ${titles.length} tests whose title has the words "${words}"`)
  }
  return named.length
}

test('docs/compatibility.md names the tests of what the peers’ own suites assert by their titles', () => {
  for (const [heading, folder, count] of [
    ['TEST-58-REPART of systemd', 'test/build', 25],
    ['verity-compat-test of cryptsetup', 'test/verity', 7],
    ['tests of liblp', 'test/android', 20],
  ] as const) {
    const rows = rowsOf(page, heading)
    assert.ok(rows.length >= count, heading)
    // What has no test says why it is not there.
    for (const row of rows) if (testsOf(row, folder) === 0) assert.match(row, /\| not: .* \| \|$/)
  }
})

interface Count {
  readonly asserted: number
  /** That have a counterpart here, or could have one. */
  readonly possible: number
  readonly held: number
}
const sum = (counts: readonly Count[]): Count => ({
  asserted: counts.reduce((total, { asserted }) => total + asserted, 0),
  possible: counts.reduce((total, { possible }) => total + possible, 0),
  held: counts.reduce((total, { held }) => total + held, 0),
})

/** Counts the assertions of a line of test-50.md, and finds its tests. */
function countOf(row: string): Count {
  const [, count, cell] = /^\| .* \| (\d+) \| (.+) \|$/.exec(row) ?? []
  assert.ok(count && cell, row)
  const asserted = Number(count)
  if (cell.startsWith('none: ')) return { asserted, possible: 0, held: 0 }
  if (cell.startsWith('not held: ')) return { asserted, possible: asserted, held: 0 }
  assert.ok(testsOf(row, 'test') > 0)
  return { asserted, possible: asserted, held: asserted }
}

test('docs/compatibility.md says how much of what TEST-50-DISSECT asserts holds here, by a list of all of it', (context) => {
  const tables = readFileSync(join(packageRoot, 'test/compatibility/test-50.md'), 'utf8')
    .split('\n\n')
    .filter((block) => block.startsWith('| '))
  const byScript = new Map<string, Count>()
  for (const table of tables) {
    const [header, , ...rows] = table.trimEnd().split('\n')
    const script = /^\| ([\w-]+)/.exec(header!)![1]!
    byScript.set(script, sum([...(byScript.has(script) ? [byScript.get(script)!] : []), ...rows.map(countOf)]))
  }
  const total = sum([...byScript.values()])
  const share = ((100 * total.held) / total.possible).toFixed(1)
  const shown = (name: string, { asserted, possible, held }: Count) =>
    `| ${name} | ${asserted} | ${possible} | ${held} |`
  const expected = [...byScript].map(([script, count]) => shown(script, count))
  assert.deepEqual(rowsOf(page, 'TEST-50-DISSECT of systemd'), [...expected, shown(`all: ${share} %`, total)])
  context.diagnostic(`TEST-50-DISSECT: ${total.held} of ${total.possible} counterparts held, ${share} %`)
  assert.ok(total.held >= 0.95 * total.possible)
})

/** The first cells of the rows of the table with this header. */
function firstCells(header: string): readonly string[] {
  const [, rows] = page.split(`\n| ${header} |`)
  assert.ok(rows, `no table ${header}`)
  return rows
    .split('\n\n')[0]!
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1]!)
}

for (const { program, version, table, options, help } of peers)
  test(`docs/compatibility.md says of each option of ${program} ${version} what became of it`, () => {
    const told = new Set(firstCells(table).flatMap((cell) => cell.match(/(?<=[`\s])--?[A-Za-z][a-z0-9-]*/g) ?? []))
    const names = options.split(/\s+/)
    assert.deepEqual(
      names.filter((name) => !told.has(name)),
      [],
    )
    if (!help) return
    const { stdout } = attempt(...help)
    const standard = ['--help', '--usage', '--version']
    const here = new Set([...(stdout.match(/(?<=[ ,[])--[a-z][a-z0-9-]+/g) ?? []), ...standard])
    assert.ok(here.size > 5)
    assert.deepEqual(
      [...here].filter((name) => !standard.includes(name) && !names.includes(name)),
      [],
    )
  })

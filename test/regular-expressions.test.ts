// A rule for all of lib/: matching any text takes time linear in its length, whoever wrote the text.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import ts from 'typescript'
import { packageRoot } from '../bindings/package-root.js'

interface Found {
  readonly where: string
  readonly expression: RegExp
}

/** Every regular expression that is written in lib/ and bindings/. */
function* expressions(): Generator<Found> {
  for (const folder of ['lib', 'bindings'])
    for (const name of readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      const path = join(folder, name)
      const file = ts.createSourceFile(path, readFileSync(join(packageRoot, path), 'utf8'), ts.ScriptTarget.Latest)
      yield* literalsIn(file, file, path)
    }
}

function* literalsIn(node: ts.Node, file: ts.SourceFile, path: string): Generator<Found> {
  if (ts.isRegularExpressionLiteral(node)) {
    const [, source = '', flags = ''] = /^\/(.*)\/([a-z]*)$/s.exec(node.text) ?? []
    const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1
    yield { where: `${path}:${line} ${node.text}`, expression: new RegExp(source, flags) }
  }
  for (const child of node.getChildren(file)) yield* literalsIn(child, file, path)
}

const length = 12_000
const characters = [
  ' ',
  '\n',
  '\t',
  '\0',
  'a',
  '0',
  '"',
  "'",
  '\\',
  '=',
  '/',
  '.',
  '-',
  ':',
  ',',
  '[',
  ']',
  '#',
  '(',
  '\ufffd',
]

/** Texts that begin as the expression wants it, go on with one thing for long, and end as it does not want it. */
function* attacks(expression: RegExp): Generator<string> {
  const ends = ['', '\u0001', '!\n', 'x\u0001']
  for (const beginning of ['', ...samples(expression)]) {
    const cuts = [...new Set([beginning.length, 0, 1, 2, Math.floor(beginning.length / 2), beginning.length - 1])]
    for (const cut of cuts.filter((at) => at >= 0 && at <= beginning.length)) {
      const pumps = [...characters, beginning.slice(0, cut), beginning.slice(cut)]
      for (const pump of pumps.filter((one) => one !== '')) {
        const long = beginning.slice(0, cut) + pump.repeat(Math.ceil(length / pump.length))
        for (const end of ends) yield long + end
        yield `${long}\u0001${beginning.slice(cut)}`
      }
    }
  }
}

function samples(expression: RegExp): string[] {
  try {
    return fc.sample(fc.stringMatching(expression), { numRuns: 4, seed: 1 }).map((one) => one.slice(0, 200))
  } catch {
    // fast-check does not know every construct.
    return []
  }
}

/** The least of several times, in ms: others use this machine too. */
function timeOf(expression: RegExp, text: string): number {
  let least = Number.POSITIVE_INFINITY
  for (let turn = 0; turn < 5 && least >= 20; turn++) {
    const began = performance.now()
    text.replace(expression, '')
    least = Math.min(least, performance.now() - began)
  }
  return least
}

test('no regular expression takes more than linear time', () => {
  const slow = new Set<string>()
  let count = 0
  for (const { where, expression } of expressions()) {
    count++
    for (const text of attacks(expression)) {
      const took = timeOf(expression, text)
      if (took < 20) continue
      slow.add(`${where}: ${Math.round(took)} ms for ${JSON.stringify(text.slice(0, 40))}…`)
      break
    }
  }
  assert.ok(count > 100, `${count} expressions`)
  assert.deepEqual([...slow], [])
})

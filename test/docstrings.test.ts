// The reference of the library is its docstrings: every export of its four entry points has one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import ts from 'typescript'
import { errorCodes } from '../lib/index.js'
import { checker, declared } from './support/declarations.js'

test('every export has a docstring', () => {
  const exported = [...declared()]
  assert.ok(exported.length > 300)
  const bare = exported.filter(
    ({ symbol }) => symbol.getDocumentationComment(checker).length === 0 && symbol.getJsDocTags(checker).length === 0,
  )
  assert.deepEqual(
    bare.map(({ name }) => name),
    [],
  )
})

test('parameters and error codes that docstrings name are there', () => {
  for (const { name, symbol } of declared()) {
    const parameters = symbol.declarations?.flatMap((one) => (ts.isFunctionDeclaration(one) ? [...one.parameters] : []))
    const names = parameters?.map(({ name }) => (ts.isIdentifier(name) ? name.text : 'options')) ?? []
    for (const tag of symbol.getJsDocTags(checker)) {
      const text = ts.displayPartsToString(tag.text)
      for (const [code] of text.matchAll(/ERR_DDI_[A-Z0-9_]+(?![A-Z0-9_…])/g))
        assert.ok(Object.hasOwn(errorCodes, code), `${name}: ${code}`)
      const [named] = text.split(/\s/)
      if (tag.name === 'param' && names.length > 0) assert.ok(names.includes(named!), `${name}: ${named}`)
    }
  }
})

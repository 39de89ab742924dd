import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { isPlainName, plainCharacters, printable, printableJson, toPlainName } from '../lib/text.js'

test('printable text holds nothing that a terminal acts on', () => {
  assert.equal(printable('a\u001b[31mred\u202e\u0085\u2028\ud800'), 'a\\u{1b}[31mred\\u{202e}\\u{85}\\u{2028}\ufffd')
  assert.equal(printable('Grüße, 世界 🙂'), 'Grüße, 世界 🙂')
})

test('printable JSON holds nothing that a terminal acts on either, and says the same', () => {
  const value = { 'a\u202e': ['\u009b31m\n\u007f\u2028', '\u{e0041}\ud800', 'Grüße 🙂'] }
  const json = printableJson(value)
  assert.equal(json, '{"a\\u202e":["\\u009b31m\\n\\u007f\\u2028","\\udb40\\udc41\\ud800","Grüße 🙂"]}')
  assert.deepEqual(JSON.parse(json), value)
  assert.equal(printableJson({ a: 1 }, 2), '{\n  "a": 1\n}')
})

test('plain names need no escaping, as bash judges it', () => {
  for (let code = 0x20; code < 0x7f; code++) {
    const character = String.fromCharCode(code)
    const isPlain = new RegExp(`^${plainCharacters}$`).test(character)
    assert.equal(isPlainName(`a${character}`), isPlain)
    assert.equal(toPlainName(`a${character}`), isPlain ? `a${character}` : 'a_')
    if (!isPlain) continue
    const { stdout } = spawnSync('bash', ['-c', 'printf %q "$0"', `a${character}`], { encoding: 'utf8' })
    assert.equal(stdout, `a${character}`)
  }
  for (const text of ['', '-a', '.a', '_a', 'a b', 'a/b', 'a:b', 'ä', 'a\n']) assert.equal(isPlainName(text), false)
  assert.equal(toPlainName('.-os:1 2'), 'os_1_2')
})

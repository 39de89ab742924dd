import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOsRelease } from '../../lib/image/os-release.js'

test('os-release as the shell would read it', () => {
  const text = ['# comment', 'A=1', "B='x y'", 'C="a \\"q\\" \\$d \\\\"', ' D=late ', 'no line', 'E=', 'F=x=y'].join(
    '\n',
  )
  assert.deepEqual(Object.fromEntries(parseOsRelease(text)), {
    A: '1',
    B: 'x y',
    C: 'a "q" $d \\',
    D: 'late',
    E: '',
    F: 'x=y',
  })
})

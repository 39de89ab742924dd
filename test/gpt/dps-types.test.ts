import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dpsTypes } from '../../lib/gpt/index.js'
import { run } from '../support/run.js'

test('partition types are those that systemd knows', () => {
  const known = new Map(
    run('systemd-id128', 'show', '--uuid')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields.length === 2)
      .map(([name, uuid]) => [uuid!.toLowerCase(), name!] as const),
  )
  let compared = 0
  for (const [uuid, { designator, architecture }] of dpsTypes) {
    const name = known.get(uuid)
    if (name === undefined) continue
    // systemd has the architecture in the middle (root-x86-64-verity), and has aliases for the machine’s own.
    const [base, ...rest] = designator.split('-')
    const spellings = [[base], [base, architecture], [base, 'secondary']].map((start) => [...start, ...rest].join('-'))
    if (/^(root|usr)/.test(designator)) assert.ok(spellings.includes(name), `${uuid}: ${name}`)
    compared++
  }
  assert.ok(compared > 100, `${compared} of ${dpsTypes.size} compared`)
})

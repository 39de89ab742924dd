// Whether the fuzzer finds what there is to be found, on targets that have it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot, temporaryFolder } from '../support/run.js'
import { supervise } from './supervise.js'
import { inputOf, loadTarget, targetNames } from './target.js'

const faulty = (name: string) => join(packageRoot, `dist/test/fuzz/faulty/${name}.js`)
const limits = (findings: string) => ({
  seed: 1,
  seconds: 30,
  count: 12,
  patience: 60,
  slow: 0.5,
  sanitized: false,
  findings,
})

const kinds = {
  throws: /^TypeError: it is not a g/,
  spins: /^it takes [0-9.]+ s of processors$/,
  waits: /^it is not done after 4 s$/,
  dies: /^the process ended with SIGSEGV/,
  eats: /^it takes 2\d\d MiB of memory$/,
}

for (const [name, what] of Object.entries(kinds))
  test(`a target that ${name} is found, with the input`, async () => {
    using folder = temporaryFolder()
    const { findings, inputs } = await supervise(faulty(name), {
      ...limits(folder.path),
      count: 3,
      ...(name === 'waits' && { patience: 4 }),
    })
    assert.ok(inputs > 0)
    assert.equal(findings.length, 1)
    assert.match(findings[0]!.what, what)
    assert.notEqual(readFileSync(findings[0]!.path)[0], 'g'.charCodeAt(0))
  })

test('a sound target is run to the end of its count, and refusals are counted', async () => {
  using folder = temporaryFolder()
  const report = await supervise(faulty('sound'), { ...limits(folder.path), count: 200 })
  assert.deepEqual(report.findings, [])
  assert.equal(report.inputs, 200)
  assert.ok(report.accepted > 20 && report.accepted < 180, String(report.accepted))
  assert.deepEqual(report.codes, ['ERR_DDI_USAGE'])
})

test('the input of a number is always the same', async () => {
  const name = 'policy'
  assert.ok(targetNames().includes(name))
  const [once, again] = [await loadTarget(name), await loadTarget(name)]
  const inputs = Array.from({ length: 200 }, (_, number) => inputOf(once, 7, number).toString('hex'))
  assert.deepEqual(
    inputs,
    Array.from({ length: 200 }, (_, number) => inputOf(again, 7, number).toString('hex')),
  )
  assert.ok(new Set(inputs).size > 150)
})

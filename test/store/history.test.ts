import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runHistory } from './history.js'

/** `npm run histories` asks for more. */
const steps = Number(process.env['DDI_HISTORY_STEPS'] ?? 500)

test(`${steps} steps of random histories, power cuts among them, keep what the specification says holds at every moment`, async () => {
  const length = 250
  let [changed, cut] = [0, 0]
  for (let seed = 1; seed <= steps / length; seed++) {
    const done = await runHistory(seed, length).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error })
    })
    changed += done.changed
    cut += done.cut
  }
  assert.ok(changed > steps / 4 && cut > steps / 20, `${changed} changed, ${cut} cut`)
})

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import { excessiveCost, hasIntegrity, isEncrypted, mostUnlocking } from '../../lib/image/luks.js'
import { run, temporaryFolder } from '../support/run.js'

interface Metadata {
  keyslots: Record<number, { kdf: object }>
  digests: Record<number, { iterations: unknown }>
}

/** A LUKS2 volume by cryptsetup, and how to change the metadata of its second header, which counts as the first does. */
function makeLuks(folder: string, ...derivation: string[]) {
  const [path, key] = [join(folder, 'luks'), join(folder, 'key')]
  writeFileSync(path, Buffer.alloc(20 * 1024 * 1024))
  writeFileSync(key, 'secret')
  run('cryptsetup', 'luksFormat', '--batch-mode', '--type=luks2', ...derivation, path, key)
  const bytes = readFileSync(path)
  const [start, end] = [16384 + 4096, 32768]
  const metadata = JSON.parse(bytes.toString('utf8', start, end).replace(/\0.*$/s, '')) as Metadata
  return (change: (metadata: Metadata) => unknown) => {
    const [copy, changed] = [Buffer.from(bytes), structuredClone(metadata)]
    change(changed)
    copy.fill(0, start, end).write(JSON.stringify(changed), start)
    return excessiveCost(memorySource(copy), mostUnlocking.memory)
  }
}

test('what cryptsetup makes may be opened, and what would take an age or all memory may not', async () => {
  using folder = temporaryFolder()
  const nothing = () => {}
  const slots = (count: number, kdf: object) => (metadata: Metadata) => {
    for (let n = 0; n < count; n++) metadata.keyslots[n] = { ...metadata.keyslots[0], kdf }
  }
  const fast = makeLuks(folder.path, '--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000')
  assert.equal(await fast(nothing), undefined)
  for (const iterations of [100_000_001, 2e9, -1, '1000', null])
    assert.match((await fast(slots(1, { type: 'pbkdf2', iterations })))!, /^iterations /)
  assert.match((await fast(({ digests }) => Object.assign(digests[0]!, { iterations: 2e9 })))!, /^iterations /)
  // Each slot is tried.
  assert.match((await fast(slots(32, { type: 'pbkdf2', iterations: 4_000_000 })))!, /^iterations /)
  assert.equal(await fast(slots(8, { type: 'pbkdf2', iterations: 4_000_000 })), undefined)
  assert.match((await fast(slots(1, { type: 'scrypt' })))!, /^passes NaN/)

  const hard = makeLuks(folder.path, '--pbkdf=argon2id', '--pbkdf-force-iterations=4', '--pbkdf-memory=32')
  assert.equal(await hard(nothing), undefined)
  const GiB = 1024 * 1024
  const argon = { type: 'argon2id', time: 4, memory: GiB, cpus: 4 }
  assert.equal(await hard(slots(8, argon)), undefined)
  assert.match((await hard(slots(1, { ...argon, memory: GiB + 1 })))!, /^memory /)
  assert.match((await hard(slots(1, { ...argon, cpus: 5 })))!, /^cpus /)
  assert.match((await hard(slots(1, { ...argon, time: 129 })))!, /^passes /)
  assert.match((await hard(slots(32, { ...argon, time: 5 })))!, /^passes /)
})

test('what encrypts without integrity is not taken for more', async () => {
  using folder = temporaryFolder()
  makeLuks(folder.path, '--pbkdf=pbkdf2', '--pbkdf-force-iterations=1000')
  const volume = memorySource(readFileSync(join(folder.path, 'luks')))
  assert.deepEqual([await isEncrypted(volume), await hasIntegrity(volume)], [true, false])
})

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readIfThere } from '../../lib/bytes/read-if-there.js'
import { temporaryFolder } from '../support/run.js'

test('a missing file is none, and any other failure is an error', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'file')
  writeFileSync(path, 'content')
  assert.equal(String(await readIfThere(path)), 'content')
  assert.equal(await readIfThere(join(folder.path, 'none')), undefined)
  assert.equal(await readIfThere(join(path, 'below')), undefined)
  await assert.rejects(readIfThere(folder.path), { code: 'ERR_DDI_KERNEL' })
})

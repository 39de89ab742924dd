import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as android from '../lib/android/index.js'
import * as gpt from '../lib/gpt/index.js'
import * as ddi from '../lib/index.js'
import * as verity from '../lib/verity/index.js'
import { calls } from './support/calls.js'
import { MiB, makeGptImage, typeUuids } from './support/images.js'
import { packageRoot, temporaryFolder } from './support/run.js'

const nothing = undefined as never

test('every public function whose declaration has options is in that table', () => {
  const library = join(packageRoot, 'dist/lib')
  const declarations = readdirSync(library, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.d.ts'))
    .map((file) => readFileSync(join(library, file), 'utf8'))
    .join('\n')
  const takeOptions = [
    ...declarations.matchAll(/^export declare function (\w+)[^;]*?\??: (?:\w*Options|Work)\b/gm),
  ].map(([, name]) => name!)
  const offered = new Set([ddi, gpt, verity, android].flatMap((face) => Object.keys(face)))
  assert.deepEqual(takeOptions.filter((name) => offered.has(name)).sort(), Object.keys(calls).sort())
})

async function assertRefused(name: string, call: () => unknown): Promise<void> {
  await assert.rejects(async () => await call(), {
    code: 'ERR_DDI_USAGE',
    message: `unknown option "misspelt" of ${name}()`,
  })
}

for (const [name, call] of Object.entries(calls))
  test(`${name} refuses a misspelt option, before it does anything`, async () => {
    await assertRefused(name, () => call({ misspelt: true } as never))
  })

test('the methods of a disk refuse misspelt options', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  await using disk = await ddi.openDisk(path)
  const volume = disk.find('home')
  const misspelt = { misspelt: true } as never
  await assertRefused('create', () => disk.create(nothing, MiB, misspelt))
  await assertRefused('resize', () => disk.resize(volume, 2 * MiB, misspelt))
  await assertRefused('shrink', () => disk.shrink(volume, 4096, misspelt))
  await assertRefused('check', () => disk.check(misspelt))
  await assertRefused('defragment', () => disk.defragment(misspelt))
  assert.deepEqual(disk.find('home'), volume)
})

test('an option that is almost right is named', async () => {
  await assert.rejects(ddi.attach('/nowhere', { roothash: 'zz' } as never), {
    code: 'ERR_DDI_USAGE',
    message: 'unknown option "roothash" of attach(); did you mean rootHash?',
  })
})

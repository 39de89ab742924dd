// The programs of the README do what it says.
import assert from 'node:assert/strict'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { nestedTypeUuid } from '../lib/index.js'
import { MiB, makeGptImage, makeVerityImage } from './support/images.js'
import { packageRoot, run, temporaryFolder } from './support/run.js'

/** The README's program that has these words, for the Node.js that runs the tests: without `await using`. */
function programWith(words: string): string {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8')
  const found = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program]) => program!)
  const program = found.find((one) => one.includes(words))
  assert.ok(program, `the README has a program with ${words}`)
  return program
    .replaceAll('await using ', 'const ')
    .replaceAll("from 'ddi'", `from ${JSON.stringify(join(packageRoot, 'dist/lib/index.js'))}`)
}

test('an image in memory, and one in a volume of a disk, are verified and listed', () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  renameSync(path, join(folder.path, 'os_1.raw'))
  makeGptImage(join(folder.path, 'disk.raw'), 64 * MiB, [
    { type: nestedTypeUuid, size: 32 * MiB, label: 'acme_1', from: join(folder.path, 'os_1.raw') },
  ])
  const program = programWith('imageOn(')
  const script = join(folder.path, 'program.mjs')
  writeFileSync(
    script,
    `const rootHash = ${JSON.stringify(rootHash)}\nprocess.chdir(${JSON.stringify(folder.path)})\n${program}`,
  )
  const lines = run(process.execPath, script).trimEnd().split('\n')
  const tree = run('find', join(folder.path, 'tree'), '-mindepth', '1', '-printf', '%P\n').trimEnd().split('\n').sort()
  const half = lines.length / 2
  assert.equal(lines[0], 'os_1 in memory root 0')
  assert.equal(lines[half], 'acme_1 on disk.raw root 0')
  assert.deepEqual(lines.slice(1, half).sort(), tree)
  assert.deepEqual(lines.slice(half + 1).sort(), tree)
})

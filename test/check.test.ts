import assert from 'node:assert/strict'
import { appendFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { attempt, packageRoot, run, temporaryFolder } from './support/run.js'

/** What each tool of `npm run check` is there for: a file with a violation, and what the check says of it. */
const violations: readonly (readonly [file: string, text: string, report: RegExp])[] = [
  // Formats and types.
  ['lib/bytes/unformatted.ts', 'export const x = "y";', /lib\/bytes\/unformatted\.ts format/],
  ['lib/bytes/untyped.ts', "export const number: number = 'text'\n", /untyped\.ts.*TS2322/],
  ['native/unformatted.cc', 'int  main( ){ }\n', /native\/unformatted\.cc.*clang-format/],
  // Promises.
  [
    'lib/bytes/floating.ts',
    "import { openFile } from './file.js'\nexport function float(): void {\n  openFile('x')\n}\n",
    /floating\.ts:3.*no-floating-promises/,
  ],
  [
    'lib/bytes/misused.ts',
    'export const misuse = (list: readonly number[]): void => list.forEach(async () => {})\n',
    /misused\.ts:1.*no-misused-promises/,
  ],
  // Functions.
  [
    'lib/bytes/long.ts',
    `export function long(): void {\n${'  console.log(1)\n'.repeat(59)}}\n`,
    /`long` has too many lines \(61\)/,
  ],
  [
    'lib/bytes/many.ts',
    'export function many(a: 1, b: 1, c: 1, d: 1, e: 1, f: 1): void {\n  console.log(a, b, c, d, e, f)\n}\n',
    /'many' has too many parameters \(6\)/,
  ],
  // Layers: up, by a type too; sideways; round; past the rooms; out of the house.
  ['lib/bytes/up.ts', "export type { Image } from '../image/open.js'\n", /bytes-imports-down: lib\/bytes\/up\.ts/],
  [
    'lib/gpt/sideways.ts',
    "export type { Superblock } from '../verity/superblock.js'\n",
    /gpt-imports-down: lib\/gpt\/sideways/,
  ],
  ['lib/boot/sideways.ts', "export * from '../cli/main.js'\n", /boot-imports-down: lib\/boot\/sideways/],
  [
    'lib/bytes/round-1.ts',
    "export type { B } from './round-2.js'\nexport type A = 1\n",
    /no-cycle: lib\/bytes\/round-\d/,
  ],
  [
    'lib/bytes/round-2.ts',
    "export type { A } from './round-1.js'\nexport type B = 1\n",
    /no-cycle: lib\/bytes\/round-\d/,
  ],
  ['bindings/up.ts', "export * from '../lib/size.js'\n", /bindings-import-errors-only: bindings\/up\.ts/],
  ['lib/cli/roomless.ts', "export * from '../manager/manager.js'\n", /every-file-has-a-room: lib\/cli\/roomless\.ts/],
  ['lib/manager/manager.ts', 'export const manager = 1\n', /every-file-has-a-room: lib\/cli\/roomless\.ts/],
  ['lib/bytes/out.ts', "export * from '../../test/support/run.js'\n", /no-import-of-tests: lib\/bytes\/out\.ts/],
  ['lib/gpt/heavy.ts', "export * from '../../bindings/blkid.js'\n", /gpt-stands-alone: lib\/gpt\/index\.ts/],
  // What nothing uses.
  ['lib/bytes/unused.ts', 'export const unused = 1\n', /Unused files[\s\S]*lib\/bytes\/unused\.ts/],
]

test('the check fails on each thing that it is there for', () => {
  using folder = temporaryFolder()
  const files = run('git', '-C', packageRoot, 'ls-files', '-z').split('\0').filter(Boolean)
  for (const file of files) cpSync(join(packageRoot, file), join(folder.path, file), { recursive: true })
  symlinkSync(join(packageRoot, 'node_modules'), join(folder.path, 'node_modules'))
  for (const [file, text] of violations) {
    mkdirSync(dirname(join(folder.path, file)), { recursive: true })
    writeFileSync(join(folder.path, file), text)
  }
  appendFileSync(join(folder.path, 'lib/gpt/index.ts'), "export * from './heavy.js'\n")
  appendFileSync(join(folder.path, 'lib/size.ts'), 'export const unusedExport = 1\n')
  const manifest = JSON.parse(readFileSync(join(folder.path, 'package.json'), 'utf8'))
  manifest.dependencies['unused-package'] = '1.0.0'
  writeFileSync(join(folder.path, 'package.json'), JSON.stringify(manifest))

  const { status, stdout, stderr } = attempt('bash', join(folder.path, 'scripts/check.sh'))
  const output = stdout + stderr
  assert.notEqual(status, 0)
  for (const [file, , report] of violations) assert.match(output, report, file)
  assert.match(output, /unusedExport +lib\/size\.ts/)
  assert.match(output, /Unused dependencies[\s\S]*unused-package/)
})

test('a warning of the C++ compiler fails the build', () => {
  const { targets, variables } = JSON.parse(readFileSync(join(packageRoot, 'binding.gyp'), 'utf8'))
  for (const { cflags_cc: flags, target_name: name } of targets) assert.equal(flags[0], '<@(strict)', name)
  using folder = temporaryFolder()
  const path = join(folder.path, 'unused.cc')
  writeFileSync(path, 'int main() { int unused = 1; }\n')
  const compiled = attempt('g++', ...variables.strict, '-fsyntax-only', path)
  assert.notEqual(compiled.status, 0)
  assert.match(compiled.stderr, /-Werror=unused-variable/)
})

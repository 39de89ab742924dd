import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { longName } from '../../lib/cli/verb.js'
import type { VerbIndex } from '../../lib/cli/verb-index.js'
import { emptyFile, MiB, makeGptImage, makeVerityImage, typeUuids } from '../support/images.js'
import { cli, packageRoot, temporaryFolder } from '../support/run.js'

const { verbs } = JSON.parse(readFileSync(join(packageRoot, 'dist/cli/verbs.json'), 'utf8')) as VerbIndex
const options = new Set(verbs.flatMap((verb) => verb.options.map(({ flags }) => longName(flags))))

test('hints name options and verbs that exist', () => {
  const text = readFileSync(join(packageRoot, 'lib/cli/hints.ts'), 'utf8')
  for (const [flag] of text.matchAll(/--[a-z]+(-[a-z]+)*/g)) assert.ok(options.has(flag), flag)
  for (const [, line] of text.matchAll(/`ddi-attach ([a-z -]+)/g))
    assert.ok(
      verbs.some(({ name }) => `${line!} `.startsWith(`${name} `)),
      line,
    )
})

test('the library names neither options nor verbs of the command line', () => {
  const files = readdirSync(join(packageRoot, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('cli/'))
    .map((name) => join(packageRoot, 'lib', name))
  for (const path of files) {
    // What stands in quotes of its own belongs to a tool that is run.
    const text = readFileSync(path, 'utf8').replace(/['`]--[a-z-]+(=[^'`]*)?['`]/g, '')
    for (const [flag] of text.matchAll(/--[a-z]+(-[a-z]+)*/g)) assert.ok(!options.has(flag), `${path} has ${flag}`)
    assert.ok(!text.includes('ddi-attach '), path)
  }
})

test('an error comes with what to type, where that fits the verb and the cause', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const { path } = makeVerityImage(folder.path)
  makeGptImage(at('foreign.raw'), 16 * MiB, [{ type: typeUuids.rootArm64, size: MiB }])
  makeGptImage(at('disk.raw'), 16 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  emptyFile(at('data'), MiB)
  writeFileSync(at('data.verity'), '')
  const make = (name: string, ...more: string[]) =>
    cli('android', 'make', at(name), '--device-size=4M', '--partition=a:none:1M', ...more).status
  assert.deepEqual([make('super.simg', '--sparse'), make('super.img')], [0, 0])
  const hinted: [RegExp, ...string[]][] = [
    [/--root-hash or --usr-hash/, 'verify', path],
    [/--architecture/, 'plan', at('foreign.raw'), '--architecture=x86-64'],
    [/`ddi-attach inspect IMAGE`/, 'volume', 'remove', at('disk.raw'), 'none'],
    [/--force/, 'verity', 'format', at('data')],
    [/`ddi-attach android convert IMAGE OUTPUT`/, 'plan', at('super.simg')],
    [/`ddi-attach android dump IMAGE`/, 'android', 'remove', at('super.img'), 'none'],
    [/--slot/, 'android', 'dump', at('super.img'), '--slot=f'],
    [/another name with --name/, 'plan', at('disk.raw'), '--name=a b', '--volume=home'],
  ]
  for (const [hint, ...args] of hinted) {
    const [, last] = cli(...args)
      .stderr.trimEnd()
      .split('\n')
      .slice(-2)
    assert.match(last ?? '', new RegExp(`^ddi-attach: hint: .*${hint.source}`), args.join(' '))
  }
  // The same code, of verbs without the option.
  assert.doesNotMatch(cli('copy-to', path, at('data'), '/').stderr, /--force/)
  assert.doesNotMatch(cli('inspect', at('none')).stderr, /hint/)
})

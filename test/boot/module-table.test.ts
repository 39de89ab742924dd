import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { inLoadingOrder, matchesPattern, modulesFor, parseModuleTable } from '../../lib/boot/module-table.js'
import { moduleParameters } from '../../lib/boot/modules.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

const release = readdirSync('/usr/lib/uml/modules')[0]!
const read = (directory: string) => {
  const text = (name: string) => readFileSync(join(directory, name), 'utf8')
  return parseModuleTable({ dep: text('modules.dep'), builtIn: text('modules.builtin'), alias: text('modules.alias') })
}

test('what a name stands for, and the order of loading, are modprobe’s', () => {
  using folder = temporaryFolder()
  mkdirSync(join(folder.path, 'lib/modules'), { recursive: true })
  run('cp', '-r', `/usr/lib/uml/modules/${release}`, join(folder.path, 'lib/modules'))
  const table = read(join(folder.path, 'lib/modules', release))
  for (const name of [
    'dm-verity',
    'fs-overlay',
    'crypto-sha512',
    'ext4',
    'nf_tables',
    'net-pf-16-proto-4',
    'i2c:none',
  ]) {
    const { stdout } = attempt('modprobe', '-d', folder.path, '-S', release, '--show-depends', name)
    const expected = [...stdout.matchAll(/^insmod \S*\/([^/\s]+)\.ko/gm)].map(([, file]) => file!.replaceAll('-', '_'))
    const order = [...inLoadingOrder(table, modulesFor(table, name)).keys()]
    assert.deepEqual([...order].sort(), [...new Set(expected)].sort(), name)
    for (const [index, module] of order.entries())
      for (const need of table.modules.get(module)!.needs)
        assert.ok(order.indexOf(need) < index, `${need} for ${module}`)
  }
})

test('modules that need each other are loaded once each', () => {
  const table = parseModuleTable({ dep: 'a.ko: b.ko\nb.ko: a.ko missing.ko\n', builtIn: '', alias: '' })
  assert.deepEqual([...inLoadingOrder(table, ['a', 'none']).keys()], ['b', 'a'])
})

test('patterns match as fnmatch has it', () => {
  const piece = fc.constantFrom('a', 'b', '*', '?', '[ab]', '[!a]', '[a-c]', 'v0', '-')
  const texts = fc.array(fc.constantFrom('a', 'b', 'c', 'v', '0', '-'), { maxLength: 8 }).map((all) => all.join(''))
  const cases: { pattern: string; text: string }[] = []
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), texts, (pieces, text) => {
      cases.push({ pattern: pieces.join(''), text })
    }),
    { numRuns: 2000 },
  )
  using folder = temporaryFolder()
  const path = join(folder.path, 'cases')
  writeFileSync(path, cases.map(({ pattern, text }) => `${pattern}\n${text}\n`).join(''))
  const script = 'LC_ALL=C; while read -r p && read -r t; do [[ $t == $p ]]; echo $?; done <"$0"'
  const expected = run('bash', '-c', script, path).split('\n')
  for (const [index, { pattern, text }] of cases.entries())
    assert.equal(matchesPattern(pattern, text), expected[index] === '0', `${pattern} ${text}`)
})

test('a chain of modules may be long', () => {
  const length = 50_000
  const dep = Array.from({ length }, (_, n) => `m${n}.ko:${n + 1 < length ? ` m${n + 1}.ko` : ''}\n`).join('')
  const order = [...inLoadingOrder(parseModuleTable({ dep, builtIn: '', alias: '' }), ['m0']).keys()]
  assert.deepEqual([order.length, order[0], order.at(-1)], [length, `m${length - 1}`, 'm0'])
})

test('a device finds the module whose pattern fits', () => {
  const alias =
    'alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio-pci\nalias usb:v0B95p7[67]20d* asix\nalias usb:v*p*d*dc*ic0[ef]* cdc\n'
  const table = parseModuleTable({ dep: 'kernel/virtio_pci.ko:\n', builtIn: '', alias })
  assert.deepEqual(modulesFor(table, 'pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00'), ['virtio_pci'])
  assert.deepEqual(modulesFor(table, 'usb:v0B95p7720d0001dc00ic0e').toSorted(), ['asix', 'cdc'])
  assert.deepEqual(modulesFor(table, 'pci:v00008086d0'), [])
})

test('parameters of modules are those of the kernel command line', () => {
  const text = 'quiet loop.max_loop=8 dm-verity.error_behavior=2 loop.max_part=7 loopy.x=1 x.loop.y=2 loop=3'
  assert.equal(moduleParameters(text, 'loop'), 'max_loop=8 max_part=7')
  assert.equal(moduleParameters(text, 'dm_verity'), 'error_behavior=2')
  assert.equal(moduleParameters(text, 'erofs'), '')
})

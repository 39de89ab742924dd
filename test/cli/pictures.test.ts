// Pictures are held against what draws or reads them: dot, an XML parser, Chromium.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { emptyFile, flipBit, MiB, makeGptImage, makeVerityImage, typeUuids } from '../support/images.js'
import { attempt, cli, cliPath, run, temporaryFolder } from '../support/run.js'

function done(...args: string[]): string {
  const { status, stdout, stderr } = cli(...args)
  assert.equal(status, 0, stderr)
  return stdout
}

test('each piece of a disk is drawn where it lies, below a ruler', () => {
  using folder = temporaryFolder()
  const disk = emptyFile(join(folder.path, 'disk.raw'), 64 * MiB)
  done('volume', 'init', disk)
  done('volume', 'create', disk, '--type', 'root', '--size', '15M', '--label', 'first')
  done('volume', 'create', disk, '--type', 'home', '--size', '32M', '--label', 'second')
  const lines = done('volume', 'list', disk).split('\n\n')[1]!.trimEnd().split('\n')
  const ruler = lines[0]!
  const at = (size: string) => ruler.indexOf(`│${size}`)
  const covered = (owner: string) => {
    const line = lines.find((one) => one.includes(owner))!
    const columns = [...line].flatMap((character, n) => ('█░'.includes(character) ? [n] : []))
    return [columns[0], columns.at(-1)! + 1]
  }
  assert.equal(at('64M') - at('0B'), 4 * (at('16M') - at('0B')))
  assert.deepEqual(covered('first'), [at('0B') + 1, at('16M')])
  assert.deepEqual(covered('second'), [at('16M'), at('48M')])
  assert.equal(covered('free')[0], at('48M'))
})

test('a map has a mark for each bad block, where it is', () => {
  using folder = temporaryFolder()
  const { path, rootHash, dataStart, dataSize } = makeVerityImage(folder.path)
  const bad = [3, 100, 101]
  for (const block of bad) flipBit(path, dataStart + block * 4096)
  const { stdout, status } = cli('verify', path, '--root-hash', rootHash, '--map')
  assert.equal(status, 3)
  const marks = [...stdout.matchAll(/^ *\d+[BKM] {2}([·█]+)$/gm)].map(([, row]) => row).join('')
  assert.equal(marks.length, dataSize / 4096)
  assert.deepEqual(
    [...marks].flatMap((mark, n) => (mark === '█' ? [n] : [])),
    bad,
  )
})

test('dot draws the nodes and edges of a plan, and an XML parser finds the same in the SVG', () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path, 'erofs', 'a "quoted" \\ <name>&.raw')
  const draw = (format: string) => done('plan', path, '--root-hash', rootHash, '--name', 'os', `--format=${format}`)
  const dot = join(folder.path, 'plan.dot')
  writeFileSync(dot, draw('dot'))
  const { objects, edges } = JSON.parse(run('dot', '-Tjson', dot)) as Record<string, { readonly label: string }[]>
  const labels = objects!.map(({ label }) => label.split('\\n')[0])
  assert.deepEqual(labels.slice(1).sort(), ['ddi-os-root', 'ddi-os-root-data', 'ddi-os-root-verity'])
  assert.deepEqual(edges!.map(({ label }) => label).sort(), ['data', 'from 1M', 'from 3M', 'hash tree'])
  const svg = join(folder.path, 'plan.svg')
  writeFileSync(svg, draw('svg'))
  const texts = `import sys, xml.dom.minidom as d
print("\\n".join(e.firstChild.data for e in d.parse(sys.argv[1]).getElementsByTagName("text")))`
  const lines = run('python3', '-c', texts, svg).trimEnd().split('\n')
  for (const line of ['a "quoted" \\ <name>&.raw', 'ddi-os-root', 'ddi-os-root-data', 'hash tree', 'from 3M'])
    assert.ok(lines.includes(line), line)
})

const attack = '"><script>document.title="run"</script><img src=x onerror=document.title="run">'

test('a report is text whatever the image holds, and is not replaced unasked', () => {
  using folder = temporaryFolder()
  const [image, page] = [join(folder.path, '<script>alert(1)<.raw'), join(folder.path, 'page.html')]
  makeGptImage(image, 8 * MiB, [{ type: typeUuids.root, size: MiB, label: attack.slice(0, 36) }])
  done('inspect', image, '--report', page)
  const written = readFileSync(page, 'utf8')
  assert.doesNotMatch(written, /<script|<img|<link|\son\w+=|https?:/i)
  const dom = attempt('chromium', '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom', `file://${page}`).stdout
  assert.match(dom, /Content-Security-Policy/)
  assert.doesNotMatch(dom, /<script|<img/)
  assert.match(dom, /<title>[^<]*&lt;script&gt;alert\(1\)/)
  assert.match(dom, /The files were not read: /)
  const again = attempt(process.execPath, cliPath, 'inspect', image, '--report', page)
  assert.equal(again.status, 2)
  assert.match(again.stderr, /ERR_DDI_EXISTS[\s\S]*--force/)
  done('inspect', image, '--report', page, '--force')
})

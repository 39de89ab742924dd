// The programs in examples/ do what they say. attach-and-mount needs a kernel: test/kernel/mount.test.ts runs it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { makeSuper, openFile } from '../lib/index.js'
import { defineImage, MiB, makeGptImage, makeTree, makeVerityImage, typeUuids } from './support/images.js'
import { makeIdentity } from './support/keys.js'
import { packageRoot, run, temporaryFolder } from './support/run.js'
import { serve } from './support/server.js'

const example = (name: string) => join(packageRoot, `dist/examples/${name}.js`)
const linesOf = (text: string) => text.trimEnd().split('\n')
const runExample = (name: string, ...given: string[]) => linesOf(run(process.execPath, example(name), ...given))

test('list-partitions, plan-as-json, own-policy and handle-errors, of one image', () => {
  using folder = temporaryFolder()
  const { path, dataSize } = makeVerityImage(folder.path)
  assert.deepEqual(runExample('list-partitions', path), [
    `root os_1 ${dataSize} erofs`,
    `root-verity os_1_verity ${MiB} DM_verity_hash`,
  ])
  const plan = JSON.parse(runExample('plan-as-json', path).join('\n')) as { name: string; nodes: { kind: string }[] }
  assert.deepEqual([plan.name, plan.nodes.map(({ kind }) => kind)], ['os', ['base', 'linear']])
  assert.deepEqual(runExample('own-policy', path), ['refused ERR_DDI_POLICY'])
  assert.deepEqual(runExample('handle-errors', path), ['gpt, 2 volumes'])
  assert.deepEqual(runExample('handle-errors', join(folder.path, 'none')), ['there is no such file'])
  const text = join(folder.path, 'text')
  writeFileSync(text, 'no image\n'.repeat(1000))
  assert.deepEqual(runExample('handle-errors', text), ['this is no disk image'])
  truncateSync(path, 16 * MiB)
  assert.match(runExample('handle-errors', path)[0]!, /^get the image again: ERR_DDI_GPT_/)
})

test('verify-and-abort is aborted', () => {
  using folder = temporaryFolder()
  const { path, rootHash } = makeVerityImage(folder.path)
  assert.equal(runExample('verify-and-abort', path, rootHash).at(-1), 'given up: AbortError')
})

test('build-and-sign makes an image whose root hash openssl finds signed', () => {
  using folder = temporaryFolder()
  const { key, certificate } = makeIdentity(folder.path, 'signer')
  const root = ['Type=root', 'Format=erofs', 'CopyFiles=/', 'VerityMatchKey=root']
  const definitions = defineImage(folder.path, {
    '10-root': [...root, 'Verity=data'],
    '20-verity': ['Type=root-verity', 'Verity=hash', 'VerityMatchKey=root'],
    '30-signature': ['Type=root-verity-sig', 'Verity=signature', 'VerityMatchKey=root'],
  })
  const output = join(folder.path, 'os.raw')
  const tree = makeTree(folder.path)
  const [first] = runExample('build-and-sign', definitions, tree, output, key, certificate)
  const rootHash = first!.split(' ')[2]!
  const dissected = JSON.parse(run('systemd-dissect', '--json=short', output)) as { mounts?: unknown }
  assert.ok(dissected.mounts)
  assert.match(
    run(process.execPath, join(packageRoot, 'dist/cli/main.js'), 'inspect', output, '--certificate', certificate),
    /root \(signed\)/,
  )
  assert.match(rootHash, /^[0-9a-f]{64}$/)
})

test('pull-with-progress downloads what SHA256SUMS vouches for', async () => {
  using folder = temporaryFolder()
  const bytes = Buffer.alloc(MiB, 7)
  const hash = createHash('sha256').update(bytes).digest('hex')
  await using server = await serve({
    '/os_1.raw': { bytes },
    '/SHA256SUMS': { bytes: Buffer.from(`${hash}  os_1.raw\n`) },
  })
  const output = join(folder.path, 'os_1.raw')
  const { stdout } = await promisify(execFile)(process.execPath, [
    example('pull-with-progress'),
    `${server.url}/os_1.raw`,
    output,
  ])
  assert.equal(stdout.trim(), `${output} ${MiB} ${hash}`)
  assert.ok(readFileSync(output).equals(bytes))
})

test('grow-a-volume makes a chain that sgdisk finds sound', () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  writeFileSync(disk, '')
  truncateSync(disk, 64 * MiB)
  assert.equal(runExample('grow-a-volume', disk)[0], `home ${16 * MiB} 2`)
  assert.match(run('sgdisk', '--verify', disk), /No problems found/)
})

test('read-super-image reads logical partitions', async () => {
  using folder = temporaryFolder()
  const system = join(folder.path, 'system')
  writeFileSync(system, Buffer.alloc(MiB, 3))
  await using image = await openFile(system)
  const path = join(folder.path, 'super.img')
  await makeSuper(path, {
    geometry: { metadataSize: 65536, slotCount: 2, blockSize: 4096 },
    devices: [{ name: 'super', size: 8 * MiB }],
    partitions: [{ name: 'system_a', size: MiB, group: 'default', image }],
  })
  const [hash] = run('sha256sum', system).split(' ')
  assert.deepEqual(runExample('read-super-image', path), [`system_a ${MiB} ${hash}`])
})

test('store installs an image, and says that it is good', () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  writeFileSync(disk, '')
  truncateSync(disk, 64 * MiB)
  const { path } = makeVerityImage(folder.path, 'erofs', 'acme_1.raw')
  assert.deepEqual(runExample('store', disk, path), ['acme_1 good 0', 'next boot: acme_1'])
})

/** What a user does on the page: chooses a file; and what headless Chromium shows then. */
async function chosenInChromium(folder: string, file: string): Promise<string> {
  const source = join(packageRoot, 'examples/gpt-in-the-browser')
  const outfile = join(folder, 'page.js')
  await build({
    ...{ entryPoints: [join(source, 'page.ts')], outfile, bundle: true, format: 'iife', globalName: 'page' },
    // As the package is, not by the paths of our tsconfig.json.
    tsconfigRaw: '{}',
  })
  const choose = `<script type="module">
    const [input, chosen] = [document.querySelector('input'), new DataTransfer()]
    chosen.items.add(new File([await (await fetch('file')).blob()], 'disk.raw'))
    input.files = chosen.files
    input.dispatchEvent(new Event('change'))
  </script>`
  const html = readFileSync(join(source, 'index.html'), 'utf8') + choose
  await using server = await serve({
    '/': (_, response) => void response.setHeader('content-type', 'text/html').end(html),
    '/page.js': (_, response) => void response.setHeader('content-type', 'text/javascript').end(readFileSync(outfile)),
    '/file': { bytes: readFileSync(file) },
  })
  const profile = `--user-data-dir=${join(folder, 'profile')}`
  const { stdout } = await promisify(execFile)('chromium', [
    ...[
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      profile,
      '--virtual-time-budget=30000',
      '--dump-dom',
      server.url,
    ],
  ])
  return /<pre>([^<]*)<[/]pre>/.exec(stdout)![1]!
}

test('gpt-in-the-browser describes a file that is chosen in Chromium, and says what is none', async () => {
  using folder = temporaryFolder()
  const disk = join(folder.path, 'disk.raw')
  makeGptImage(disk, 8 * MiB, [{ type: typeUuids.home, size: MiB, label: 'home' }])
  assert.equal(await chosenInChromium(folder.path, disk), `home: home, ${MiB} bytes`)
  writeFileSync(disk, new Uint8Array(MiB))
  assert.match(await chosenInChromium(folder.path, disk), /ERR_DDI_NO_TABLE/)
})

test('every example is run by a test', () => {
  const names = readdirSync(join(packageRoot, 'examples')).map((name) => name.replace(/[.]ts$/, ''))
  const tests = ['test/examples.test.ts', 'test/kernel/mount.test.ts'].map((path) =>
    readFileSync(join(packageRoot, path), 'utf8'),
  )
  const isRun = (name: string) => tests.some((text) => text.includes(`'${name}'`) || text.includes(`examples/${name}`))
  assert.deepEqual(
    names.filter((name) => !isRun(name)),
    [],
  )
})

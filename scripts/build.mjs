// Builds the package: TypeScript into dist/, the addon into build/Release/, and with --prebuild
// a copy of the addon where an installed package looks for it (node-gyp-build's naming).
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildSync } from 'esbuild'
import { manPage } from './man-page.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

function run(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

// With Node's headers beside the node that runs this, node-gyp needs no download.
const prefix = dirname(dirname(process.execPath))
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js')
run(nodeGyp, existsSync(join(root, 'build/Makefile')) ? 'build' : 'rebuild', '--silent', ...headers)

rmSync(join(root, 'dist'), { recursive: true, force: true })
run(join(dirname(require.resolve('@typescript/native/package.json')), 'bin/tsc'))

// The command line in a few files instead of fifty: half of its start-up was looking for them.
buildSync({
  absWorkingDir: root,
  entryPoints: ['dist/lib/cli/main.js'],
  outdir: 'dist/cli',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Native modules find their own files, and the others are loaded where they are needed, if ever.
  external: ['asn1js', 'ffi-rs', 'node-gyp-build', 'openpgp', 'pkijs', 'zstd-napi'],
  // Commander and its like are written for require().
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
const { program } = await import(pathToFileURL(join(root, 'dist/lib/cli/program.js')).href)
writeFileSync(join(root, 'dist/ddi-attach.8'), manPage(program(), join(root, 'docs/ddi-attach.8.in')))
rmSync(join(root, 'dist/lib/cli'), { recursive: true })
chmodSync(join(root, 'dist/cli/main.js'), 0o755)

if (process.argv.includes('--prebuild')) {
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`)
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(root, 'build/Release/ddi.node'), join(folder, 'ddi.glibc.node'))
}

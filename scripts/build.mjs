// Builds the package: TypeScript into dist/, the addon into build/Release/ (with --addon that alone), and with --prebuild
// a copy of the addon in the place that an installed package loads it from (node-gyp-build's naming).
// With --sanitize, the addon once more, with AddressSanitizer and UBSan, into build/Debug/: for the fuzzer.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundlePackage } from './bundle.mjs'
import { keepPublicTypes } from './public-types.mjs'
import { describeCommandLine } from './verb-index.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

/** A Makefile has absolute paths: one that was made before the checkout was moved is of no use. */
function isConfigured() {
  const makefile = join(root, 'build/Makefile')
  return existsSync(makefile) && readFileSync(makefile, 'utf8').includes(`"-Dmodule_root_dir=${root}"`)
}

function run(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

// With Node's headers beside the node that runs this, node-gyp needs no download.
const prefix = dirname(dirname(process.execPath))
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js')
run(nodeGyp, isConfigured() ? 'build' : 'rebuild', '--silent', ...headers)
if (process.argv.includes('--sanitize')) run(nodeGyp, 'build', '--debug', '--silent', ...headers)
if (process.argv.includes('--addon')) process.exit()

rmSync(join(root, 'dist'), { recursive: true, force: true })
run(join(dirname(require.resolve('@typescript/native/package.json')), 'bin/tsc'))

await bundlePackage(root)
await describeCommandLine(root)
keepPublicTypes(root)

if (process.argv.includes('--prebuild')) {
  const directory = join(root, 'prebuilds', `${process.platform}-${process.arch}`)
  mkdirSync(directory, { recursive: true })
  const prebuild = join(directory, 'ddi.glibc.node')
  copyFileSync(join(root, 'build/Release/ddi.node'), prebuild)
  execFileSync('strip', ['--strip-unneeded', prebuild])
}

// Builds the package: TypeScript into dist/, the addon into build/Release/ (with --addon that alone), and with --prebuild
// what an installed package loads, into prebuilds/. With --sanitize, the addon once more, for the fuzzer.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileAddon, makePrebuilds } from './addon.mjs'
import { bundlePackage } from './bundle.mjs'
import { keepPublicTypes } from './public-types.mjs'
import { describeCommandLine } from './verb-index.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

function compileTypeScript() {
  const tsc = join(dirname(require.resolve('@typescript/native/package.json')), 'bin/tsc')
  const { status, error } = spawnSync(process.execPath, [tsc], { cwd: root, stdio: ['ignore', 2, 2] })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

const [prebuild, sanitize, addonOnly] = ['--prebuild', '--sanitize', '--addon'].map((one) => process.argv.includes(one))
compileAddon(root, sanitize)
if (prebuild) makePrebuilds(root)
if (addonOnly) process.exit()

rmSync(join(root, 'dist'), { recursive: true, force: true })
compileTypeScript()
await bundlePackage(root)
await describeCommandLine(root)
keepPublicTypes(root)

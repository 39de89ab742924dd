import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { findProgram, runTool, toolPath } from '../lib/tool.js'
import { makeFileSystem } from './support/images.js'
import { attempt, cliPath, temporaryFolder } from './support/run.js'

test('tools are those of the system, whatever PATH says and whatever lies in the current directory', async () => {
  using folder = temporaryFolder()
  makeFileSystem(folder.path, 'erofs')
  const planted = join(folder.path, 'planted')
  for (const name of [
    'fsck.erofs',
    'mkfs.erofs',
    'unshare',
    'setpriv',
    'undefined/fsck.erofs',
    'planted.d/fsck.erofs',
  ]) {
    const path = join(folder.path, name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, `#!/bin/sh\ntouch ${planted}\nexit 1\n`)
    chmodSync(path, 0o755)
  }
  chmodSync(folder.path, 0o755)
  const inFolder = (path: readonly string[]) =>
    attempt(
      'sh',
      '-c',
      'cd "$1"; shift; exec "$@"',
      'sh',
      folder.path,
      'env',
      ...path,
      process.execPath,
      cliPath,
      'list-files',
      'data.erofs',
    )
  for (const path of [
    ['PATH='],
    ['-u', 'PATH'],
    ['PATH=.'],
    [`PATH=.${delimiter}planted.d`],
    [`PATH=${folder.path}`],
  ]) {
    const { status, stdout, stderr } = inFolder(path)
    assert.deepEqual([status, stdout.includes('etc/os-release')], [0, true], `${path.join(' ')}: ${stderr}`)
  }
  assert.equal(attempt('test', '-e', planted).status, 1)
})

test('a program is found by its absolute path, or not at all', async () => {
  using folder = temporaryFolder()
  const program = join(folder.path, 'program')
  writeFileSync(program, '#!/bin/sh\n')
  assert.equal(await findProgram('program', [folder.path]), undefined)
  chmodSync(program, 0o755)
  assert.equal(await findProgram('program', ['', '.', 'none', folder.path]), program)
  assert.equal(await findProgram('program', ['', '.']), undefined)
  mkdirSync(join(folder.path, 'directory'))
  assert.equal(await findProgram('directory', [folder.path]), undefined)
  assert.match(await toolPath({ command: ['sh'], package: 'dash' }), /^\//)
  await assert.rejects(runTool({ command: ['none-such-program'], package: 'nothing' }), {
    code: 'ERR_DDI_LIBRARY_MISSING',
    message: /install nothing/,
  })
})

test('a tool for which there is no space says so, in whatever language', async () => {
  const { LANGUAGE } = process.env
  process.env['LANGUAGE'] = 'de'
  try {
    const command = ['dd', 'if=/dev/zero', 'of=/dev/full', 'count=1'] as const
    await assert.rejects(runTool({ command, package: 'coreutils' }), { code: 'ERR_DDI_NO_SPACE' })
  } finally {
    if (LANGUAGE === undefined) delete process.env['LANGUAGE']
    else process.env['LANGUAGE'] = LANGUAGE
  }
})

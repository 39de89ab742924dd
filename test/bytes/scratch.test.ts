import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openScratch, openScratchDirectory } from '../../lib/bytes/scratch.js'
import { attempt, packageRoot, run, temporaryFolder } from '../support/run.js'

/** Claims names for `path`, makes a file and a directory of such names, and is killed. */
function beKilled(path: string): void {
  const { signal } = spawnSync(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { openScratch } from ${JSON.stringify(join(packageRoot, 'dist/lib/bytes/scratch.js'))}
     import { mkdirSync, writeFileSync } from 'node:fs'
     const { prefix } = await openScratch(${JSON.stringify(path)})
     writeFileSync(prefix + '.file', 'x')
     mkdirSync(prefix + '.tree/sub', { recursive: true })
     writeFileSync(prefix + '.tree/sub/file', 'x')
     process.kill(process.pid, 'SIGKILL')`,
  ])
  assert.equal(signal, 'SIGKILL')
}

test('what a killed process left, the next one for the same path removes', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'os.raw')
  beKilled(path)
  beKilled(path)
  assert.equal(readdirSync(folder.path).length, 3)
  {
    await using other = await openScratch(join(folder.path, 'raw'))
    assert.equal(readdirSync(folder.path).length, 4, other.prefix)
    await using scratch = await openScratch(path)
    assert.equal(readdirSync(folder.path).length, 2, scratch.prefix)
  }
  assert.deepEqual(readdirSync(folder.path), [])
})

test('what belongs to somebody who lives stays, and so does what was never ours', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'os.raw')
  const foreign = [
    '.os.raw.new',
    '.os.raw.0123456789ab',
    '.os.raw.0123456789ab.mine',
    '.os.raw.xyz.lock',
    'os.raw.lock',
  ]
  for (const name of foreign) writeFileSync(join(folder.path, name), '')
  writeFileSync(join(folder.path, '.os.raw.00112233445566.lock'), '')
  writeFileSync(join(folder.path, '.os.raw.001122334455.lock'), 'a file with contents')
  writeFileSync(join(folder.path, '.os.raw.aaaaaaaaaaaa.lock'), '')
  linkSync(join(folder.path, '.os.raw.aaaaaaaaaaaa.lock'), join(folder.path, 'another name'))
  mkdirSync(join(folder.path, '.os.raw.ffffffffffff.lock'))
  writeFileSync(join(folder.path, '.os.raw.bbbbbbbbbbbb.lock'), '')
  run('chown', '1:1', join(folder.path, '.os.raw.bbbbbbbbbbbb.lock'))
  await using first = await openScratch(path)
  writeFileSync(`${first.prefix}.file`, '')
  const before = readdirSync(folder.path)
  {
    await using second = await openScratch(path)
    assert.notEqual(second.prefix, first.prefix)
  }
  assert.deepEqual(readdirSync(folder.path), before)
})

test('what is mounted on what is left is not touched', () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'os.raw')
  beKilled(path)
  const [tree] = readdirSync(folder.path).filter((name) => name.endsWith('.tree'))
  mkdirSync(join(folder.path, 'victim'))
  const sweep = `import { openScratch } from ${JSON.stringify(join(packageRoot, 'dist/lib/bytes/scratch.js'))}
    await (await openScratch(${JSON.stringify(path)}))[Symbol.asyncDispose]()`
  for (const place of [`${tree}/sub`, tree]) {
    const script = `mount -t tmpfs victim '${folder.path}/${place}' && echo data >'${folder.path}/${place}/data' &&
      "$0" --input-type=module --eval "$1" && cat '${folder.path}/${place}/data'`
    const { stdout, stderr } = attempt('unshare', '--mount', 'sh', '-c', script, process.execPath, sweep)
    assert.equal(stdout, 'data\n', stderr)
  }
})

test('a directory for what is temporary is ours alone; names may be as long as names are', async () => {
  using folder = temporaryFolder()
  for (const name of ['x', 'ü'.repeat(127), '\u{1f600}'.repeat(63)]) {
    await using directory = await openScratchDirectory(join(folder.path, name))
    assert.equal(run('stat', '-c%a', directory.path), '700\n')
  }
  assert.deepEqual(readdirSync(folder.path), [])
  await assert.rejects(openScratch(join(folder.path, 'none/x')), { code: 'ERR_DDI_NOT_FOUND' })
  assert.ok(!existsSync(join(folder.path, 'none')))
})

test('a temporary directory is reached wherever it is moved, and not what is put in its place', async () => {
  using folder = temporaryFolder()
  const elsewhere = join(folder.path, 'elsewhere')
  mkdirSync(elsewhere)
  await using directory = await openScratchDirectory(join(folder.path, 'new'))
  renameSync(directory.path, join(folder.path, 'moved'))
  symlinkSync(elsewhere, directory.path)
  run('touch', join(directory.held, 'file'))
  assert.deepEqual(readdirSync(elsewhere), [])
  assert.deepEqual(readdirSync(join(folder.path, 'moved')), ['file'])
})

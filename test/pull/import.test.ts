// What comes from a path or a pipe, with files beside it, and where it goes.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pull } from '../../lib/index.js'
import { directoryMode } from '../../lib/pull/names.js'
import { cli, cliPath, run, temporaryFolder } from '../support/run.js'
import { serve } from '../support/server.js'

const bytes = randomBytes(300_000)

test('an image of a path and of standard input, packed or not', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  writeFileSync(at('image.raw'), bytes)
  run('xz', '-1', '--keep', at('image.raw'))
  for (const name of ['image.raw', 'image.raw.xz']) {
    const { status, stderr } = cli('pull', at(name), '--output', at('out'), '--force')
    assert.equal(status, 0, stderr)
    assert.ok(readFileSync(at('out')).equals(bytes))
    const input = readFileSync(at(name))
    const sha256 = createHash('sha256').update(input).digest('hex')
    for (const verify of [[], [`--verify=${sha256}`]]) {
      const piped = spawnSync(process.execPath, [cliPath, 'pull', '-', '--output', at('out'), '--force', ...verify], {
        input,
      })
      assert.equal(piped.status, 0, `${piped.stderr}`)
      assert.ok(readFileSync(at('out')).equals(bytes))
    }
  }
  const target = { kind: 'raw', path: at('none') } as const
  const stream = () => createReadStream(at('image.raw'))
  await assert.rejects(pull(stream(), target, { verify: { sha256: '0'.repeat(64) } }), {
    code: 'ERR_DDI_PULL_CHECKSUM',
  })
  await assert.rejects(pull(stream(), target), { code: 'ERR_DDI_USAGE' })
  assert.deepEqual(readdirSync(folder.path).sort(), ['image.raw', 'image.raw.xz', 'out'])
})

test('files beside an image come with it, or nothing does', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('www'))
  const names = ['os_1.raw', 'os_1.roothash', 'os_1.roothash.p7s', 'os_1.verity']
  for (const name of names) writeFileSync(at(`www/${name}`), name)
  run('xz', at('www/os_1.raw'))
  run('sh', '-c', `cd '${at('www')}' && sha256sum * > SHA256SUMS`)
  const pullIt = (...more: string[]) =>
    cli('pull', `file://${at('www/os_1.raw.xz')}`, '--verify=checksum', '--output', at('out/here.raw'), ...more)
  assert.equal(pullIt('--with=roothash,signature,verity').status, 0)
  assert.deepEqual(readdirSync(at('out')).sort(), ['here.raw', 'here.roothash', 'here.roothash.p7s', 'here.verity'])
  assert.equal(readFileSync(at('out/here.roothash.p7s'), 'utf8'), 'os_1.roothash.p7s')
  run('rm', '-r', at('out'), at('www/os_1.verity'))
  assert.equal(pullIt('--with=roothash,verity').status, 1)
  assert.deepEqual(readdirSync(at('out')), [])
  assert.equal(pullIt('--with=everything').status, 2)
})

test('files beside an image stay as they are where the new image does not come', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const name of ['www', 'out']) mkdirSync(at(name))
  for (const name of ['os.raw', 'os.roothash', 'os.verity']) writeFileSync(at(`www/${name}`), `new ${name}`)
  for (const name of ['os.raw', 'os.roothash']) writeFileSync(at(`out/${name}`), `old ${name}`)
  const contents = () => readdirSync(at('out')).map((name) => readFileSync(at(`out/${name}`), 'utf8'))
  const pullIt = (...more: string[]) =>
    cli('pull', `file://${at('www/os.raw')}`, '--with=roothash,verity', '--output', at('out/os.raw'), ...more)
  assert.equal(pullIt('--verify=no').status, 2)
  run('sh', '-c', `cd '${at('www')}' && sha256sum * | sed '/os.raw/s/^......../00000000/' > SHA256SUMS`)
  assert.match(pullIt('--verify=checksum', '--force').stderr, /ERR_DDI_PULL_CHECKSUM/)
  assert.equal(pullIt('--verify=no', '--force', '--root-hash', '0'.repeat(64)).status, 3)
  rmSync(at('out/os.raw'))
  mkdirSync(at('out/os.raw'))
  assert.notEqual(pullIt('--verify=no', '--force').status, 0)
  rmSync(at('out/os.raw'), { recursive: true })
  writeFileSync(at('out/os.raw'), 'old os.raw')
  assert.deepEqual(contents(), ['old os.raw', 'old os.roothash'])
  assert.equal(pullIt('--verify=no', '--force').status, 0)
  assert.deepEqual(contents(), ['new os.raw', 'new os.roothash', 'new os.verity'])
})

test('an operating system in a directory of its own is moved up, with its mode and times; nothing else is', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  mkdirSync(at('os/os-1.0/usr/lib'), { recursive: true, mode: 0o755 })
  mkdirSync(at('os/os-1.0/os-1.0'))
  writeFileSync(at('os/os-1.0/usr/lib/os-release'), 'ID=x\n')
  run('chmod', '0711', at('os/os-1.0'))
  run('touch', '-d', '2020-01-01T00:00:00Z', at('os/os-1.0'))
  mkdirSync(at('linked/dir'), { recursive: true })
  run('ln', '-s', at('os/os-1.0/usr'), at('linked/dir/usr'))
  mkdirSync(at('other/dir'), { recursive: true })
  for (const name of ['os', 'linked', 'other']) run('tar', '-C', at(name), '-cf', at(`${name}.tar`), '.')
  run('tar', '-C', at('os'), '-cf', at('bare.tar'), 'os-1.0')
  await using server = await serve({ '/x.tar': { bytes: readFileSync(at('bare.tar')) } })
  const pullTree = (url: string) => pull(url, { kind: 'tar', path: at('out'), replace: true }, { verify: 'no' })
  for (const url of [`${server.url}/x.tar`, `file://${at('os.tar')}`]) {
    await pullTree(url)
    assert.deepEqual(readdirSync(at('out')).sort(), ['os-1.0', 'usr'])
    const { mode, mtime } = statSync(at('out'))
    assert.equal(mode & 0o7777, 0o711)
    assert.equal(mtime.toISOString(), '2020-01-01T00:00:00.000Z')
  }
  for (const name of ['linked', 'other']) {
    await pullTree(`file://${at(`${name}.tar`)}`)
    assert.deepEqual(readdirSync(at('out')), ['dir'])
  }
})

test('machines are nobody else’s business', () => {
  assert.equal(directoryMode('/var/lib/machines'), 0o700)
  assert.equal(directoryMode('/var/lib/extensions'), 0o777)
  const pulled = run(
    'unshare',
    '--mount',
    'sh',
    '-c',
    `mount -t tmpfs t /var/lib && printf image | '${process.execPath}' '${cliPath}' pull - os && stat -c %a /var/lib/machines`,
  )
  assert.match(pulled, /^700$/m)
})

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pull } from '../../lib/index.js'
import { keysInKeybox } from '../../lib/pull/keyring.js'
import { gpg as gpgIn } from '../support/keyring.js'
import { run, temporaryFolder } from '../support/run.js'

test('keyrings as people have them, and lists that are signed within', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const gpg = (...words: string[]) => gpgIn(at('gpg'), ...words)
  mkdirSync(at('gpg'), { mode: 0o700 })
  for (const name of ['one', 'two', 'three']) {
    gpg('--quick-generate-key', `${name}@x`, 'ed25519', 'sign', '1d')
    writeFileSync(at(`${name}.asc`), gpg('--armor', '--export', `${name}@x`))
  }
  gpg(
    '--no-default-keyring',
    '--trust-model=always',
    '--keyring',
    at('keybox'),
    '--import',
    at('one.asc'),
    at('two.asc'),
  )
  assert.match(readFileSync(at('keybox'), 'latin1'), /KBXf/)
  const [one, two, three] = ['one', 'two', 'three'].map((name) => readFileSync(at(`${name}.asc`), 'utf8'))
  writeFileSync(at('joined'), `pub ed25519\n\nour keys:\n${one}\nand\n${two}\nend\n`)
  writeFileSync(at('stranger'), `${one}${three}`)

  mkdirSync(at('www'))
  writeFileSync(at('www/image.raw'), 'image')
  run('sh', '-c', `cd '${at('www')}' && sha256sum --tag image.raw > SHA256SUMS`)
  const pullWith = (keyring: string) =>
    pull(`file://${at('www/image.raw')}`, { kind: 'raw', path: at('pulled'), replace: true }, { keyring: at(keyring) })
  const both = async () => {
    for (const keyring of ['keybox', 'joined', 'two.asc']) await pullWith(keyring)
    for (const keyring of ['one.asc', 'stranger'])
      await assert.rejects(pullWith(keyring), { code: 'ERR_DDI_PULL_SIGNATURE' })
  }
  gpg('--local-user', 'two@x', '--output', at('www/SHA256SUMS.gpg'), '--detach-sign', at('www/SHA256SUMS'))
  await both()
  gpg('--local-user', 'two@x', '--output', at('signed'), '--clear-sign', at('www/SHA256SUMS'))
  run('rm', at('www/SHA256SUMS.gpg'))
  run('mv', at('signed'), at('www/SHA256SUMS'))
  await both()
  // What stands around the signed part was not signed.
  const signed = readFileSync(at('www/SHA256SUMS'), 'utf8')
  for (const forged of [`${signed}\n${'0'.repeat(64)}  image.raw\n`, signed.replace(/= ../, '= 00')]) {
    writeFileSync(at('www/SHA256SUMS'), forged)
    await pullWith('two.asc').then(
      () => assert.equal(forged.startsWith(signed), true),
      ({ code }) => assert.equal(code, 'ERR_DDI_PULL_SIGNATURE'),
    )
  }
})

test('a keybox whose lengths are wrong is refused', () => {
  const header = Buffer.alloc(32)
  header.writeUInt32BE(32)
  header.set([1, 1], 4)
  header.write('KBXf', 8)
  const blob = (length: number, start: number, size: number) => {
    const bytes = Buffer.alloc(20)
    bytes.set([2, 1], 4)
    for (const [at, value] of [length, start, size].entries()) bytes.writeUInt32BE(value, [0, 8, 12][at])
    return Buffer.concat([header, bytes])
  }
  assert.deepEqual(keysInKeybox(blob(20, 16, 4)), Buffer.alloc(4))
  for (const wrong of [blob(0, 16, 4), blob(15, 16, 4), blob(21, 16, 4), blob(20, 16, 5), blob(20, 0xffffffff, 1)])
    assert.throws(() => keysInKeybox(wrong), /keybox/)
  assert.equal(keysInKeybox(Buffer.from('not a keybox')), undefined)
})

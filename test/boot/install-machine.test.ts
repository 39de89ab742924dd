import assert from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { installMachine } from '../../lib/boot/install-machine.js'
import { bootIn } from '../support/boot.js'
import { MiB } from '../support/images.js'
import { signByGpg } from '../support/keyring.js'
import { run, temporaryFolder } from '../support/run.js'
import { serve } from '../support/server.js'
import { makeSmallUki } from '../support/uki.js'

test('a machine installs what it booted if a key of its initrd signed that, on a disk that is blank', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const uki = await makeSmallUki(at('acme.efi'), { '.cmdline': 'ddi.product=acme', '.linux': 'kernel' })
  const sums = at('SHA256SUMS')
  writeFileSync(sums, `${run('sha256sum', uki).slice(0, 64)}  acme.efi\n`)
  const keyrings = { signer: signByGpg(at('signer'), sums), stranger: signByGpg(at('stranger')) }
  const files = ['acme.efi', 'SHA256SUMS', 'SHA256SUMS.gpg'].map((name) => [
    `/${name}`,
    { bytes: readFileSync(at(name)) },
  ])
  await using server = await serve({ ...Object.fromEntries(files), '/other/acme.efi': { bytes: readFileSync(uki) } })
  let boots = 0
  const install = async (line: string, keyring: keyof typeof keyrings, beginning = '') => {
    const context = bootIn(at(`root-${boots++}`), `ddi.retry=0 ${line}`)
    context.put('etc/systemd/import-pubring.pgp', readFileSync(keyrings[keyring]))
    context.put('dev/vda', beginning)
    const disk = join(context.root, 'dev/vda')
    truncateSync(disk, 70 * MiB)
    const before = readFileSync(disk)
    const installed = await installMachine(context, '/dev/vda')
    return { installed, said: context.said.join('\n'), disk, isChanged: !readFileSync(disk).equals(before) }
  }
  const origin = `ddi.url=${server.url}/acme.efi`
  const refused = [
    { line: '', keyring: 'signer', beginning: '', code: 'ERR_DDI_NO_BOOT_ORIGIN' },
    { line: origin, keyring: 'stranger', beginning: '', code: 'ERR_DDI_PULL_SIGNATURE' },
    { line: `ddi.url=${server.url}/other/acme.efi`, keyring: 'signer', beginning: '', code: 'ERR_DDI_PULL_' },
    { line: origin, keyring: 'signer', beginning: 'data', code: 'ERR_DDI_EXISTS' },
  ] as const
  for (const { line, keyring, beginning, code } of refused) {
    const { installed, said, isChanged } = await install(line, keyring, beginning)
    assert.deepEqual([installed, isChanged], [undefined, false], said)
    assert.ok(said.includes(`nothing is installed on /dev/vda`) && said.includes(code), said)
  }
  for (const [line, keyring] of [
    [origin, 'signer'],
    [`${origin} ddi.insecure`, 'stranger'],
  ] as const) {
    const { installed, said, disk } = await install(line, keyring)
    assert.equal(installed, disk, said)
    assert.equal(said.includes('INSECURE'), line !== origin)
    assert.match(run('sgdisk', '--verify', disk), /No problems found/)
  }
})

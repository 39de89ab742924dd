import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { expressionsIn } from '../../lib/boot/pull-expression.js'
import { DdiError, parsePullExpression } from '../../lib/index.js'
import { parameterValues } from '../../lib/kernel-command-line.js'
import { checkJson } from '../support/json-schema.js'
import { serveByNginx } from '../support/nginx.js'
import { cliPath, run, temporaryFolder } from '../support/run.js'

test('the kernel command line is split as by the kernel', () => {
  const line =
    'quiet systemd.pull=a rd.systemd.pull=b "systemd.pull=c d" systemd.pull="e f" xsystemd.pull=g systemd.pull\n'
  assert.deepEqual(parameterValues(line, 'systemd.pull'), ['a', 'c d', 'e f'])
  assert.deepEqual(parameterValues(line, 'rd.systemd.pull'), ['b'])
  assert.deepEqual(parameterValues('', 'systemd.pull'), [])
})

test('expressions are those of systemd-import-generator(8), and unknown ones are refused', () => {
  const plain = {
    readOnly: false,
    verify: 'signature',
    blockDevice: false,
    bootOrigin: false,
    runtime: null,
    local: null,
  }
  assert.deepEqual(parsePullExpression('raw,confext::https://example.com/myconfext.raw.gz'), {
    ...plain,
    kind: 'raw',
    class: 'confext',
    remote: 'https://example.com/myconfext.raw.gz',
  })
  assert.deepEqual(parsePullExpression('raw,machine,verify=no,blockdev,ro:image:https://[::1]:80/image.raw.xz'), {
    ...plain,
    kind: 'raw',
    class: 'machine',
    verify: 'no',
    blockDevice: true,
    readOnly: true,
    local: 'image',
    remote: 'https://[::1]:80/image.raw.xz',
  })
  assert.deepEqual(parsePullExpression('tar,sysext,bootorigin,runtime=yes,ro,rw::'), {
    ...plain,
    kind: 'tar',
    class: 'sysext',
    bootOrigin: true,
    runtime: true,
    remote: '',
  })
  assert.deepEqual(parsePullExpression(`raw,machine,verify=${'A'.repeat(64)}::file:///x.raw`).verify, {
    sha256: 'a'.repeat(64),
  })
  for (const bad of [
    '',
    'raw',
    'raw,machine',
    'raw,machine:x',
    'machine::http://h/x',
    'raw::http://h/x',
    'raw,tar,machine::http://h/x',
    'raw,machine,sysext::http://h/x',
    'raw,machine,verify=maybe::http://h/x',
    'raw,machine,runtime=maybe::http://h/x',
    'raw,machine,more::http://h/x',
    'tar,machine,blockdev::http://h/x',
    'raw,machine::ftp://h/x',
    'raw,machine::relative',
    'raw,machine::http://[',
  ])
    assert.throws(() => parsePullExpression(bad), { code: 'ERR_DDI_USAGE' }, bad)
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parsePullExpression(text)
      } catch (error) {
        assert.ok(error instanceof DdiError && error.code === 'ERR_DDI_USAGE')
      }
    }),
    { numRuns: 2000 },
  )
  assert.deepEqual(expressionsIn('# comment\n\n raw,machine::http://h/x \ntar,sysext::http://h/y'), [
    'raw,machine::http://h/x',
    'tar,sysext::http://h/y',
  ])
})

const sha256sum = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

test('all requests of the command line and the credential are fulfilled and reported, even if some fail', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const name of ['www', 'credentials', 'tree', 'sysroot']) mkdirSync(at(name))
  writeFileSync(at('www/extension.raw'), Buffer.alloc(300_000, 'ext'))
  writeFileSync(at('tree/os-release'), 'ID=pulled\n')
  run('sh', '-c', `tar -C '${at('tree')}' -cf '${at('www/os.tar')}' . && cd '${at('www')}' && sha256sum * > SHA256SUMS`)
  await using nginx = await serveByNginx(at('www'), at('nginx'))
  const expressions = [
    `raw,sysext,verify=${sha256sum(at('www/extension.raw'))}::${nginx.url}/extension.raw`,
    `raw,sysext,verify=checksum:untrusted:${nginx.url}/extension.raw`,
    `tar,machine,verify=${sha256sum(at('www/os.tar'))},ro:os_1:${nginx.url}/os.tar`,
    `raw,portable,verify=no::${nginx.url}/none.raw`,
    'raw,machine,bootorigin::other.raw',
    'nonsense',
  ]
  writeFileSync(
    at('cmdline'),
    `quiet ${expressions.map((one) => `rd.systemd.pull=${one}`).join(' ')} systemd.pull=ignored\n`,
  )
  writeFileSync(
    at('credentials/import.pull'),
    `# from a credential\nraw,portable,verify=no:own:${nginx.url}/extension.raw\n`,
  )
  // A /proc/cmdline and a /run of its own.
  const script = `
    mount --bind '${at('cmdline')}' /proc/cmdline && mount -t tmpfs tmpfs /run &&
    { CREDENTIALS_DIRECTORY='${at('credentials')}' '${process.execPath}' '${cliPath}' pull --from-cmdline --initrd \
      --sysroot '${at('sysroot')}' --json=short > '${at('told')}' 2> '${at('errors')}'; echo $? > '${at('status')}'; } &&
    cat '${at('sysroot')}/os-release' > '${at('seen')}' && ! touch '${at('sysroot')}/new' 2> /dev/null &&
    find /run -type f -path '*/*' ! -path '/run/lock/*' | sort > '${at('made')}'`
  run('unshare', '--mount', 'sh', '-ec', script)
  assert.equal(readFileSync(at('seen'), 'utf8'), 'ID=pulled\n')
  assert.deepEqual(readFileSync(at('made'), 'utf8').trim().split('\n'), [
    '/run/extensions/extension.raw',
    '/run/machines/os_1/os-release',
    '/run/portables/own.raw',
  ])
  const told = readFileSync(at('told'), 'utf8')
  checkJson(['pull'], told)
  const { pulls } = JSON.parse(told) as { pulls: { state: string; error: { code: string } | null }[] }
  assert.deepEqual(
    pulls.map(({ state, error }) => error?.code ?? state),
    ['pulled', 'ERR_DDI_UNTRUSTED', 'pulled', 'ERR_DDI_PULL_NOT_FOUND', 'skipped', 'ERR_DDI_USAGE', 'pulled'],
  )
  assert.match(readFileSync(at('errors'), 'utf8'), /skipped raw,machine,bootorigin::other\.raw/)
  assert.equal(readFileSync(at('status'), 'utf8').trim(), '3')
  assert.match(readFileSync(at('errors'), 'utf8'), /none\.raw/)
  assert.ok(!existsSync('/run/machines/os_1'))
})

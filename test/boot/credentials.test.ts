import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCredentialName, joinCredentials, leaveCredentials, readCredentials } from '../../lib/boot/credentials.js'
import { parseOemStrings } from '../../lib/boot/oem-strings.js'
import { bootIn } from '../support/boot.js'
import { temporaryFolder } from '../support/run.js'

/** A structure of SMBIOS with its strings, as qemu makes it of -smbios type=11,value=… */
function oemStrings(...strings: readonly string[]): Buffer {
  const header = Buffer.from([11, 5, 0, 11, strings.length])
  return Buffer.concat([header, ...strings.map((one) => Buffer.from(`${one}\0`)), Buffer.from([0])])
}

test('credentials are found where systemd finds them, of one name the first', async () => {
  using folder = temporaryFolder()
  const root = folder.path
  const { put, parameters, said, log } = bootIn(
    root,
    'systemd.set_credential=line:a:b systemd.set_credential_binary=binary:AAEC systemd.set_credential=both:line systemd.set_credential=none',
  )
  const firmware = 'sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials'
  put(`${firmware}/firmware/raw`, 'of qemu')
  put(`${firmware}/both/raw`, 'of qemu')
  put(
    'sys/firmware/dmi/entries/11-0/raw',
    oemStrings('io.systemd.credential:smbios=x=y', 'other', 'io.systemd.credential.binary:smbios.binary=/+8='),
  )
  put('sys/firmware/dmi/entries/1-0/raw', Buffer.from([1, 4, 0, 0, 0]))
  put(
    'sys/firmware/dmi/entries/11-1/raw',
    oemStrings('io.systemd.credential.binary:bad=%', 'io.systemd.credential:a/b=x'),
  )
  put('run/credentials/@initrd/left', 'here')
  const found = await readCredentials(root, parameters.text, log.say)
  const expected = {
    both: 'of qemu',
    firmware: 'of qemu',
    smbios: 'x=y',
    'smbios.binary': Buffer.from([0xff, 0xef]),
    line: 'a:b',
    binary: Buffer.from([0, 1, 2]),
    left: 'here',
  }
  assert.deepEqual(
    Object.fromEntries([...found].map(([name, value]) => [name, Buffer.from(value)])),
    Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, Buffer.from(value)])),
  )
  assert.deepEqual(said, [
    'credential bad left out: it is not in base64',
    'credential a/b left out: its name is not valid',
  ])
  await leaveCredentials(root, found)
  const left = join(root, 'run/credentials/@initrd')
  assert.deepEqual(readdirSync(left).sort(), Object.keys(expected).sort())
  assert.equal(readFileSync(join(left, 'smbios'), 'utf8'), 'x=y')
  assert.equal(statSync(join(left, 'smbios')).mode & 0o777, 0o400)
})

test('in a confidential machine, what the host says does not count', async () => {
  using folder = temporaryFolder()
  const { put, parameters, log, root } = bootIn(folder.path, 'systemd.set_credential=a:line')
  put('sys/firmware/dmi/entries/11-0/raw', oemStrings('io.systemd.credential:a=host', 'io.systemd.credential:b=host'))
  assert.deepEqual([...(await readCredentials(root, parameters.text, log.say)).keys()], ['a', 'b'])
  for (const device of ['platform/sev-guest', 'platform/arm-cca-dev', 'virtual/misc/tdx_guest']) {
    put(`sys/devices/${device}/uevent`, '')
    const inside = await readCredentials(root, parameters.text, log.say)
    assert.deepEqual(
      [...inside].map(([name, value]) => [name, String(value)]),
      [['a', 'line']],
      device,
    )
    rmSync(join(root, 'sys/devices', device), { recursive: true })
  }
})

test('credentials have names and sizes that systemd takes', () => {
  for (const name of ['a', 'import.pull', 'with space', '~', 'x'.repeat(255)]) assert.ok(isCredentialName(name), name)
  for (const name of ['', '.', '..', 'a/b', 'a:b', 'ä', 'a\n', 'x'.repeat(256)])
    assert.ok(!isCredentialName(name), name)
  const notes: string[] = []
  const large = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({
    name,
    value: Buffer.alloc(name === 'a' ? 2 ** 20 + 1 : 2 ** 20),
  }))
  assert.deepEqual([...joinCredentials(large, (text) => notes.push(text)).keys()], ['b', 'c', 'd', 'e'])
  assert.equal(notes.length, 2)
})

test('any structure of SMBIOS has strings or none', () => {
  assert.deepEqual(parseOemStrings(oemStrings('one', 'two')).map(String), ['one', 'two'])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const whole = Uint8Array.from([11, ...bytes])
      for (const one of parseOemStrings(whole)) assert.ok(one.length > 0 && !one.includes(0))
    }),
  )
})

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isCredentialName, readCredentials } from '../../../lib/boot/credentials.js'
import type { Target } from '../target.js'

const root = join(tmpdir(), 'credentials')
const entry = join(root, 'sys/firmware/dmi/entries/11-0')
mkdirSync(entry, { recursive: true })

const structure = (text: string) => Buffer.concat([Buffer.from([11, 5, 0, 11, 2]), Buffer.from(`${text}\0\0`)])

/** Strings of SMBIOS, and the same bytes as a command line. */
export default {
  seeds: [
    structure('io.systemd.credential:a=b'),
    structure('io.systemd.credential.binary:a=AAEC\0io.systemd.credential:x=y'),
    Buffer.from('systemd.set_credential=a:b systemd.set_credential_binary=c:AAEC'),
  ],
  large: [
    () => structure('io.systemd.credential:a='.repeat(100_000)),
    () => structure('io.systemd.credential:a=b\0'.repeat(100_000)),
  ],
  words: [
    'io.systemd.credential:',
    'io.systemd.credential.binary:',
    '=',
    '\0',
    'systemd.set_credential=',
    '..',
    'AAEC',
    ':',
  ],
  async run(bytes) {
    writeFileSync(join(entry, 'raw'), bytes)
    let sum = 0
    for (const [name, value] of await readCredentials(root, bytes.toString('utf8'), () => {})) {
      assert.ok(isCredentialName(name) && !name.includes('/'))
      sum += value.length
    }
    assert.ok(sum <= 4 * 1024 * 1024)
  },
} satisfies Target

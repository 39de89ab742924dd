import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { besideOrigin, findBootOrigin } from '../../../lib/boot/origin.js'
import type { Target } from '../target.js'

const root = join(tmpdir(), 'boot')
const efivars = join(root, 'sys/firmware/efi/efivars')
for (const folder of [efivars, join(root, 'var/lib/dhcp'), join(root, 'proc')]) mkdirSync(folder, { recursive: true })
const commandLine = join(root, 'proc/cmdline')

/** A lease of a DHCP client, and the same bytes as a variable of the firmware. */
export default {
  seeds: [
    Buffer.from(
      'lease {\n  filename "http://a/b";\n  option bootfile-name "http://c/d";\n}\nBOOTFILE=\'http://h/x\'\n',
    ),
    Buffer.concat([Buffer.alloc(4), Buffer.from('http://a/b.efi\0', 'utf16le')]),
  ],
  large: ['\n', ' ', 'option ', 'filename=', 'filename "a'].map((text) => () => Buffer.from(text.repeat(200_000))),
  words: [
    'filename "',
    'ddi.url=',
    'ddi.url=lease',
    'dhcp6.bootfile-url "',
    'interface "',
    'option ',
    'BOOTFILE=',
    '"',
    "'",
    ';',
    'http://',
    'https://h/',
    '\n',
    '\u{1b}[2J',
  ],
  async run(bytes) {
    writeFileSync(join(root, 'var/lib/dhcp/x.leases'), bytes)
    writeFileSync(join(efivars, 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f'), bytes)
    for (const line of [bytes, 'ddi.url=lease\n']) {
      writeFileSync(commandLine, line)
      const origin = await findBootOrigin({ root })
      if (origin) check(origin.url, bytes)
    }
  },
} satisfies Target

function check(url: string, bytes: Buffer): void {
  assert.doesNotMatch(url, /[\s\p{Cc}]/u)
  const { host } = new URL(url)
  for (const remote of ['', 'x.raw', '//b/c', '..', bytes.toString('latin1')])
    for (const beside of besideOrigin(url, remote)) assert.equal(beside.host, host)
}

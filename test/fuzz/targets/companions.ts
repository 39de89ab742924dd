import assert from 'node:assert/strict'
import { companionsIn } from '../../../lib/boot/companion-list.js'
import type { Target } from '../target.js'

const hash = 'ab'.repeat(32)

/** A list of checksums beside a kernel. */
export default {
  seeds: [Buffer.from(`${hash}  a.cred\n${hash} *b.sysext.raw\nSHA256 (c.confext.raw) = ${hash}\n`)],
  large: [
    () => Buffer.from(`${hash}  a.cred\n`.repeat(20_000)),
    () => Buffer.from(`${hash}  ${'a'.repeat(2_000_000)}.cred`),
  ],
  words: [
    `${hash}  `,
    'acme.efi.extra.d/',
    '.cred',
    '.sysext.raw',
    '.confext.raw',
    '../',
    './',
    '\n',
    ' *',
    '%2f',
    '?',
  ],
  run(bytes) {
    const found = companionsIn(bytes.toString('utf8'), 'acme.efi.extra.d')
    for (const { file, name } of found) assert.ok(!file.includes('/') && !name.includes('/') && name.length <= 255)
  },
} satisfies Target

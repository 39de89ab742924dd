import assert from 'node:assert/strict'
import { parseDirectoryBlock } from '../../../lib/mount/erofs.js'
import { parseListing, parseStat } from '../../../lib/mount/ext4.js'
import { parsePseudoFile } from '../../../lib/mount/squashfs.js'
import type { Target } from '../target.js'

const seeds = [
  '/2/040755/0/0/.//\n/2/040755/0/0/..//\n/12/104755/1000/100001/a b/2/\n/0/000000/0/0/deleted//\n',
  'User:     0   Group:     0   Project:     0   Size: 1048576\n mtime: 0x6b06da6b:00000000 -- Wed\n',
  '/ D 1795611243 755 0 0\nd\\ x D 1795611989 1755 0 7\nz L d\\ x\n#\n# START OF DATA - DO NOT MODIFY\n#\n',
]

/** What debugfs and unsquashfs print of a file system, and directories of EROFS. */
export default {
  seeds: seeds.map((text) => Buffer.from(text)),
  large: ['/2/040755/0/0/', '/ ', '/12/100644/0/0/x/1/\n', '/ L x\n'].map(
    (text) => () => Buffer.from(text.repeat(100_000)),
  ),
  words: [
    '/12/100644/0/0/',
    '/2/040755/0/0/.//\n',
    '..',
    '\\',
    ' L ',
    ' R 1 644 0 0 1 0 0\n',
    '# START OF DATA',
    'mtime: 0x',
    ' Size: ',
  ],
  run(bytes) {
    const text = bytes.toString('latin1')
    const parsers = [parseListing, (one: string) => parseStat(one, 'x'), parsePseudoFile]
    const way = bytes[0] === 0x2f ? (bytes[1] === 0x20 ? 2 : 0) : bytes[0] === 0x55 ? 1 : undefined
    if (way !== undefined) return void parsers[way]!(text)
    for (const { name } of parseDirectoryBlock(bytes, '')) assert.doesNotMatch(name, /^$|^\.\.?$|[/\0]/)
  },
} satisfies Target

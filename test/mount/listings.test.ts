// The listings of the tools, as they print them, and what no honest file system has in them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWalkOrder, isWithin, nameText, type TreeEntry } from '../../lib/mount/entries.js'
import { parseDirectoryBlock } from '../../lib/mount/erofs.js'
import { parseListing, parseStat } from '../../lib/mount/ext4.js'
import { parsePseudoFile } from '../../lib/mount/squashfs.js'

const refused = { code: 'ERR_DDI_FILE_SYSTEM' } as const

test('debugfs: directories', () => {
  const text = [
    '/2/040755/0/0/.//',
    '/2/040755/0/0/..//',
    '/12/104755/1000/100001/a b/2/',
    '/13/020644/0/0/null/0/',
    '/0/000000/0/0/deleted//',
    '/14/100644/0/0/12/100644/3/',
    '',
  ]
  assert.throws(() => parseListing(text.join('\n')), refused, 'a slash in a name')
  const entries = parseListing(text.toSpliced(5, 1).join('\n'))
  assert.deepEqual(entries.slice(2), [
    { inode: '12', mode: 0o104755, uid: 1000, gid: 100_001, name: 'a b', size: 2 },
    { inode: '13', mode: 0o020644, uid: 0, gid: 0, name: 'null', size: 0 },
  ])
  // debugfs prints owners as signed numbers.
  const [, owned] = parseListing('/2/040755/0/0/.//\n/12/100644/-294967296/-1/x/1/')
  assert.deepEqual([owned?.uid, owned?.gid], [4_000_000_000, 2 ** 32 - 1])
  const twins = ['/2/040755/0/0/.//', '/12/100644/0/0/x/1/', '/13/120777/0/0/x/1/']
  assert.throws(() => parseListing(twins.join('\n')), refused)
  for (const text of ['', '/12/100644/0/0/x/1/', '/2/040755/0/0/.//\n/12/100644/0/0/a\nb/1/'])
    assert.throws(() => parseListing(text), refused)
})

test('debugfs: inodes, with times before 1970 and after 2038', () => {
  const stat = (mtime: string) => `Inode: 12   Type: regular    Mode:  0644   Flags: 0x80000
User:     0   Group:     0   Project:     0   Size: 1048576
 ctime: 0x6b06da6b:00000000 -- Wed Nov 25 12:54:03 2026
 atime: 0x6b06da6b:00000000 -- Wed Nov 25 12:54:03 2026
 mtime: ${mtime} -- as debugfs says it
`
  assert.deepEqual(parseStat(stat('0x6b06da6b:00000000'), 'x'), { size: 1_048_576, modified: 1_795_611_243 })
  assert.equal(parseStat(stat('0xed30ea00:00000000'), 'x').modified, -315_561_472)
  assert.equal(parseStat(stat('0xa9482080:3b9ac9fd'), 'x').modified, 2_840_076_416)
  assert.equal(parseStat(stat('0x6b06da6b'), 'x').modified, 1_795_611_243)
  for (const text of ['', 'Inode: 12', stat('never')]) assert.throws(() => parseStat(text, 'x'), refused)
})

test('unsquashfs: escapes, hard links, and lines that are none', () => {
  const parse = (...lines: readonly string[]) =>
    parsePseudoFile(['/ D 1795611243 755 0 0', ...lines, '#', '# START OF DATA - DO NOT MODIFY', '#', ''].join('\n'))
  const [root, a, b, z] = parse(
    String.raw`d\ x D 1795611989 1755 0 7`,
    String.raw`d\ x/a\"b\\ R 1795611989 4644 1000 0 2 0 0`,
    String.raw`z\ z L d\ x/a\"b\\`,
  )
  assert.deepEqual([root!.path, a!.path, b!.path, z!.path], ['', 'd x', 'd x/a"b\\', 'z z'])
  assert.deepEqual([a!.mode, a!.gid], [0o1755, 7])
  assert.deepEqual({ ...z!, path: b!.path }, b)
  const odd = [
    'new',
    'x R 1795611989 644 0',
    'x R 1795611989 888 0 0 1 1',
    '/ D 1795611243 755 0 0',
    'x L nowhere',
    ' R 1 1 1 1',
  ]
  for (const line of odd) assert.throws(() => parse(line), refused, line)
  assert.throws(() => parsePseudoFile('/ D 1795611243 755 0 0\n'), { code: 'ERR_DDI_TOOL' })
})

test('EROFS: blocks of directories', () => {
  const block = (names: readonly (readonly [string, number])[], { first = names.length * 12, padding = 0 } = {}) => {
    const records = Buffer.alloc(names.length * 12)
    let start = first
    for (const [index, [name, node]] of names.entries()) {
      records.writeBigUInt64LE(BigInt(node), index * 12)
      records.writeUInt16LE(start, index * 12 + 8)
      start += name.length
    }
    return Buffer.concat([records, Buffer.from(names.map(([name]) => name).join(''), 'latin1'), Buffer.alloc(padding)])
  }
  const good = [
    ['.', 36],
    ['..', 36],
    ['a b', 7],
    ['z\xff', 8],
  ] as const
  const expected = [
    { name: 'a b', node: 7 },
    { name: 'z\xff', node: 8 },
  ]
  assert.deepEqual(parseDirectoryBlock(block(good), ''), expected)
  assert.deepEqual(parseDirectoryBlock(block(good, { padding: 100 }), ''), expected)
  for (const name of ['../x', 'a/b', 'a\0b', '']) {
    assert.throws(
      () =>
        parseDirectoryBlock(
          block([
            ['.', 36],
            [name, 7],
            ['z', 8],
          ]),
          '',
        ),
      refused,
      JSON.stringify(name),
    )
  }
  const short = block(good)
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(64),
    short.subarray(0, 40),

    block(good, { first: 7 }),
  ])
    assert.throws(() => parseDirectoryBlock(bytes, ''), refused)
})

test('a walk goes by the bytes of names, directories before what is in them', () => {
  const entry = (path: string): TreeEntry => ({
    path,
    kind: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    modified: 0,
    target: null,
  })
  const paths = ['a', 'a/b', 'a/b/c', 'a b', 'a.b', 'a0', 'z', '\u{ff5e}', '\u{1f600}']
  assert.deepEqual(
    inWalkOrder(paths.toReversed().map(entry)).map(({ path }) => path),
    paths,
  )
  assert.throws(() => inWalkOrder(['a', 'b', 'a'].map(entry)), refused)
  assert.throws(() => nameText(Buffer.from('a\xff', 'latin1'), ''), { ...refused, message: /UTF-8.*aÿ/ })
  assert.deepEqual(
    [isWithin('a/b', 'a'), isWithin('a', 'a'), isWithin('ab', 'a'), isWithin('a', '')],
    [true, true, false, true],
  )
})

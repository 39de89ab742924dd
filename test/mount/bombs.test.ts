// Small images of endless trees: directories with two names, files with many, files larger than any disk.
import assert from 'node:assert/strict'
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import { imageOn, withTree } from '../../lib/index.js'
import { walkBounds } from '../../lib/mount/bounds.js'
import { cli, cliAsNobody, run, temporaryFolder } from '../support/run.js'

/** So many that nobody would live to see the end of 2^n paths. */
const levels = 48

/** A tree of directories, each of which has two: the next one, and an empty one to be made the same. */
function deepTree(folder: string): string {
  const tree = join(folder, 'tree')
  mkdirSync(tree)
  for (let level = 0, at = tree; level < levels; level++, at = join(at, 'aaa'))
    for (const name of ['aaa', 'bbb']) mkdirSync(join(at, name))
  return tree
}

/** Lets the second directory of each level be the first. @returns how many levels were found */
function copyWithin(
  bytes: Buffer,
  find: (at: number) => { readonly from: number; readonly to: number } | undefined,
  size: number,
) {
  let changed = 0
  for (let at = 0; at < bytes.length - 64; at++) {
    const found = find(at)
    if (!found) continue
    bytes.copy(bytes, found.to, found.from, found.from + size)
    changed++
  }
  return changed
}

function doubledSquashfs(folder: string): string {
  const path = join(folder, 'squashfs.raw')
  run('mksquashfs', deepTree(folder), path, '-quiet', '-no-progress', '-noI')
  const bytes = readFileSync(path)
  // Entries of eight bytes and a name: the first two are where the inode lies.
  const nameAt = (at: number, name: string) => bytes.toString('latin1', at + 8, at + 11) === name
  const changed = copyWithin(
    bytes,
    (at) => (nameAt(at, 'aaa') && nameAt(at + 11, 'bbb') ? { from: at, to: at + 11 } : undefined),
    2,
  )
  assert.equal(changed, levels)
  writeFileSync(path, bytes)
  return path
}

function doubledErofs(folder: string): string {
  const path = join(folder, 'erofs.raw')
  run('mkfs.erofs', '--quiet', '-E', 'noinline_data', path, deepTree(folder))
  const bytes = readFileSync(path)
  // A directory's records of twelve bytes, which begin with the node, are those of `.`, `..`, `aaa` and `bbb`.
  const isDirectory = (at: number) =>
    bytes.readUInt16LE(at + 8) === 48 && bytes.toString('latin1', at + 48, at + 57) === '...aaabbb'
  const changed = copyWithin(bytes, (at) => (isDirectory(at) ? { from: at + 24, to: at + 36 } : undefined), 8)
  assert.equal(changed, levels)
  // Without its checksum.
  bytes[1024 + 8]! &= 0xfe
  writeFileSync(path, bytes)
  return path
}

function doubledExt4(folder: string): string {
  const path = join(folder, 'ext4.raw')
  run('truncate', '-s', '16M', path)
  run('mkfs.ext4', '-q', '-O', '^has_journal,^dir_index,^metadata_csum', path)
  const all = Array.from({ length: levels + 1 }, (_, level) => level)
  const commands = [
    ...all.map((level) => `mkdir x${level}`),
    ...all.slice(1).flatMap((level) => ['a', 'b'].map((name) => `link x${level} x${level - 1}/${name}`)),
    ...all.slice(1).map((level) => `unlink x${level}`),
  ]
  const script = join(folder, 'commands')
  writeFileSync(script, commands.join('\n'))
  run('debugfs', '-w', '-f', script, path)
  return path
}

test('directories with two names are entered once: what doubles with each level is refused', () => {
  const makers = { squashfs: doubledSquashfs, erofs: doubledErofs, ext4: doubledExt4 }
  for (const [type, make] of Object.entries(makers)) {
    using folder = temporaryFolder()
    chmodSync(folder.path, 0o755)
    const path = make(folder.path)
    for (const verb of ['list-files', 'digest'])
      for (const call of [cliAsNobody, cli]) {
        const { status, stderr } = call(verb, path)
        // unsquashfs sees it too.
        assert.match(stderr, type === 'squashfs' ? /ERR_DDI_(FILE_SYSTEM|TOOL)/ : /two names.*ERR_DDI_FILE_SYSTEM/)
        assert.notEqual(status, 0)
      }
    assert.notEqual(cliAsNobody('copy-from', path, '/', join(folder.path, 'out')).status, 0)
  }
})

test('no tree has more names than are read, nor longer ones, and counting looks at signals', () => {
  const refused = { code: 'ERR_DDI_FILE_SYSTEM' }
  const many = walkBounds()
  for (let n = 0; n < 1_000_000; n++) many.count('x')
  assert.throws(() => many.count('x'), refused)
  const long = walkBounds()
  const path = 'x'.repeat(4096)
  for (let n = 0; n < 65_536; n++) long.count(path)
  assert.throws(() => long.count('x'), refused)
  assert.throws(() => walkBounds(AbortSignal.abort()).count('x'), { code: 'ERR_DDI_ABORTED' })
})

test('a file of an ext4 with many names is taken out once', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'sub'), { recursive: true })
  writeFileSync(join(tree, 'one'), 'same')
  for (const name of ['two', 'sub/three']) linkSync(join(tree, 'one'), join(tree, name))
  const path = join(folder.path, 'ext4.raw')
  run('truncate', '-s', '8M', path)
  run('mkfs.ext4', '-q', '-d', tree, path)
  await using image = await imageOn(memorySource(readFileSync(path)), { name: 'memory' })
  await withTree(image, {}, async ({ root }) => {
    const [one, two, three] = ['one', 'two', 'sub/three'].map((name) => statSync(join(root.path, name)).ino)
    assert.deepEqual([two, three], [one, one])
    assert.equal(readFileSync(join(root.path, 'sub/three'), 'utf8'), 'same')
  })
})

test('files that are larger than the disk they would be taken out to are refused before', () => {
  const huge = 2 ** 50
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const refuses = (path: string) => {
    assert.match(cliAsNobody('list-files', path).stderr, /bytes at least.*ERR_DDI_NO_SPACE/, path)
  }
  const ext4 = join(folder.path, 'ext4.raw')
  run('truncate', '-s', '16M', ext4)
  run('mkfs.ext4', '-q', ext4)
  run('debugfs', '-w', '-R', 'write /dev/null file', ext4)
  run('debugfs', '-w', '-R', `set_inode_field file size ${huge}`, ext4)
  refuses(ext4)

  const erofs = join(folder.path, 'erofs.raw')
  const tree = join(folder.path, 'tree')
  mkdirSync(tree)
  writeFileSync(join(tree, 'file'), 'x'.repeat(54_321))
  run('mkfs.erofs', '--quiet', '-E', 'force-inode-extended', erofs, tree)
  const bytes = readFileSync(erofs)
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(54_321n)
  bytes.writeBigUInt64LE(BigInt(huge), bytes.indexOf(size))
  writeFileSync(erofs, bytes)
  refuses(erofs)
})

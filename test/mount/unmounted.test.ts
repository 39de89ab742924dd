// Images that are read without a mount: what a root hash covers is verified, and nothing is written elsewhere.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import { buildImage, imageOn, mountImage, withTree } from '../../lib/index.js'
import { defineImage } from '../support/images.js'
import { cliAsNobody, run, temporaryFolder } from '../support/run.js'

test('nothing is handed out of a volume that does not match its root hash', () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const tree = join(folder.path, 'tree')
  mkdirSync(tree)
  writeFileSync(join(tree, 'blob'), randomBytes(1_000_000))
  writeFileSync(join(tree, 'policy'), `permit=no${'#'.repeat(9000)}`)
  for (const format of ['erofs', 'squashfs', 'ext4']) {
    const path = join(folder.path, `${format}.raw`)
    const hash = join(folder.path, `${format}.verity`)
    if (format === 'erofs') run('mkfs.erofs', '--quiet', path, tree)
    else if (format === 'squashfs') run('mksquashfs', tree, path, '-quiet', '-noappend', '-no-progress', '-noD', '-noF')
    else run('sh', '-euc', 'truncate -s 8M "$1"; mkfs.ext4 -q -d "$2" "$1"', 'sh', path, tree)
    const rootHash = /Root hash:\s*(\S+)/.exec(run('veritysetup', 'format', path, hash))![1]!
    chmodSync(hash, 0o644)
    for (const args of [[], ['--image-policy=root=verity']])
      assert.match(cliAsNobody('copy-from', path, 'policy', '--root-hash', rootHash, ...args).stdout, /^permit=no#/)
    const bytes = readFileSync(path)
    bytes.write('permit=ok', bytes.indexOf('permit=no'))
    writeFileSync(path, bytes)
    for (const verb of [
      ['copy-from', path, 'policy'],
      ['copy-from', path, 'blob'],
      ['digest', path],
      ['list-files', path],
      ['inspect', '--contents', path],
    ]) {
      const { status, stdout, stderr } = cliAsNobody(...verb, '--root-hash', rootHash)
      assert.equal(status, 3)
      assert.match(stderr, /ERR_DDI_VERITY_CORRUPT/, verb.join(' '))
      assert.ok(verb[0] === 'inspect' || stdout === '', stdout)
    }
    // Beside the image it counts too.
    writeFileSync(join(folder.path, `${format}.roothash`), rootHash)
    assert.match(cliAsNobody('copy-from', path, 'policy').stderr, /ERR_DDI_VERITY_CORRUPT/)
  }
})

test('strictly, a root hash of usr does not let an uncovered root be read', async () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'usr'), { recursive: true })
  mkdirSync(join(tree, 'etc'))
  writeFileSync(join(tree, 'usr/file'), 'x')
  writeFileSync(join(tree, 'etc/name'), 'root')
  const path = join(folder.path, 'image.raw')
  const built = await buildImage(
    defineImage(folder.path, {
      '10-root': ['Type=root', 'Format=squashfs', 'CopyFiles=/'],
      '20-usr': ['Type=usr', 'Format=erofs', 'CopyFiles=/usr:/', 'Verity=data', 'VerityMatchKey=u'],
      '21-verity': ['Type=usr-verity', 'Verity=hash', 'VerityMatchKey=u'],
    }),
    path,
    { root: tree },
  )
  chmodSync(path, 0o644)
  const usrHash = built.partitions.find(({ rootHash }) => rootHash !== null)!.rootHash!
  for (const strict of ['--image-policy=usr=verity:=ignore', '--strict']) {
    assert.equal(cliAsNobody('list-files', path, '--usr-hash', usrHash, strict).stdout, 'usr\nusr/file\n')
    assert.equal(cliAsNobody('copy-from', path, 'usr/file', '--usr-hash', usrHash, strict).stdout, 'x')
    assert.match(cliAsNobody('copy-from', path, 'etc/name', '--usr-hash', usrHash, strict).stderr, /ERR_DDI_NOT_FOUND/)
  }
  // Else it is data, as /home would be.
  assert.equal(cliAsNobody('copy-from', path, 'etc/name', '--usr-hash', usrHash).stdout, 'root')
})

test('an image in memory is read by the tools, as root too, and cannot be mounted', async () => {
  using folder = temporaryFolder()
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'etc'), { recursive: true })
  writeFileSync(join(tree, 'etc/hostname'), 'box\n')
  const isRoot = process.getuid?.() === 0
  if (isRoot) run('mknod', join(tree, 'null'), 'c', '1', '3')
  for (const format of ['erofs', 'squashfs', 'ext4']) {
    const path = join(folder.path, format)
    const image = ['Type=root', `Format=${format}`, 'CopyFiles=/']
    await buildImage(defineImage(folder.path, { root: image }), path, { root: tree })
    await using opened = await imageOn(memorySource(readFileSync(path)), { name: 'memory' })
    await withTree(opened, {}, async ({ source, entries, root }) => {
      assert.equal(source.kind, 'tool')
      const found = new Map<string, string>()
      for await (const { path, kind } of entries()) found.set(path, kind)
      assert.equal(found.get('etc/hostname'), 'file')
      assert.equal(found.get('null'), isRoot ? 'character-device' : undefined)
      // No device comes into being.
      assert.ok(!existsSync(join(root.path, 'null')))
    })
    await assert.rejects(
      withTree(opened, { writable: true }, async () => undefined),
      { code: 'ERR_DDI_PERMISSION' },
    )
    await assert.rejects(mountImage(opened, folder.path))
  }
})

test('an EROFS with a path for a name, or twins, writes nowhere but where it is to', () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o777)
  const tree = join(folder.path, 'tree')
  mkdirSync(tree)
  const victim = join(folder.path, 'victim')
  writeFileSync(victim, 'mine')
  chmodSync(victim, 0o666)
  writeFileSync(join(tree, '..xvi'), 'evil')
  symlinkSync(victim, join(tree, '..yvi'))
  const path = join(folder.path, 'good.raw')
  run('mkfs.erofs', '--quiet', path, tree)
  for (const name of ['../vi', '..yvi']) {
    const bytes = readFileSync(path)
    bytes.write(name, bytes.indexOf('..xvi'))
    const spoiled = join(folder.path, 'spoiled.raw')
    writeFileSync(spoiled, bytes)
    // Its checksum is wrong: the tool sees that, and says so by nothing but words.
    assert.match(cliAsNobody('list-files', spoiled).stderr, /ERR_DDI_FILE_SYSTEM/)
    bytes[1024 + 8]! &= 0xfe
    writeFileSync(spoiled, bytes)
    assert.match(cliAsNobody('list-files', spoiled).stderr, /ERR_DDI_FILE_SYSTEM/, name)
    assert.equal(readFileSync(victim, 'utf8'), 'mine')
  }
  copyFileSync(path, `${path}.copy`)
  assert.equal(cliAsNobody('copy-from', path, '..xvi').stdout, 'evil')
})

test('misspelt options are refused, and an aborted call leaves nothing', async () => {
  using folder = temporaryFolder()
  const misspelt = { roothash: 'ab' } as object
  await assert.rejects(mountImage('none.raw', folder.path, misspelt), { code: 'ERR_DDI_USAGE', message: /rootHash/ })
  const none = async () => assert.fail('there is no tree')
  await assert.rejects(withTree('none.raw', misspelt, none), { code: 'ERR_DDI_USAGE', message: /rootHash/ })
  const path = join(folder.path, 'image')
  run('mksquashfs', folder.path, path, '-quiet', '-no-progress')
  await using image = await imageOn(memorySource(readFileSync(path)), { name: 'memory' })
  const scratch = join(folder.path, 'scratch')
  mkdirSync(scratch)
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = scratch
  try {
    await assert.rejects(withTree(image, { signal: AbortSignal.abort() }, none), { code: 'ERR_DDI_ABORTED' })
    assert.deepEqual(readdirSync(scratch), [])
  } finally {
    if (TMPDIR === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = TMPDIR
  }
})

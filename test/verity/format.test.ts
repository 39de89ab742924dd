import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatFile } from '../../lib/index.js'
import { emptyFile, MiB, makeFileSystem, writeAt } from '../support/images.js'
import { makeIdentity } from '../support/keys.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'

const blockSizes = [512, 1024, 4096] as const
const parameters = fc.record({
  algorithm: fc.constantFrom('sha256' as const, 'sha512' as const),
  dataBlockSize: fc.constantFrom(...blockSizes),
  hashBlockSize: fc.constantFrom(...blockSizes),
  salt: fc.uint8Array({ maxLength: 256 }),
  uuid: fc.uuid(),
  // The edges of every level, in blocks, and anything up to 64 MiB.
  blocks: fc.oneof(
    fc.integer({ min: 1, max: 16384 }),
    fc.constantFrom(1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 256, 4095, 4096, 4097, 16383, 16384),
  ),
  more: fc.integer({ min: 0, max: 511 }),
  holes: fc.boolean(),
})

test('200 random sizes and parameters: tree and superblock are veritysetup’s to the byte', async () => {
  using folder = temporaryFolder()
  const [data, ours, theirs] = ['data', 'ours', 'theirs'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  await fc.assert(
    fc.asyncProperty(parameters, async ({ blocks, more, holes, ...options }) => {
      const size = blocks * options.dataBlockSize + more
      emptyFile(data, size)
      const bytes = randomBytes(holes ? Math.min(size, 100_000) : size)
      writeAt(data, holes ? Math.floor((size - bytes.length) / 2) : 0, bytes)
      emptyFile(theirs, 0)
      const salt = Buffer.from(options.salt)
      const report = run(
        ...(['veritysetup', 'format', data, theirs, `--hash=${options.algorithm}`] as const),
        ...[`--data-block-size=${options.dataBlockSize}`, `--hash-block-size=${options.hashBlockSize}`],
        ...[`--salt=${salt.toString('hex') || '-'}`, `--uuid=${options.uuid}`],
      )
      const { rootHash } = await formatFile(data, ours, { ...options, salt, replace: true })
      assert.equal(Buffer.from(rootHash).toString('hex'), /^Root hash:\s*([0-9a-f]+)$/m.exec(report)![1])
      // A tree without levels is a superblock, of which veritysetup writes 512 bytes.
      const tree = readFileSync(ours)
      const expected = readFileSync(theirs)
      assert.ok(tree.subarray(0, expected.length).equals(expected))
      assert.ok(tree.subarray(expected.length).every((byte) => byte === 0))
      assert.ok(tree.length - expected.length < options.hashBlockSize)
    }),
    { numRuns: 200 },
  )
})

test('appended to its data, and beside it: what we format veritysetup verifies, and what is damaged we name', () => {
  using folder = temporaryFolder()
  const data = join(folder.path, 'data.raw')
  writeFileSync(data, randomBytes(3 * MiB + 4096))
  const made = cli('verity', 'format', data, `--root-hash-file=${join(folder.path, 'data.roothash')}`)
  assert.equal(made.status, 0, made.stderr)
  const rootHash = made.stdout.trim()
  const tree = join(folder.path, 'data.verity')
  run('veritysetup', 'verify', data, tree, rootHash)
  assert.equal(readFileSync(join(folder.path, 'data.roothash'), 'utf8').trim(), rootHash)
  // Both lie where verify and attach look for them.
  assert.equal(cli('verify', data).status, 0)
  assert.match(cli('verity', 'format', data).stderr, /ERR_DDI_EXISTS/)
  const dumped = JSON.parse(cli('verity', 'dump', tree, '--json=short').stdout)
  assert.match(run('veritysetup', 'dump', tree), new RegExp(`UUID:\\s+${dumped.uuid}`))
  const size = statSync(data).size
  const appended = cli('verity', 'format', data, '--append', '--json=short')
  assert.equal(appended.status, 0, appended.stderr)
  const { rootHash: second, hash } = JSON.parse(appended.stdout)
  assert.equal(hash.start, size)
  run('veritysetup', 'verify', data, data, second, `--hash-offset=${hash.start}`, `--data-blocks=${size / 4096}`)
  const offset = `--hash-offset=${hash.start}`
  // How much of the file that is: what was appended is not of it.
  const verified = cli('verity', 'verify', data, data, second, offset)
  assert.deepEqual([verified.status, verified.stdout.includes(`${size / 4096} blocks (3.0M of `)], [0, true])
  writeAt(data, 5 * 4096, Buffer.from('x'))
  const bad = cli('verity', 'verify', data, data, second, offset)
  assert.deepEqual([bad.status, bad.stdout], [3, `${data}: data block 5\n`])
})

test('what is appended is found behind whatever lies before it, twice too, and with any block sizes', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  emptyFile(at('fat'), 3 * MiB)
  run('mkfs.vfat', at('fat'))
  renameSync(makeFileSystem(folder.path, 'ext4'), at('short'))
  truncateSync(at('short'), 12 * MiB)
  emptyFile(at('luks'), 20 * MiB)
  run(
    'cryptsetup',
    'luksFormat',
    '--batch-mode',
    '--pbkdf=pbkdf2',
    '--pbkdf-force-iterations=1000',
    at('luks'),
    at('fat'),
  )
  for (const name of ['fat', 'short', 'luks'])
    for (const sizes of [[], ['--data-block-size=1024', '--hash-block-size=512', '--hash=sha512']]) {
      const made = cli('verity', 'format', at(name), '--append', ...sizes)
      assert.equal(made.status, 0, made.stderr)
      const verified = cli('verify', at(name), `--root-hash=${made.stdout.trim()}`)
      assert.equal(verified.status, 0, `${name} ${sizes}: ${verified.stderr}`)
    }
  const wrong = cli('verify', at('fat'), `--root-hash=${'00'.repeat(32)}`)
  assert.match(wrong.stderr, /ERR_DDI_ROOT_HASH_(WRONG|FORMAT)/)
})

test('a file system that ends within a block is refused before anything is written', () => {
  using folder = temporaryFolder()
  const path = makeFileSystem(folder.path, 'squashfs')
  writeFileSync(join(folder.path, 'tree/noise'), randomBytes(9000))
  run('mksquashfs', join(folder.path, 'tree'), path, '-noappend', '-quiet', '-nopad')
  const size = statSync(path).size
  assert.notEqual(size % 4096, 0)
  for (const more of [[], ['--append'], ['--append', '--dry-run']]) {
    const { status, stderr } = cli('verity', 'format', path, ...more)
    assert.deepEqual([status, /no whole block of 4096/.test(stderr)], [2, true], stderr)
  }
  assert.deepEqual([statSync(path).size, existsSync(`${path}.verity`)], [size, false])
  truncateSync(path, Math.ceil(size / 4096) * 4096)
  const made = cli('verity', 'format', path, '--append')
  assert.equal(cli('verify', path, `--root-hash=${made.stdout.trim()}`).status, 0, made.stderr)
})

test('appending that fails cuts off what was appended, and no other file, wherever the path leads by then', async () => {
  using folder = temporaryFolder()
  const [data, moved] = [join(folder.path, 'data'), join(folder.path, 'moved')]
  const bytes = randomBytes(2 * MiB)
  writeFileSync(data, bytes)
  const interrupt = new AbortController()
  const swap = () => {
    if (interrupt.signal.aborted) return
    renameSync(data, moved)
    writeFileSync(data, Buffer.alloc(5 * MiB, 'x'))
    interrupt.abort()
  }
  const work = { signal: interrupt.signal, onProgress: swap }
  await assert.rejects(formatFile(data, null, work), { code: 'ERR_DDI_ABORTED' })
  assert.equal(statSync(data).size, 5 * MiB)
  assert.ok(readFileSync(moved).equals(bytes))
})

test('what cannot be formatted says why, and leaves nothing', async () => {
  using folder = temporaryFolder()
  const data = join(folder.path, 'data')
  writeFileSync(data, randomBytes(MiB))
  const tree = join(folder.path, 'tree')
  const refused = async (options: Parameters<typeof formatFile>[2], code: string) =>
    await assert.rejects(formatFile(data, tree, options), { code })
  await refused({ salt: randomBytes(257) }, 'ERR_DDI_USAGE')
  await refused({ dataBlockSize: 1000 }, 'ERR_DDI_USAGE')
  await refused({ hashBlockSize: 256 }, 'ERR_DDI_USAGE')
  await refused({ uuid: 'none' }, 'ERR_DDI_USAGE')
  for (const dataSize of [100, -5, Number.NaN]) await refused({ dataSize }, 'ERR_DDI_USAGE')
  for (const dataBlockSize of [Number.NaN, 4096.5, 2 ** 32 + 4096]) await refused({ dataBlockSize }, 'ERR_DDI_USAGE')
  await refused({ salt: new Uint8Array(65536) }, 'ERR_DDI_USAGE')
  await refused({ hashSize: 4096 } as Parameters<typeof formatFile>[2], 'ERR_DDI_USAGE')
  await refused({ signal: AbortSignal.abort() }, 'ERR_DDI_ABORTED')
  await assert.rejects(formatFile(data, null, { signal: AbortSignal.abort() }), { code: 'ERR_DDI_ABORTED' })
  assert.equal(statSync(data).size, MiB)
  await assert.rejects(formatFile(data, join(folder.path, 'none/tree')), { code: 'ERR_DDI_NOT_FOUND' })
  assert.match(cli('verity', 'format', data, tree, '--hash=md5').stderr, /one of sha256, sha512/)
  assert.match(cli('verity', 'format', data, tree, '--salt=xyz').stderr, /ERR_DDI_USAGE/)
  truncateSync(data, 100)
  await refused({}, 'ERR_DDI_USAGE')
  assert.deepEqual(readdirSync(folder.path), ['data'])
})

test('a full disk is told, and leaves nothing', async (context) => {
  using folder = temporaryFolder()
  const mounted = join(folder.path, 'small')
  run('mkdir', mounted)
  if (attempt('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted).status !== 0)
    return context.skip('this machine lets nobody mount a tmpfs')
  try {
    const data = join(folder.path, 'data')
    writeFileSync(data, randomBytes(16 * MiB))
    await assert.rejects(formatFile(data, join(mounted, 'tree')), { code: 'ERR_DDI_NO_SPACE' })
    assert.deepEqual(readdirSync(mounted), [])
  } finally {
    run('umount', mounted)
  }
  assert.ok(!existsSync(join(mounted, 'tree')))
})

test('a tree never goes where its data lie, nor over what a device holds unless forced', (context) => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const data = at('data')
  writeFileSync(data, readFileSync(makeFileSystem(folder.path, 'ext4')))
  const bytes = readFileSync(data)
  linkSync(data, at('linked'))
  symlinkSync(data, at('symlink'))
  const format = (...words: readonly string[]) => {
    const { status, stderr } = cli('verity', 'format', ...words)
    assert.ok(readFileSync(data).equals(bytes), words.join(' '))
    return `${status} ${stderr}`
  }
  for (const tree of [data, at('linked'), at('symlink')])
    assert.match(format(data, tree, '--force'), /^2 .*overwrite its data/)
  for (const tree of ['data', 'hashes', 'linked'])
    assert.match(format(data, at('hashes'), `--root-hash-file=${at(tree)}`, '--force'), /^2 .*which it is made from/)
  const rootHash = cli('verity', 'format', data, at('hashes'), '--force').stdout
  writeFileSync(at('hash'), rootHash)
  const { key, certificate } = makeIdentity(folder.path, 'signer')
  for (const output of [at('hash'), key, certificate]) {
    const before = readFileSync(output)
    const signed = cli('verity', 'sign', at('hash'), output, '--force', '--key', key, '--certificate', certificate)
    assert.match(signed.stderr, /which it is made from/)
    assert.ok(readFileSync(output).equals(before))
  }

  const loops: string[] = []
  const loop = (path: string, ...options: readonly string[]) => {
    const { status, stdout } = attempt('losetup', '--find', '--show', ...options, path)
    if (status === 0) loops.push(stdout.trim())
    return stdout.trim()
  }
  try {
    const [whole, part] = [loop(data), loop(data, '--offset', '1M')]
    if (loops.length < 2) return context.skip('this machine lets nobody set up a loop device')
    for (const [from, to] of [
      [data, whole],
      [whole, data],
      [whole, whole],
      [whole, part],
      [data, part],
    ] as const)
      assert.match(format(from, to, '--force'), /^2 .*overwrite its data/, `${from} ${to}`)
    const other = loop(emptyFile(at('other'), MiB))
    run('mkswap', other)
    assert.match(format(data, other), /^2 .*swap exists on it.*--force/s)
    assert.match(run('blkid', '--probe', other), /TYPE="swap"/)
    assert.match(format(data, other, '--force'), /^0 /)
    assert.match(run('blkid', '--probe', other), /TYPE="DM_verity_hash"/)
  } finally {
    for (const device of loops) run('losetup', '--detach', device)
  }
})

test('a tree over more than there is is refused', () => {
  using folder = temporaryFolder()
  const data = join(folder.path, 'data')
  writeFileSync(data, Buffer.alloc(8 * 4096))
  const { status, stderr } = cli('verity', 'format', data, join(folder.path, 'hash'), '--data-blocks=9')
  assert.match(stderr, /has 32768 bytes: a tree cannot cover 36864.*ERR_DDI_USAGE/)
  assert.equal(status, 2)
})

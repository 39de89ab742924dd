import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { pull } from '../../lib/index.js'
import type { TreeTarget } from '../../lib/pull/to-tree.js'
import { emptyFile, MiB } from '../support/images.js'
import { signByGpg } from '../support/keyring.js'
import { serveByNginx } from '../support/nginx.js'
import { cliPath, run, temporaryFolder } from '../support/run.js'
import { type ServedFile, serve } from '../support/server.js'

const no = { verify: 'no' } as const

/** All that a tree can have: owners, modes, times, links, devices, attributes, access lists, capabilities, holes. */
function makeTree(path: string): void {
  mkdirSync(join(path, 'usr/bin'), { recursive: true })
  const at = (name: string) => join(path, name)
  writeFileSync(at('usr/bin/tool'), randomBytes(300_000), { mode: 0o755 })
  writeFileSync(at('usr/bin/setuid'), 'x', { mode: 0o4755 })
  run('sh', '-c', `chmod 4755 '${at('usr/bin/setuid')}'`)
  run('setfattr', '-n', 'security.capability', '-v', '0x0100000200200000000000000000000000000000', at('usr/bin/tool'))
  writeFileSync(at('usr/private'), 'x', { mode: 0o600 })
  run('chown', '1234:5678', at('usr/private'))
  run('setfattr', '-n', 'user.note', '-v', 'something', at('usr/private'))
  run('setfacl', '-m', 'u:1000:r,g:1001:rw', at('usr/private'))
  run('setfacl', '-d', '-m', 'u:1000:rwx', at('usr/bin'))
  run('ln', at('usr/private'), at('hard-link'))
  symlinkSync('../outside/of/all', at('dangling'))
  symlinkSync('/etc/passwd', at('absolute'))
  run('mknod', at('null'), 'c', '1', '3')
  run('mknod', at('whiteout'), 'c', '0', '0')
  run('mkfifo', at('fifo'))
  run('truncate', '-s', '20M', at('sparse'))
  run('sh', '-c', `printf middle | dd of='${at('sparse')}' bs=1M seek=9 conv=notrunc status=none`)
  writeFileSync(at('.wh.gone'), '')
  writeFileSync(at('ümläut and space'), 'x')
  mkdirSync(at('closed'), { mode: 0o500 })
  run('touch', '-h', '-d', '2001-02-03 04:05:06.789', at('dangling'), at('usr/private'), at('closed'))
}

/** Every file of a tree with all that it is, by tools that are not ours. */
function describeTree(path: string): string {
  const stats = `find . -printf '%p %y %m %U %G %n %s %T@ %l\\n' | grep -v '^. ' | LC_ALL=C sort`
  const devices = `find . -type c -exec stat -c '%n %t %T' {} + | LC_ALL=C sort`
  const contents = `find . -type f -exec sha256sum {} + | LC_ALL=C sort`
  const attributes = `getfattr -R -h -d -m - -e hex . 2>/dev/null; getfacl -R -n -P . 2>/dev/null`
  return run('sh', '-c', `cd '${path}' && ${stats}; ${devices}; ${contents}; ${attributes}`)
}

test('trees × none, xz, gzip, bzip2, zstd × no, checksum, signature, from a real nginx, are as tar extracts them', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  makeTree(at('tree'))
  mkdirSync(at('www'))
  run(
    'sh',
    '-c',
    `cd '${at('tree')}' && tar --create --sparse --xattrs --xattrs-include='*' --acls --numeric-owner -f ../www/t.tar .`,
  )
  run(
    'sh',
    '-c',
    `cd '${at('www')}' && xz -k t.tar && gzip -k t.tar && bzip2 -k t.tar && zstd -q -k t.tar && sha256sum * > SHA256SUMS`,
  )
  const keyring = signByGpg(at('gpg'), join(at('www'), 'SHA256SUMS'))
  mkdirSync(at('by-tar'))
  run(
    'tar',
    '-x',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    '--acls',
    '-pf',
    at('www/t.tar'),
    '-C',
    at('by-tar'),
  )
  const expected = describeTree(at('by-tar'))
  assert.match(expected, /security.capability=/)
  assert.match(expected, /user:1000:/)
  assert.equal(expected.replace(/^# file.*$/gm, ''), describeTree(at('tree')).replace(/^# file.*$/gm, ''))
  await using nginx = await serveByNginx(at('www'), at('nginx'))
  for (const name of ['t.tar', 't.tar.xz', 't.tar.gz', 't.tar.bz2', 't.tar.zst']) {
    for (const verify of ['no', 'checksum', 'signature'] as const) {
      const target = { kind: 'tar', path: at('pulled'), replace: true } as const
      const { compression } = await pull(`${nginx.url}/${name}`, target, { verify, keyring })
      assert.equal(compression === 'none', name === 't.tar')
      assert.equal(describeTree(at('pulled')), expected, `${name} ${verify}`)
      assert.ok(statSync(at('pulled/sparse')).blocks * 512 < MiB)
    }
  }
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.startsWith('.')),
    [],
  )
  // systemd 252 does not know zstd, and keeps no access lists.
  try {
    for (const name of ['t.tar', 't.tar.xz', 't.tar.gz', 't.tar.bz2']) {
      const hash = run('sha256sum', join(at('www'), name)).slice(0, 64)
      const root = `--image-root=${at('systemd')}`
      run(
        'timeout',
        '60',
        '/lib/systemd/systemd-pull',
        'tar',
        '--force',
        `--verify=${hash}`,
        root,
        '--settings=no',
        `${nginx.url}/${name}`,
        't',
      )
      const withoutLists = (text: string) =>
        text
          .split('\n')
          .filter(
            (line) =>
              !/^(default:)?(user|group|mask|other):|^system.posix_acl|^# (file|owner|group|flags)|^$/.test(line),
          )
          .join('\n')
      assert.equal(withoutLists(describeTree(at('systemd/t'))), withoutLists(expected), name)
    }
  } finally {
    // What it keeps of each download is immutable.
    run('find', at('systemd'), '-maxdepth', '1', '-type', 'd', '-exec', 'chattr', '-i', '{}', '+')
  }
})

test('a read-only tree is a subvolume of btrfs, or immutable elsewhere; one that exists is replaced as a whole', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  for (const version of ['1', '2']) {
    mkdirSync(at(version))
    writeFileSync(join(at(version), `file-${version}`), version)
    run('tar', '-C', at(version), '-cf', at(`${version}.tar`), '.')
  }
  const files: Record<string, ServedFile> = {}
  for (const version of ['1', '2']) files[`/${version}.tar`] = { bytes: readFileSync(at(`${version}.tar`)) }
  await using server = await serve(files)
  emptyFile(at('btrfs'), 128 * MiB)
  run('mkfs.btrfs', '-q', at('btrfs'))
  mkdirSync(at('mounted'))
  run('mount', '-o', 'loop', at('btrfs'), at('mounted'))
  try {
    for (const where of [at('mounted'), at('plain')]) {
      const path = join(where, 'tree')
      await pull(`${server.url}/1.tar`, { kind: 'tar', path, readOnly: true }, no)
      assert.throws(() => writeFileSync(join(path, 'more'), ''), /EROFS|EPERM/)
      assert.equal(statSync(path).ino === 256, where === at('mounted'))
      await assert.rejects(pull(`${server.url}/2.tar`, { kind: 'tar', path }, no), { code: 'ERR_DDI_EXISTS' })
      await pull(`${server.url}/2.tar`, { kind: 'tar', path, replace: true }, no)
      assert.deepEqual(readdirSync(path), ['file-2'])
      assert.deepEqual(readdirSync(where), ['tree'])
    }
  } finally {
    run('umount', at('mounted'))
  }
})

interface Member {
  readonly name: string
  readonly type?: string
  readonly link?: string
  readonly content?: string
  readonly mode?: number
  /** Extended header records that come before it. */
  readonly pax?: Readonly<Record<string, string>>
  /** GNU long name or link, for members of type L and K. */
  readonly prefix?: string
}

/** A ustar header, POSIX.1-1988, with what follows it. */
function member({ name, type = '0', link = '', content = '', mode = 0o644, pax, prefix = '' }: Member): Buffer {
  const header = Buffer.alloc(512)
  const data = Buffer.from(content)
  header.write(name, 0, 100)
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100)
  header.write('0000000\0' + '0000000\0', 108)
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write(' '.repeat(8), 148)
  header.write(type, 156)
  header.write(link, 157, 100)
  header.write('ustar\x0000', 257)
  header.write(prefix, 345, 155)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const before = pax ? [member({ name: 'pax', type: 'x', content: paxRecords(pax) })] : []
  return Buffer.concat([...before, header, data, Buffer.alloc((512 - (data.length % 512)) % 512)])
}

function paxRecords(records: Readonly<Record<string, string>>): string {
  return Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`
      let length = rest.length + 1
      while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length
      return `${length}${rest}`
    })
    .join('')
}

const dir = (name: string): Member => ({ name, type: '5', mode: 0o755 })
const symlink = (name: string, link: string): Member => ({ name, type: '2', link })
const hard = (name: string, link: string): Member => ({ name, type: '1', link })
const file = (name: string, content = 'evil'): Member => ({ name, content })

/** Ways out of a folder that libraries for tar had advisories for. V is a folder beside, with a file in it; it is to stay as it is. */
function hostileArchives(v: string): Readonly<Record<string, readonly Member[]>> {
  const up = '../victim'
  const long = (type: 'L' | 'K', text: string): Member => ({ name: '././@LongLink', type, content: `${text}\0` })
  return {
    'dots before a name': [file(`${up}/new`)],
    'dots deeper': [dir('a'), file(`a/../${up}/new`)],
    'dots behind a dot': [file(`./${up}/new`)],
    'doubled slashes': [file(`..//victim//new`)],
    'many dots': [file(`${'../'.repeat(30)}${v}/new`)],
    'an absolute name over what is there': [file(`${v}/file`), file('../x')],
    'a folder outside': [dir(`${up}/folder`)],
    'the folder itself, closed': [{ name: '../', type: '5', mode: 0 }],
    'a symbolic link, and through it': [symlink('l', up), file('l/new')],
    'an absolute symbolic link, and through it': [symlink('l', v), file('l/new')],
    'a symbolic link over what is there': [symlink('l', `${v}/file`), file('l')],
    'two symbolic links': [symlink('a', '.'), symlink('a/b', '..'), symlink('a/b/c', 'victim'), file('b/victim/new')],
    'a chain of symbolic links': [dir('d'), symlink('d/a', '..'), symlink('b', 'd/a/..'), file('b/victim/new')],
    'links of links': [symlink('x', '..'), symlink('y', 'x/victim'), file('y/new')],
    'a folder turned into a link': [dir('d'), symlink('d', up), file('d/new')],
    'a folder turned into a link, with a slash': [dir('d/'), symlink('d/', up), file('d/new')],
    'a link turned into a folder': [symlink('d', up), dir('d'), file('d/new')],
    'a link named by a trailing slash': [symlink('d', up), dir('d/'), file('d/new')],
    'a link whose name has a dot behind': [symlink('d', up), file('d/./new')],
    'the root as a link': [symlink('.', up), file('new')],
    'the root as a link, named ./': [symlink('./', up), file('./new')],
    'the empty name as a link': [symlink('', up), file('new')],
    'a hard link out, and over it': [hard('h', `${up}/file`), file('h')],
    'an absolute hard link, and over it': [hard('h', `${v}/file`), file('h')],
    'a hard link through a symbolic link': [symlink('l', up), hard('h', 'l/file'), file('h')],
    'a hard link to a symbolic link': [symlink('l', `${v}/file`), hard('h', 'l'), file('h')],
    'a hard link with content': [{ ...hard('h', `${v}/file`), content: 'evil' }],
    'a mode through a link': [symlink('l', up), { name: 'l', type: '5', mode: 0o777 }],
    'a long name': [long('L', `${'../'.repeat(40)}${v}/new`), file('short')],
    'a long link': [long('K', v), symlink('l', 'short'), file('l/new')],
    'an extended name': [{ ...file('short'), pax: { path: `${up}/new` } }],
    'an absolute extended name': [{ ...file('short'), pax: { path: `${v}/file` } }, file('../x')],
    'an extended link': [{ ...symlink('l', 'short'), pax: { linkpath: v } }, file('l/new')],
    'an extended hard link': [{ ...hard('h', 'short'), pax: { linkpath: `${v}/file` } }, file('h')],
    'a global extended name': [{ name: 'g', type: 'g', content: paxRecords({ path: `${up}/new` }) }, file('short')],
    'a name in the prefix': [{ ...file('new'), prefix: up }],
    'an absolute prefix': [{ ...file('file'), prefix: v }, file('../x')],
    'a sparse file of another name': [
      {
        ...file('short'),
        pax: {
          'GNU.sparse.major': '1',
          'GNU.sparse.minor': '0',
          'GNU.sparse.name': `${up}/new`,
          'GNU.sparse.realsize': '4',
        },
      },
    ],
    'a fifo over what is there': [{ name: `${up}/file`, type: '6' }],
    'a device outside': [{ name: `${up}/device`, type: '3' }],
    'attributes through a link': [
      { ...symlink('l', `${v}/file`), pax: { 'SCHILY.xattr.user.evil': 'x' } },
      { ...file('../y') },
    ],
    'an access list through a link': [
      { ...symlink('l', `${v}/file`), pax: { 'SCHILY.acl.access': 'user::rwx,group::rwx,other::rwx' } },
    ],
    backslashes: [file('..\\victim\\new'), file(`..\\..\\${v}/new`)],
    'a renamed dumped folder': [{ name: 'd', type: 'D', content: `Rfile\0T${v}/file\0\0` }],
    'a volume label': [{ name: `${v}/file`, type: 'V' }, file('../x')],
    'a continued file': [{ name: `${v}/file`, type: 'M', content: 'evil' }],
  }
}

test('over 40 hostile archives write nothing outside of the folder, and what is refused leaves none', async () => {
  using folder = temporaryFolder()
  const victim = join(folder.path, 'trees/victim')
  mkdirSync(victim, { recursive: true })
  writeFileSync(join(victim, 'file'), 'good', { mode: 0o600 })
  const archives = Object.entries(hostileArchives(victim))
  assert.ok(archives.length >= 40)
  const files: Record<string, ServedFile> = {}
  for (const [n, [, members]] of archives.entries())
    files[`/${n}.tar`] = { bytes: Buffer.concat([...members.map(member), Buffer.alloc(1024)]) }
  await using server = await serve(files)
  const outside = () =>
    run(
      'sh',
      '-c',
      `cd '${folder.path}' && find . -path ./trees/tree -prune -o -printf '%p %y %m %s %n %l %C@\\n' | grep -v '^./trees ' | sort; getfattr -R -d -m - trees/victim; cat trees/victim/file`,
    )
  const before = outside()
  const tree = join(folder.path, 'trees/tree')
  let refused = 0
  for (const [n, [what]] of archives.entries()) {
    const error = await pull(`${server.url}/${n}.tar`, { kind: 'tar', path: tree }, no).then(
      () => undefined,
      (reason) => reason,
    )
    if (error) {
      assert.equal(error.code, 'ERR_DDI_PULL_ARCHIVE', `${what}: ${error}`)
      assert.throws(() => lstatSync(tree), { code: 'ENOENT' }, what)
      refused++
    } else run('rm', '-r', tree)
    assert.equal(outside(), before, what)
  }
  assert.ok(refused >= 20, `${refused} were refused`)
})

test('what is no archive, cut off, empty or too large for its place leaves nothing, whoever killed the last pull', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const archive = Buffer.concat([member(dir('d')), member(file('d/f', 'x'.repeat(3 * MiB))), Buffer.alloc(1024)])
  await using server = await serve({
    '/good.tar': { bytes: archive },
    '/cut.tar': { bytes: archive.subarray(0, 2 * MiB) },
    '/none.tar': { bytes: randomBytes(20_000) },
    '/empty.tar': { bytes: Buffer.alloc(0) },
  })
  for (const name of ['cut', 'none', 'empty'])
    await assert.rejects(
      pull(`${server.url}/${name}.tar`, { kind: 'tar', path: at('tree') }, no),
      { code: 'ERR_DDI_PULL_ARCHIVE' },
      name,
    )
  assert.deepEqual(readdirSync(folder.path), [])
  mkdirSync(at('small'))
  run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'small', at('small'))
  try {
    await assert.rejects(pull(`${server.url}/good.tar`, { kind: 'tar', path: at('small/tree') }, no), {
      code: 'ERR_DDI_NO_SPACE',
    })
    assert.ok(!readdirSync(at('small')).some((name) => name.endsWith('.tree') || name === 'tree'))
  } finally {
    run('umount', at('small'))
  }
  // A pull that was killed while it unpacked left half a tree.
  const stop = new AbortController()
  await assert.rejects(
    pull(
      `${server.url}/good.tar`,
      { kind: 'tar', path: at('tree') },
      { ...no, signal: stop.signal, onProgress: () => stop.abort() },
    ),
    { code: 'ERR_DDI_ABORTED' },
  )
  const [left] = readdirSync(folder.path).filter((name) => name.endsWith('.partial'))
  mkdirSync(join(folder.path, left!.replace(/partial$/, 'tree'), 'half'), { recursive: true })
  await pull(`${server.url}/good.tar`, { kind: 'tar', path: at('tree') }, no)
  assert.deepEqual(readdirSync(at('tree')), ['d'])
  assert.deepEqual(readdirSync(folder.path).sort(), ['small', 'tree'])
})

test('what cannot be kept or made read-only where a tree goes is an error before the tree is there', async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const [xattr, acl, capability] = ['user.note', 'acl', 'security.capability'] as const
  const tar = (name: string, ...options: string[]) =>
    run('tar', '-C', at(name), '--format=pax', ...options, '-cf', at(`${name}.tar`), '.')
  for (const name of ['plain', xattr, acl, capability]) {
    mkdirSync(at(name))
    writeFileSync(at(`${name}/file`), name)
  }
  run('setfattr', '-n', xattr, '-v', 'x', at(`${xattr}/file`))
  run('setfacl', '-m', 'u:1000:r', at(`${acl}/file`))
  run('setfattr', '-n', capability, '-v', '0x0100000200200000000000000000000000000000', at(`${capability}/file`))
  for (const name of ['plain', xattr, acl, capability]) tar(name, '--xattrs', '--xattrs-include=*', '--acls')
  const archive = (name: string) => readFileSync(at(`${name}.tar`))
  const renamed = (pax: Readonly<Record<string, string>>) =>
    Buffer.concat([member({ ...file('f'), pax }), Buffer.alloc(1024)])
  await using server = await serve({
    ...Object.fromEntries(['plain', xattr, acl, capability].map((name) => [`/${name}.tar`, { bytes: archive(name) }])),
    // As bsdtar writes an attribute, and as it can be told to.
    '/both.tar': { bytes: renamed({ 'LIBARCHIVE.xattr.user.a': 'Yg', 'SCHILY.xattr.user.a': 'b' }) },
    '/unknown.tar': { bytes: renamed({ 'LIBARCHIVE.xattr.user.a': 'Yg' }) },
    '/harmless.tar': { bytes: renamed({ 'LIBARCHIVE.creationtime': '1.5', mtime: '9000000000' }) },
  })
  mkdirSync(at('ramfs'))
  run('mount', '-t', 'ramfs', 'ramfs', at('ramfs'))
  const path = at('ramfs/tree')
  const pullIt = (name: string, more: Partial<TreeTarget> = {}, to = path) =>
    pull(`${server.url}/${name}.tar`, { kind: 'tar', path: to, replace: true, ...more }, no)
  const lost = { code: 'ERR_DDI_PULL_ARCHIVE', message: /Cannot set|Ignoring/ }
  try {
    // ramfs has neither attributes nor access lists nor the immutable flag.
    await pullIt('plain')
    for (const name of [xattr, acl, capability]) await assert.rejects(pullIt(name), lost, name)
    await assert.rejects(pullIt('plain', { readOnly: true }), { code: 'ERR_DDI_TOOL' })
    assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'plain')
    assert.deepEqual(
      readdirSync(at('ramfs')).filter((name) => !/\.(partial|state)$/.test(name)),
      ['tree'],
    )
    for (const name of [xattr, acl, capability]) {
      await pullIt(name, { lossy: true })
      assert.equal(readFileSync(join(path, 'file'), 'utf8'), name)
    }
  } finally {
    run('umount', at('ramfs'))
  }
  await assert.rejects(pullIt('unknown', {}, at('here')), lost)
  assert.ok(!existsSync(at('here')))
  for (const name of ['both', 'harmless', xattr, acl, capability]) {
    await pullIt(name, {}, at('here'))
    run('rm', '-r', at('here'))
  }
})

test('another tar is refused before anything is downloaded', async () => {
  using folder = temporaryFolder()
  await using server = await serve({ '/x.tar': { bytes: Buffer.alloc(10240) } })
  const busybox = run('which', 'busybox').trim()
  const tar = realpathSync(run('which', 'tar').trim())
  const pulling = `'${process.execPath}' '${cliPath}' pull '${server.url}/x.tar' --verify=no --output '${folder.path}/x'`
  // The server is in this process: it answers while the other one runs.
  const child = spawn('unshare', ['--mount', 'sh', '-c', `mount --bind '${busybox}' '${tar}' && exec ${pulling}`])
  const said = text(child.stderr)
  const [status] = (await once(child, 'exit')) as [number]
  assert.equal(status, 1)
  assert.match(await said, /is not GNU tar.*ERR_DDI_LIBRARY_MISSING/s)
  assert.deepEqual(server.requests, [])
})

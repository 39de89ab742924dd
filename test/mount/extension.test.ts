// What an image can be used as, by the name of its release file: as systemd-dissect says.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { extensionNames } from '../../lib/mount/extension.js'
import { attempt, cliAsNobody, run, temporaryFolder } from '../support/run.js'

test('the names are that of the file, without endings that say how it is stored, and without version and tries', () => {
  const names = {
    '/images/foo.raw': ['foo'],
    'foo.raw.xz': ['foo'],
    'foo.img': ['foo'],
    'foo-1.2+3_x~rc1.raw': ['foo-1.2+3_x~rc1', 'foo-1.2'],
    'foo.sysext.raw': ['foo.sysext', 'foo'],
    'foo_1.2+3-0.confext.raw': ['foo_1.2+3-0.confext', 'foo_1.2+3-0', 'foo'],
    'größe mit Abstand.raw': ['größe mit Abstand'],
    'foo.squashfs': ['foo.squashfs'],
    foo: ['foo'],
    '.raw': [],
    '.#foo.raw': [],
    '_1.raw': ['_1'],
    'a\nb.raw': [],
  }
  for (const [path, expected] of Object.entries(names)) assert.deepEqual(extensionNames(path), expected, path)
  assert.equal(extensionNames(`${'x'.repeat(200)}.raw`)[0]?.length, 200)
})

interface Case {
  readonly image: string
  readonly files: readonly string[]
  /** Shell, in the directory of the release files. */
  readonly script?: string
}

const strict = (value: string, ...names: readonly string[]) =>
  names.map((name) => `setfattr -n user.extension-release.strict -v ${value} 'extension-release.${name}'`).join(';')

const cases: readonly Case[] = [
  { image: 'foo.raw', files: ['foo'] },
  { image: `${'long-'.repeat(20)}name.raw`, files: [`${'long-'.repeat(20)}name`] },
  { image: 'my ext~rc1 größe.raw', files: ['my ext~rc1 größe'] },
  { image: 'renamed.raw', files: ['foo'] },
  { image: 'lenient.raw', files: ['foo'], script: strict('false', 'foo') },
  { image: 'lenient-0.raw', files: ['foo'], script: strict('0', 'foo') },
  { image: 'lenient-no.raw', files: ['foo'], script: strict('No', 'foo') },
  { image: 'strict.raw', files: ['foo'], script: strict('true', 'foo') },
  { image: 'odd.raw', files: ['foo'], script: strict('maybe', 'foo') },
  { image: 'two.raw', files: ['foo', 'bar'], script: strict('no', 'foo', 'bar') },
  { image: 'one-of-two.raw', files: ['foo', 'bar'], script: strict('no', 'bar') },
  {
    image: 'link.raw',
    files: ['foo'],
    script: `${strict('no', 'foo')}; mv extension-release.foo x; ln -s x extension-release.foo`,
  },
  { image: 'none.raw', files: [] },
]

test('systemd-dissect and we agree, from each file system', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  for (const { image, files, script = 'true' } of cases) {
    const tree = join(folder.path, 'tree')
    const releases = join(tree, 'usr/lib/extension-release.d')
    mkdirSync(releases, { recursive: true })
    for (const name of files) writeFileSync(join(releases, `extension-release.${name}`), 'ID=_any\n')
    run('sh', '-euc', `cd "$1"; ${script}`, 'sh', releases)
    const path = join(folder.path, image)
    run('mksquashfs', tree, path, '-quiet', '-noappend', '-no-progress')
    const theirs: { useSystemExtension?: boolean } = JSON.parse(attempt('systemd-dissect', '--json=short', path).stdout)
    const expected = theirs.useSystemExtension ? ['sysext-system', 'sysext-portable'] : []
    for (const format of ['squashfs', 'erofs', 'ext4']) {
      rmSync(path)
      if (format === 'squashfs') run('mksquashfs', tree, path, '-quiet', '-noappend', '-no-progress')
      else if (format === 'erofs') run('mkfs.erofs', '--quiet', path, tree)
      else run('sh', '-euc', 'truncate -s 4M "$1"; mkfs.ext4 -q -d "$2" "$1"', 'sh', path, tree)
      const { stdout, stderr } = cliAsNobody('inspect', path, '--contents', '--json=short')
      assert.deepEqual(JSON.parse(stdout || '{}').contents?.uses, expected, `${image} as ${format}: ${stderr}`)
    }
    rmSync(tree, { recursive: true })
  }
})

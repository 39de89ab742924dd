import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDefinition } from '../../lib/build/definitions.js'
import { stageTree, treeSize } from '../../lib/build/staging.js'
import { temporaryFolder } from '../support/run.js'

function definition(...lines: readonly string[]) {
  const text = ['[Partition]', 'Type=linux-generic', 'Format=ext4', ...lines].join('\n')
  return parseDefinition(text, 'one.conf', { osRelease: new Map(), architecture: 'x86-64' })
}

function makeTree(folder: string): string {
  const root = join(folder, 'root')
  mkdirSync(join(root, 'etc/sub'), { recursive: true })
  mkdirSync(join(root, 'usr'))
  writeFileSync(join(root, 'etc/one'), 'one')
  writeFileSync(join(root, 'etc/sub/two'), 'two')
  writeFileSync(join(root, 'usr/three'), 'three')
  symlinkSync('/tmp', join(root, 'etc/out'))
  return root
}

/** Options for an image beside the tree. */
function outside(folder: string, root: string) {
  return { output: join(folder, 'image.raw'), root, epoch: null, covered: [], keepVolatile: false }
}

test('one whole directory is taken as it is, and nothing needs no stage', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  const stage = join(folder.path, 'stage')
  const options = outside(folder.path, root)
  assert.equal(await stageTree(definition(), stage, options), null)
  assert.equal((await stageTree(definition('CopyFiles=/etc:/'), stage, options))?.directory, join(root, 'etc'))
  assert.equal(existsSync(stage), false)
})

test('several sources, exclusions and directories are put together, all of one time', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  const stage = join(folder.path, 'stage')
  const wanted = definition(
    'CopyFiles=/etc:/config',
    'CopyFiles=/usr/three:/deep/er/3',
    'ExcludeFiles=/etc/sub/ /etc/out',
    'MakeDirectories=/a/b',
  )
  const staged = await stageTree(wanted, stage, { ...outside(folder.path, root), epoch: 1_000_000_000 })
  assert.equal(staged?.directory, stage)
  const names = (readdirSync(stage, { recursive: true }) as string[]).sort()
  assert.deepEqual(names, ['a', 'a/b', 'config', 'config/one', 'config/sub', 'deep', 'deep/er', 'deep/er/3'])
  assert.equal(readFileSync(join(stage, 'config/one'), 'utf8'), 'one')
  for (const name of ['', ...names]) assert.equal(statSync(join(stage, name)).mtimeMs, 1e12, name)
})

test('nothing is put through a symbolic link, nor from a source that does not exist', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  let output = join(folder.path, 'image.raw')
  const refused = async (message: RegExp, ...lines: string[]) =>
    await assert.rejects(
      stageTree(definition(...lines), join(folder.path, `stage-${lines.length}-${message.source.length}`), {
        ...outside(folder.path, root),
        output,
      }),
      { code: 'ERR_DDI_DEFINITION', message },
    )
  await refused(/CopyFiles=\/none: .* does not exist/, 'CopyFiles=/none:/x')
  await refused(/through a symbolic link, \/out/, 'CopyFiles=/etc:/', 'CopyFiles=/usr:/out/usr')
  await refused(/a symbolic link, \/out/, 'CopyFiles=/etc:/', 'MakeDirectories=/out/x')
  await refused(/a symbolic link, \/out/, 'CopyFiles=/etc:/', 'CopyFiles=/usr:/out', 'ExcludeFiles=/usr/three')
  // The image would be in itself.
  for (const name of ['etc/image.raw', 'etc/sub/image.raw']) {
    output = join(root, name)
    await refused(/image.raw would lie in .*etc, which is copied/, 'CopyFiles=/etc:/')
    await refused(/image.raw would lie in /, 'CopyFiles=/:/', 'ExcludeFiles=/usr')
  }
})

test('the size of a tree counts blocks of contents and one for each entry', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  // The root, 3 directories, 3 files of one block each, a link.
  assert.equal(await treeSize(root), 4096 * (1 + 3 + 3 * 2 + 1))
})

test('links on the way to a source stay within the tree, as the image will have them', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  const elsewhere = join(folder.path, 'elsewhere')
  mkdirSync(join(elsewhere, 'only-there'), { recursive: true })
  writeFileSync(join(elsewhere, 'one'), 'of the host')
  mkdirSync(join(root, elsewhere), { recursive: true })
  writeFileSync(join(root, elsewhere, 'one'), 'of the tree')
  symlinkSync(elsewhere, join(root, 'absolute'))
  symlinkSync('../'.repeat(20) + elsewhere.slice(1), join(root, 'relative'))
  for (const [index, name] of ['absolute', 'relative'].entries()) {
    const stage = join(folder.path, `stage-${index}`)
    await stageTree(definition(`CopyFiles=/${name}/one:/one`), stage, outside(folder.path, root))
    assert.equal(readFileSync(join(stage, 'one'), 'utf8'), 'of the tree', name)
    const missing = definition(`CopyFiles=/${name}/only-there:/`)
    await assert.rejects(stageTree(missing, `${stage}.x`, outside(folder.path, root)), { code: 'ERR_DDI_DEFINITION' })
  }
})

test('what is copied later replaces files and links, is never written through them, and takes the place of no directory', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  const victim = join(folder.path, 'victim')
  const tree = (name: string, make: (path: string) => void) => {
    mkdirSync(join(root, name))
    make(join(root, name))
  }
  writeFileSync(victim, 'precious')
  mkdirSync(join(folder.path, 'outside'))
  tree('base', (path) => {
    symlinkSync(victim, join(path, 'file'))
    symlinkSync(`${'../'.repeat(20)}${victim.slice(1)}`, join(path, 'two'))
    writeFileSync(join(path, 'real'), 'real')
    symlinkSync('real', join(path, 'alias'))
    symlinkSync(join(folder.path, 'outside'), join(path, 'sub'))
  })
  tree('over', (path) => {
    writeFileSync(join(path, 'file'), 'new')
    writeFileSync(join(path, 'alias'), 'new')
  })
  tree('merged', (path) => {
    mkdirSync(join(path, 'sub'))
    writeFileSync(join(path, 'sub/file'), 'new')
  })
  tree('flat', (path) => writeFileSync(join(path, 'etc'), 'a file'))
  let stages = 0
  const staged = async (...lines: string[]) => {
    const stage = join(folder.path, `stage-${++stages}`)
    await stageTree(definition(...lines), stage, outside(folder.path, root))
    return (name: string) => readFileSync(join(stage, name), 'utf8')
  }
  for (const lines of [
    ['CopyFiles=/over:/'],
    ['CopyFiles=/over:/', 'ExcludeFiles=/over/none'],
    ['CopyFiles=/over/file:/file', 'CopyFiles=/over/alias:/alias'],
  ]) {
    const text = await staged('CopyFiles=/base:/', ...lines)
    assert.equal(text('file') + text('alias') + text('real'), 'newnewreal')
  }
  await staged('CopyFiles=/base:/', 'CopyFiles=/over/file:/two')
  const refused = async (message: RegExp, ...lines: string[]) =>
    await assert.rejects(staged(...lines), { code: 'ERR_DDI_DEFINITION', message })
  const link = /\/sub is a directory, and a symbolic link was copied there before/
  await refused(link, 'CopyFiles=/base:/', 'CopyFiles=/merged:/')
  await refused(link, 'CopyFiles=/base:/', 'CopyFiles=/merged:/', 'ExcludeFiles=/merged/sub/none')
  await refused(/\/etc is a file, and a directory was/, 'CopyFiles=/:/', 'ExcludeFiles=/merged', 'CopyFiles=/flat:/')
  await staged('CopyFiles=/base:/', 'CopyFiles=/merged:/', 'ExcludeFiles=/merged/sub')
  await staged('CopyFiles=/base:/', 'CopyFiles=/merged:/', 'ExcludeFiles=/merged/')
  assert.equal(readFileSync(victim, 'utf8'), 'precious')
  assert.deepEqual(readdirSync(join(folder.path, 'outside')), [])
})

test('a source that is a link is what it leads to within the tree', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  symlinkSync('/etc/one', join(root, 'file'))
  symlinkSync('etc/sub', join(root, 'directory'))
  symlinkSync('/nowhere', join(root, 'dangling'))
  const stage = join(folder.path, 'stage')
  await stageTree(definition('CopyFiles=/file:/x', 'CopyFiles=/directory:/y'), stage, outside(folder.path, root))
  assert.equal(readFileSync(join(stage, 'x'), 'utf8'), 'one')
  assert.equal(readFileSync(join(stage, 'y/two'), 'utf8'), 'two')
  assert.ok(lstatSync(join(stage, 'x')).isFile() && lstatSync(join(stage, 'y')).isDirectory())
  await assert.rejects(stageTree(definition('CopyFiles=/dangling:/x'), `${stage}-2`, outside(folder.path, root)), {
    code: 'ERR_DDI_DEFINITION',
    message: /does not exist/,
  })
})

test('a path may be quoted', async () => {
  using folder = temporaryFolder()
  const stage = join(folder.path, 'stage')
  await stageTree(definition(`MakeDirectories=/a "/b c" '/d "e'`), stage, outside(folder.path, makeTree(folder.path)))
  assert.deepEqual(readdirSync(stage), ['a', 'b c', 'd "e'])
  assert.throws(() => definition('MakeDirectories=/a "/b c'), { code: 'ERR_DDI_DEFINITION' })
})

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
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

test('a directory takes the place of a link that was copied before, also where something is excluded from it', async () => {
  using folder = temporaryFolder()
  const root = makeTree(folder.path)
  const outside_ = join(folder.path, 'outside')
  mkdirSync(outside_)
  mkdirSync(join(root, 'first'))
  symlinkSync(outside_, join(root, 'first/sub'))
  const wanted = definition('CopyFiles=/first:/', 'CopyFiles=/etc:/', 'ExcludeFiles=/etc/one')
  await stageTree(wanted, join(folder.path, 'stage'), outside(folder.path, root))
  assert.deepEqual(readdirSync(outside_), [])
  assert.equal(readFileSync(join(folder.path, 'stage/sub/two'), 'utf8'), 'two')
})

// Archives of trees, as tar(1) unpacks them.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { archiveTree, withTree } from '../../lib/index.js'
import { cli, packageRoot, run, temporaryFolder } from '../support/run.js'

const skip = process.getuid?.() === 0 ? false : 'needs root'

test('the same files make the same archive, of which tar makes the same files', { skip }, async () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  run(
    'sh',
    '-euc',
    `mkdir "$1" "$1/etc" && cd "$1" && echo ID=x > etc/os-release && ln etc/os-release twin && ln -s etc/os-release link
    mknod null c 1 3; mkfifo fifo; chown 1234:70000 twin; chmod 4755 twin; touch -d '1961-02-03 UTC' link etc
    head -c 300000 /dev/zero > "$(printf 'n%.0s' $(seq 150))"; setfattr -n user.x -v y etc || true`,
    'sh',
    at('tree'),
  )
  await withTree(at('tree'), {}, async (tree) => {
    let done = 0
    await archiveTree(tree, at('one.tar'), { onProgress: (progress) => (done = progress.done) })
    assert.equal(done, readFileSync(at('one.tar')).length)
    await assert.rejects(archiveTree(tree, at('one.tar')), { code: 'ERR_DDI_EXISTS' })
    const aborted = { signal: AbortSignal.abort() }
    await assert.rejects(archiveTree(tree, at('none.tar'), aborted), { code: 'ERR_DDI_ABORTED' })
    const full = new Writable({ write: (_, __, done) => done(Object.assign(new Error('full'), { code: 'ENOSPC' })) })
    await assert.rejects(archiveTree(tree, full), { code: 'ERR_DDI_NO_SPACE' })
  })
  run(
    'sh',
    '-euc',
    '"$1" "$2" archive "$3" | cat > "$4"',
    'sh',
    process.execPath,
    join(packageRoot, 'dist/cli/main.js'),
    at('tree'),
    at('two.tar'),
  )
  assert.ok(readFileSync(at('one.tar')).equals(readFileSync(at('two.tar'))))
  assert.match(run('tar', '--list', '--file', at('one.tar')), /etc\/os-release$/m)
  run('mkdir', at('again'))
  run('tar', '--extract', '--same-owner', '--numeric-owner', '--file', at('one.tar'), '--directory', at('again'))
  const facts = (name: string) =>
    run(
      'sh',
      '-euc',
      'cd "$1" && find . -printf "%p %y %m %U %G %s %T@ %l %n\\n" | grep -v "^\\./[^ ]* d" | sort',
      'sh',
      at(name),
    )
  assert.equal(facts('again'), facts('tree'))
  assert.ok(!existsSync(at('none.tar')))
  assert.deepEqual(readdirSync(folder.path).sort(), ['again', 'one.tar', 'tree', 'two.tar'])
  assert.match(cli('archive', at('tree'), '--json=short').stderr, /ERR_DDI_USAGE/)
})

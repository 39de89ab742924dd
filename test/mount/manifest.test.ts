// What is said of the files of an image without privileges is what a mount shows of them, or it is refused.
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildImage } from '../../lib/index.js'
import { defineImage } from '../support/images.js'
import { cli, cliAsNobody, run, temporaryFolder } from '../support/run.js'

const skip = process.getuid?.() === 0 && existsSync('/dev/loop-control') ? false : 'needs root and loop devices'

/** Makes bare file systems of a tree, one for each tool and layout that is read. */
function makeFileSystems(folder: string, tree: string): readonly string[] {
  const [squashfs, erofs, packed, ext4] = ['squashfs', 'erofs', 'packed', 'ext4'].map((name) =>
    join(folder, `${name}.raw`),
  )
  run('mksquashfs', tree, squashfs!, '-quiet', '-noappend', '-no-progress')
  run('mkfs.erofs', '--quiet', erofs!, tree)
  // Short inodes, whose time is that of the file system.
  run('mkfs.erofs', '--quiet', '-T1234567890', '-zlz4hc', packed!, tree)
  run('truncate', '--size=16M', ext4!)
  run('mkfs.ext4', '-q', '-d', tree, ext4!)
  return [squashfs!, erofs!, packed!, ext4!]
}

function assertSame(path: string): void {
  for (const verb of [
    ['digest'],
    ['digest', '--json=short'],
    ['list-files'],
    ['list-files', '--json=short'],
  ] as const) {
    const [root, nobody] = [cli(...verb, path), cliAsNobody(...verb, path)]
    assert.equal(root.status, 0, root.stderr)
    assert.equal(nobody.status, 0, nobody.stderr)
    assert.match(nobody.stderr, /read by/)
    assert.equal(nobody.stdout, root.stdout, `${verb.join(' ')} ${path}`)
  }
}

test('owners, set-ID bits, devices, odd names and times', { skip }, () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const tree = join(folder.path, 'tree')
  mkdirSync(tree)
  run(
    'sh',
    '-euc',
    `cd '${tree}'
    echo x >su; chown 1000:100001 su; chmod 6755 su; ln su 'hard link'
    mknod null c 1 3; mknod ' #block ' b 8 1; mkfifo fifo; socat -u UNIX-LISTEN:socket,unlink-close=0 - & sleep 0.3; kill $! || true
    echo big >owned; chown 100000:4000000000 owned
    echo y >secret; chmod 0 secret; mkdir -p sticky/closed; echo z >sticky/closed/file; chmod 1777 sticky; chmod 0 sticky/closed
    mkdir 'a b' a a.b; echo 1 >'a b/c\\d'; echo 2 >a/x; echo 3 >a.b/x; echo 4 >'"quoted"'; echo 5 >größe; echo 6 >'#'
    ln -s su link; ln -s "$(printf 'x%.0s' $(seq 200))" 'long link'; ln -s -- '-> b' '-> a'
    truncate -s 1M sparse; touch -d '1961-02-03 UTC' old; touch -d '2050-01-01 UTC' future
    mkdir many; for i in $(seq 400); do echo $i >many/some-longer-name-$i; done`,
  )
  for (const path of makeFileSystems(folder.path, tree)) assertSame(path)
})

test('files that lie in the inodes of an ext4 have their bytes and no more', { skip }, () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const tree = join(folder.path, 'tree')
  mkdirSync(join(tree, 'etc'), { recursive: true })
  writeFileSync(join(tree, 'etc/hostname'), 'host1')
  writeFileSync(join(tree, 'etc/empty'), '')
  writeFileSync(join(tree, 'etc/long'), 'x'.repeat(150))
  const path = join(folder.path, 'inline.raw')
  run('truncate', '--size=16M', path)
  run('mkfs.ext4', '-q', '-O', 'inline_data', '-d', tree, path)
  assertSame(path)
  assert.equal(cliAsNobody('copy-from', path, 'etc/hostname').stdout, 'host1')
})

test('an image of a usr volume, and one of several volumes', { skip }, async () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const tree = join(folder.path, 'tree')
  for (const name of ['usr/bin', 'etc', 'data/home', 'var/tmp', 'efi']) mkdirSync(join(tree, name), { recursive: true })
  writeFileSync(join(tree, 'usr/bin/hello'), '')
  run('ln', '-s', 'data/home', join(tree, 'home'))
  writeFileSync(join(tree, 'data/home/hidden'), '')
  const build = async (name: string, partitions: Record<string, readonly string[]>) => {
    const path = join(folder.path, name)
    await buildImage(defineImage(folder.path, partitions), path, { root: tree })
    chmodSync(path, 0o644)
    return path
  }
  const root = { '10-root': ['Type=root', 'Format=squashfs', 'CopyFiles=/'] }
  const others = {
    '20-home': ['Type=home', 'Format=ext4', 'SizeMinBytes=16M', 'CopyFiles=/etc:/from-etc'],
    '30-tmp': ['Type=tmp', 'Format=erofs', 'CopyFiles=/usr:/'],
  }
  assertSame(await build('usr.raw', { '10-usr': ['Type=usr', 'Format=erofs', 'CopyFiles=/usr:/'] }))
  assertSame(await build('several.raw', { ...root, ...others }))
  // What only a mount reads is refused, and the rest is read.
  const esp = await build('esp.raw', { ...root, '40-esp': ['Type=esp', 'Format=vfat', 'SizeMinBytes=40M'] })
  for (const args of [
    ['list-files', esp],
    ['digest', esp],
    ['copy-from', esp, 'efi/x'],
    ['copy-from', esp, '/', join(folder.path, 'all')],
  ]) {
    const { status, stdout, stderr } = cliAsNobody(...args)
    assert.deepEqual([status, stdout], [4, ''], stderr)
    assert.match(stderr, /efi.*ERR_DDI_PERMISSION/)
  }
  assert.equal(cliAsNobody('copy-from', esp, 'usr/bin/hello').status, 0)
  assert.equal(cliAsNobody('inspect', '--contents', esp).status, 0)
  assertSame(esp.replace('esp.raw', 'several.raw'))
  const policy = '--image-policy=root=unprotected:=ignore'
  assert.equal(cliAsNobody('digest', esp, policy).stdout, cli('digest', esp, policy).stdout)
})

test('names that cannot be told exactly are refused, not printed otherwise', { skip }, () => {
  using folder = temporaryFolder()
  chmodSync(folder.path, 0o755)
  const cases = {
    'not UTF-8': ': >"$(printf \'bad\\377\')"',
    'link not UTF-8': 'ln -s "$(printf \'bad\\377\')" link',
    'line break': ': >"$(printf \'a\\nb\')"',
    // It would pass for another file in a listing.
    'line break in a link': 'ln -s "$(printf \'a\\nfake R 1 4755 0 0 1 1\')" link',
    'end in a link': 'ln -s "$(printf \'a\\n# START OF DATA\')" link; echo >more',
  }
  for (const [name, script] of Object.entries(cases)) {
    const tree = join(folder.path, name)
    mkdirSync(tree)
    run('sh', '-euc', `cd "$1"; ${script}`, 'sh', tree)
    for (const path of makeFileSystems(folder.path, tree)) {
      const [root, nobody] = [cli('digest', path), cliAsNobody('digest', path)]
      if (nobody.status === 0) assert.equal(nobody.stdout, root.stdout, `${name} ${path}`)
      else assert.match(nobody.stderr, /ERR_DDI_FILE_SYSTEM/, `${name} ${path}`)
      assert.equal(nobody.stdout.includes('./fake'), false)
      if (name.includes('UTF-8'))
        for (const { stderr } of [root, nobody]) assert.match(stderr, /UTF-8.*ERR_DDI_FILE_SYSTEM/)
    }
  }
})

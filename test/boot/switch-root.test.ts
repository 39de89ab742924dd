// From an initramfs in memory to a system, in a mount namespace: what the system gets, what is freed, and what is refused.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot, run } from '../support/run.js'

/** The initramfs lies in /mnt/initramfs, and once more in /mnt/below, where it stays to be seen. Its /usr is a mount. */
const setUp = `
mount -t tmpfs none /mnt
mkdir /mnt/initramfs /mnt/below
mount -t tmpfs none /mnt/initramfs; mount --bind /mnt/initramfs /mnt/below
cd /mnt/initramfs
mkdir -p usr dev proc sys run etc bin/deep/er sysroot ".$PACKAGE" ".$MODULES"
for name in lib lib64 sbin; do ln -s usr/$name $name; done
: >etc/initrd-release; : >bin/deep/er/file; ln -s /etc/passwd bin/link; mkfifo bin/pipe
mount --bind /usr usr; mount --bind /dev dev; mount -t proc none proc; mount -t sysfs none sys; mount -t tmpfs none run
mount --bind "$PACKAGE" ".$PACKAGE"; mount --bind "$MODULES" ".$MODULES"
: >run/kept
mount -t tmpfs none sysroot
mkdir -p sysroot/sbin sysroot/bin sysroot/usr/bin sysroot/mnt
cp /bin/busybox sysroot/usr/bin/; ln -s busybox sysroot/usr/bin/sh; ln -s ../usr/bin/busybox sysroot/bin/sh
cat >sysroot/sbin/init <<'INIT'
#!/bin/sh
b=/usr/bin/busybox
echo "arguments $*"
$b env | $b sort
$b grep -E '^Sig(Blk|Ign)' /proc/self/status
$b grep 'open files' /proc/self/limits
echo "descriptors" $($b ls /proc/$$/fd)
$b ls -A / /run
$b cut -d' ' -f2 /proc/mounts
INIT
chmod 755 sysroot/sbin/init
mount -t tmpfs -o ro none sysroot/mnt
cp sysroot/sbin/init sysroot/usr/init
`

interface Switched {
  readonly output: string
  readonly left: readonly string[]
}

function switchFrom(change: string, ...words: string[]): Switched {
  const worker = join(packageRoot, 'dist/test/boot/switch-root-worker.js')
  // Node.js marks what it inherits to be closed; the system gets no more than three.
  const script = `${setUp}\n${change}\nchroot . "$@" 9</dev/null | cat; echo ---; cd /; find /mnt/below -xdev -mindepth 1 | sort`
  const env = {
    PATH: process.env['PATH'],
    PACKAGE: packageRoot,
    MODULES: realpathSync(join(packageRoot, 'node_modules')),
  }
  const { stdout, stderr, error } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-ec', script, 'sh', realpathSync(process.execPath), worker, ...words],
    { encoding: 'utf8', env },
  )
  if (error) throw error
  const [output = '', left = ''] = stdout.split('---\n')
  assert.equal(stderr, '')
  return {
    output,
    left: left
      .trim()
      .split('\n')
      .map((path) => path.slice('/mnt/below/'.length)),
  }
}

test('the system starts clean, and the memory of the initramfs is free', () => {
  const { output, left } = switchFrom('', '/sysroot', '/sbin/init')
  const lines = output.trim().split('\n')
  assert.equal(lines[0], 'arguments single')
  for (const expected of [
    'PWD=/',
    'TERM=linux',
    'WORDS=a b',
    'SigBlk:\t0000000000000000',
    'SigIgn:\t0000000000000000',
    'kept',
  ])
    assert.ok(lines.includes(expected), `${expected}:\n${output}`)
  assert.match(output, /Max open files +1024 /)
  // The shell itself has opened its script.
  assert.match(output, /^descriptors( (0|1|2|3|10))+$/m)
  // The system, what it kept, and no /usr of before.
  assert.deepEqual(lines.filter((path) => /^\/(dev|proc|sys|run|usr|mnt|sysroot)?$/.test(path)).sort(), [
    '/',
    '/dev',
    '/mnt',
    '/proc',
    '/run',
    '/sys',
  ])
  // Mount points that were not ours to unmount, and what is above them.
  const kept = [packageRoot, realpathSync(join(packageRoot, 'node_modules'))].map((path) => path.slice(1))
  for (const path of left)
    assert.ok(
      kept.some((mount) => mount === path || mount.startsWith(`${path}/`)),
      path,
    )
})

test('a root that is no more than its /usr gets what programs expect beside that', () => {
  const bare =
    'mkdir sysroot/kept; mv sysroot/usr sysroot/kept; umount sysroot/mnt; rm -r sysroot/bin sysroot/sbin sysroot/mnt; mv sysroot/kept/usr sysroot; rmdir sysroot/kept'
  const { output } = switchFrom(bare, '/sysroot', '/usr/init', 'complete')
  const lines = output.trim().split('\n')
  assert.equal(lines[0], 'arguments single', output)
  const top = lines.slice(lines.indexOf('/:') + 1, lines.indexOf('/run:') - 1)
  assert.deepEqual(top, ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'usr', 'var'])
})

const refusals: readonly (readonly [string, string, readonly [string, string], string, RegExp])[] = [
  ['a directory where nothing is mounted', '', ['/bin', '/sbin/init'], 'ERR_DDI_USAGE', /nothing is mounted there/],
  ['the root itself', '', ['/', '/sbin/init'], 'ERR_DDI_USAGE', /nothing is mounted there/],
  [
    'a root that is no initramfs',
    'rm etc/initrd-release',
    ['/sysroot', '/sbin/init'],
    'ERR_DDI_USAGE',
    /no \/etc\/initrd-release/,
  ],
  [
    'a system without a first program',
    '',
    ['/sysroot', '/sbin/none'],
    'ERR_DDI_NOT_FOUND',
    /no \/sbin\/none in \/sysroot/,
  ],
  [
    'a first program outside of it',
    'ln -s /../../bin/link sysroot/sbin/link; ln -s /usr/bin/true bin/link2',
    ['/sysroot', '/bin/link2'],
    'ERR_DDI_NOT_FOUND',
    /no \/bin\/link2/,
  ],
  [
    'a system without a place for what is kept',
    'mount -o remount,ro sysroot',
    ['/sysroot', '/sbin/init'],
    'ERR_DDI_MOUNT_POINT',
    /no directory \/dev/,
  ],
  [
    'a system where that is a link',
    'ln -s /etc sysroot/run',
    ['/sysroot', '/sbin/init'],
    'ERR_DDI_MOUNT_POINT',
    /no directory \/run/,
  ],
]

for (const [what, change, [directory, program], code, message] of refusals)
  test(`refused, and nothing is changed: ${what}`, () => {
    const { output, left } = switchFrom(change, directory, program)
    const error = JSON.parse(output) as { code: string; message: string }
    assert.deepEqual([error.code, message.test(error.message)], [code, true], output)
    for (const path of ['bin/deep/er/file', 'bin/pipe', 'usr', 'sysroot', 'run', 'proc'])
      assert.ok(left.includes(path), path)
  })

test('a first program that cannot be executed is told', () => {
  const { output } = switchFrom('echo text >sysroot/sbin/init', '/sysroot', '/sbin/init')
  assert.deepEqual((JSON.parse(output) as { syscall: string }).syscall, 'execve')
})

test('the root of this machine is refused', () => {
  const worker = join(packageRoot, 'dist/test/boot/switch-root-worker.js')
  assert.match(run(process.execPath, worker, '/proc', '/sbin/init'), /ERR_DDI_USAGE.*not in memory/)
})

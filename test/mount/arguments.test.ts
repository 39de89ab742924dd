import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountFlags } from '../../bindings/addon.js'
import type { Designator } from '../../lib/gpt/dps-types.js'
import { isWritableAndExecutable, mountArguments } from '../../lib/mount/arguments.js'

/** As mount(8) would spell it, apart from what every mount has. */
function spelled(
  designator: Designator | null,
  type: string,
  options: Partial<Parameters<typeof mountArguments>[2]> = {},
) {
  const { flags, data } = mountArguments(designator, type, { readOnly: true, discard: false, ...options })
  assert.ok(flags & mountFlags.silent)
  const names = { ro: 'readOnly', nosuid: 'noSuid', nodev: 'noDev', noexec: 'noExec', noatime: 'noAtime' } as const
  const words = Object.entries(names).flatMap(([word, flag]) => (flags & mountFlags[flag] ? [word] : []))
  if (flags & mountFlags.noSymbolicLinks) words.push('nosymfollow')
  return [...words, ...data.split(',')].filter((word) => word !== '').join(',')
}

test('a volume is mounted without devices, and never both writable and executable', () => {
  assert.equal(spelled('root', 'erofs'), 'ro,nodev')
  assert.equal(spelled('root', 'ext4', { readOnly: false }), 'nosuid,nodev,noexec')
  assert.equal(spelled('home', 'erofs'), 'ro,nosuid,nodev')
  assert.equal(spelled('esp', 'vfat'), 'ro,nosuid,nodev,noexec,nosymfollow,umask=0077')
  assert.equal(spelled(null, 'squashfs'), 'ro,nosuid,nodev')
})

test('a read-only mount does not write to its device, and a writable one gives back freed blocks if it may', () => {
  assert.equal(spelled('root', 'ext4'), 'ro,nodev,noload')
  assert.equal(spelled('root', 'xfs'), 'ro,nodev,norecovery')
  assert.equal(spelled('root', 'btrfs'), 'ro,nodev,rescue=nologreplay')
  assert.equal(spelled('root', 'f2fs', { discard: true }), 'ro,nodev,norecovery')
  assert.equal(spelled('var', 'ext4', { readOnly: false, discard: true }), 'nosuid,nodev,noexec,discard')
})

test('given options come last, and what is no flag goes to the file system', () => {
  const writable = { readOnly: false, given: 'exec,noatime,commit=5,,dev' }
  assert.equal(spelled('root', 'ext4', writable), 'nosuid,noatime,commit=5')
  assert.equal(spelled('root', 'ext4', { readOnly: false, given: 'ro,suid' }), 'ro,nodev,noexec')
  // A name of Object.prototype is a word like any other.
  assert.equal(spelled('root', 'ext4', { given: 'constructor' }), 'ro,nodev,noload,constructor')
})

test('what could change the programs that it runs is told', () => {
  const told = (readOnly: boolean, given: string) =>
    isWritableAndExecutable(mountArguments('root', 'ext4', { readOnly, discard: false, given }))
  assert.deepEqual(
    [told(true, ''), told(false, ''), told(false, 'exec'), told(true, 'rw,exec')],
    [false, false, true, true],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mountFlags } from '../../bindings/addon.js'
import type { Designator } from '../../lib/gpt/dps-types.js'
import {
  isWritableAndExecutable,
  type MountSteps,
  mountArguments,
  mountable,
  mountSteps,
} from '../../lib/mount/arguments.js'

/** As mount(8) would spell it, apart from what every mount has. */
function spelled(
  designator: Designator | null,
  type: string,
  options: Partial<Parameters<typeof mountArguments>[2]> = {},
) {
  const { flags, data } = mountArguments(designator, type, {
    readOnly: true,
    discard: false,
    noExec: false,
    ...options,
  })
  assert.ok(flags & mountFlags.silent)
  const names = { ro: 'readOnly', nosuid: 'noSuid', nodev: 'noDev', noexec: 'noExec', noatime: 'noAtime' } as const
  const words = Object.entries(names).flatMap(([word, flag]) => (flags & mountFlags[flag] ? [word] : []))
  if (flags & mountFlags.noSymbolicLinks) words.push('nosymfollow')
  return [...words, ...data.split(',')].filter((word) => word !== '').join(',')
}

test('a volume is mounted without devices, and never both writable and executable', () => {
  assert.equal(spelled('root', 'erofs'), 'ro,nodev')
  assert.equal(spelled('root', 'ext4', { readOnly: false }), 'nosuid,nodev,noexec,errors=remount-ro')
  assert.equal(spelled('home', 'erofs'), 'ro,nosuid,nodev')
  assert.equal(spelled('esp', 'vfat'), 'ro,nosuid,nodev,noexec,nosymfollow,umask=0077')
  assert.equal(spelled(null, 'squashfs'), 'ro,nosuid,nodev')
})

test('a read-only mount does not write to its device, and a writable one gives back freed blocks if it may', () => {
  assert.equal(spelled('root', 'ext4'), 'ro,nodev,errors=remount-ro,noload')
  assert.equal(spelled('root', 'xfs'), 'ro,nodev,norecovery')
  assert.equal(spelled('root', 'btrfs'), 'ro,nodev,rescue=nologreplay')
  assert.equal(spelled('root', 'f2fs', { discard: true }), 'ro,nodev,norecovery')
  assert.equal(
    spelled('var', 'ext4', { readOnly: false, discard: true }),
    'nosuid,nodev,noexec,errors=remount-ro,discard',
  )
})

test('given options come last, and what is no flag goes to the file system', () => {
  const writable = { readOnly: false, given: 'exec,noatime,commit=5,,dev' }
  assert.equal(spelled('root', 'ext4', writable), 'nosuid,noatime,errors=remount-ro,commit=5')
  assert.equal(spelled('root', 'ext4', { readOnly: false, given: 'ro,suid' }), 'ro,nodev,noexec,errors=remount-ro')
  // A name of Object.prototype is a word like any other.
  assert.equal(spelled('root', 'ext4', { given: 'constructor' }), 'ro,nodev,errors=remount-ro,noload,constructor')
})

const options = fc.record({
  readOnly: fc.boolean(),
  discard: fc.boolean(),
  inMemoryOverlay: fc.boolean(),
  noExec: fc.boolean(),
  given: fc
    .array(fc.constantFrom('rw', 'ro', 'suid', 'nosuid', 'dev', 'noexec', 'noatime', 'defaults', 'commit=5'))
    .map((words) => words.join(',')),
})
const designators = fc.constantFrom(null, ...(['root', 'usr', 'home', 'var', 'tmp', 'esp', 'xbootldr'] as const))
const types = fc.constantFrom('', 'crypto_LUKS', ...mountable)
/** All mounts that are reachable when a volume is in its place. */
const visible = ({ volume, overlay }: MountSteps) => (overlay ?? volume).flags

test('of no combination of options comes a mount that is writable and executable, unless they say exec', () => {
  const writable = (flags: number) => (flags & mountFlags.readOnly) === 0
  const executable = (flags: number) => (flags & mountFlags.noExec) === 0
  fc.assert(
    fc.property(designators, types, options, (designator, type, one) => {
      const steps = mountSteps(designator, type, one)
      for (const { flags } of [steps.volume, ...(steps.overlay ? [steps.overlay] : [])])
        assert.ok(!(writable(flags) && executable(flags)))
      assert.ok(!isWritableAndExecutable(steps))
      // Whoever says exec gets it, and is told what it is.
      const executed = mountSteps(designator, type, { ...one, given: `${one.given},exec` })
      const flags = visible(executed)
      assert.equal(isWritableAndExecutable(executed), writable(flags) && executable(flags))
      assert.ok(executable(flags))
    }),
    { numRuns: 2000 },
  )
})

test('what covers a volume in memory is no more permissive than a writable volume', () => {
  fc.assert(
    fc.property(designators, types, options, (designator, type, one) => {
      const covered = mountSteps(designator, type, { ...one, inMemoryOverlay: true })
      const written = mountSteps(designator, type, { ...one, inMemoryOverlay: false, readOnly: false })
      assert.equal(visible(covered), visible(written))
    }),
  )
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { memorySource } from '../../lib/bytes/memory.js'
import { type CpioEntry, cpioArchive } from '../../lib/uki/cpio.js'
import { temporaryFolder } from '../support/run.js'

const epoch = 1_700_000_000

async function bytesOf(entries: readonly CpioEntry[]): Promise<Uint8Array> {
  const archive = cpioArchive(entries, epoch)
  return await archive.read(0, archive.size)
}

function unpack(archive: Uint8Array, directory: string): void {
  const { status, stderr } = spawnSync(
    'cpio',
    ['--extract', '--preserve-modification-time', '--no-preserve-owner', '--quiet'],
    { cwd: directory, input: archive },
  )
  assert.equal(status, 0, String(stderr))
}

const component = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/)
const mode = fc.constantFrom(0o600, 0o644, 0o755, 0o777)
const leaf = fc.oneof(
  fc.record({
    kind: fc.constant('file' as const),
    mode,
    content: fc.uint8Array({ maxLength: 70 }).map((bytes) => memorySource(bytes)),
  }),
  fc.record({ kind: fc.constant('link' as const), mode: fc.constant(0o777), target: component }),
  fc.record({
    kind: fc.constant('character-device' as const),
    mode,
    major: fc.integer({ min: 0, max: 255 }),
    minor: fc.integer({ min: 0, max: 255 }),
  }),
)

test('cpio unpacks what was packed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(component, { maxLength: 6 }),
      fc.array(leaf, { maxLength: 6 }),
      async (names, leaves) => {
        using folder = temporaryFolder()
        const entries: CpioEntry[] = [
          { path: 'd', kind: 'directory', mode: 0o755 },
          ...leaves.slice(0, names.length).map((one, index): CpioEntry => ({ ...one, path: `d/${names[index]!}` })),
        ]
        unpack(await bytesOf(entries), folder.path)
        for (const entry of entries) {
          const path = join(folder.path, entry.path)
          const stats = lstatSync(path)
          if (entry.kind !== 'link') assert.equal(stats.mode & 0o7777, entry.mode)
          if (entry.kind === 'file') {
            assert.deepEqual(Uint8Array.from(readFileSync(path)), await entry.content.read(0, entry.content.size))
            assert.equal(stats.mtimeMs, epoch * 1000)
          }
          if (entry.kind === 'link') assert.equal(readlinkSync(path), entry.target)
          if (entry.kind === 'character-device') {
            assert.ok(stats.isCharacterDevice())
            assert.equal(stats.rdev, entry.major * 256 + entry.minor)
          }
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('the order in which files are given does not matter', async () => {
  const file = (path: string): CpioEntry => ({
    path,
    kind: 'file',
    mode: 0o644,
    content: memorySource(Buffer.from(path)),
  })
  const [a, b, c]: [CpioEntry, CpioEntry, CpioEntry] = [
    { path: 'd', kind: 'directory', mode: 0o755 },
    file('d/a'),
    file('d/b'),
  ]
  assert.deepEqual(await bytesOf([a, b, c]), await bytesOf([c, a, b]))
})

test('a path is there once, and a size fits into its field', () => {
  const content = { size: 2 ** 32, read: () => Promise.reject(new Error('it is not read')) }
  const large: CpioEntry = { path: 'large', kind: 'file', mode: 0o644, content }
  assert.throws(() => cpioArchive([large], epoch), { code: 'ERR_DDI_USAGE', message: /large does not fit/ })
  const link: CpioEntry = { path: 'a', kind: 'link', mode: 0o777, target: 'b' }
  assert.throws(() => cpioArchive([link, link], epoch), { code: 'ERR_DDI_USAGE', message: /twice/ })
})

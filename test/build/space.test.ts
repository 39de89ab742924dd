// How systemd-repart lays out the same definitions on the same disk.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildImage, partitionDisk } from '../../lib/index.js'
import { emptyFile, MiB } from '../support/images.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

/** `npm run corpus` compares 200 sets. */
const sets = Number(process.env['DDI_SPACE_SETS'] ?? 5)
const seed = '6f1a7a9e-1111-4222-8333-123456789abc'

// Whole grains: systemd 252 rounds minima down, other than repart.d(5) says.
const bytes = (most: number) => fc.integer({ min: 0, max: most / 4 }).map((grains) => `${grains * 4}K`)
const option = (name: string, value: fc.Arbitrary<string | number>) => value.map((one) => `${name}=${one}`)

/** The lines of a definition, such that its limits do not exclude each other. */
const definition = fc
  .record({
    type: fc.constantFrom('root', 'usr', 'home', 'srv', 'swap', 'linux-generic', 'var'),
    weight: fc.option(option('Weight', fc.oneof(fc.nat(3000), fc.constantFrom(0, 1, 1_000_000)))),
    paddingWeight: fc.option(option('PaddingWeight', fc.nat(2000))),
    sizes: fc.option(fc.tuple(bytes(20_000), bytes(60_000))),
    hasMost: fc.boolean(),
    padding: fc.option(fc.tuple(bytes(4000), bytes(8000))),
    priority: fc.option(option('Priority', fc.integer({ min: -1, max: 3 }))),
  })
  .map(({ type, weight, paddingWeight, sizes, hasMost, padding, priority }) => {
    const KiB = (text: string) => Number(text.slice(0, -1))
    const limits = (name: string, pair: [string, string] | null) => {
      if (!pair) return []
      const [least, most] = [...pair].sort((a, b) => KiB(a) - KiB(b)) as [string, string]
      return !hasMost ? [`${name}MinBytes=${least}`] : [`${name}MinBytes=${least}`, `${name}MaxBytes=${most}`]
    }
    const lines = [
      `Type=${type}`,
      weight,
      paddingWeight,
      priority,
      ...limits('Size', sizes),
      ...limits('Padding', padding),
    ]
    return lines.filter((line): line is string => line !== null)
  })

interface Planned {
  readonly start: number
  readonly size: number
  readonly name: string
  readonly uuid: string
  readonly number: string
}

function planned(path: string): readonly Planned[] {
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', path)) as {
    partitiontable: {
      partitions?: { node: string; start: number; size: number; name?: string; uuid: string; attrs?: string }[]
    }
  }
  return (partitiontable.partitions ?? []).map(({ node, start, size, name = '', uuid }) => ({
    ...{ start, size, name, uuid, number: node.slice(path.length) },
  }))
}

function define(folder: string, definitions: readonly (readonly string[])[]): string {
  const directory = join(folder, 'definitions')
  mkdirSync(directory)
  for (const [index, lines] of definitions.entries())
    writeFileSync(join(directory, `${10 + index}.conf`), ['[Partition]', ...lines, ''].join('\n'))
  return directory
}

const repart = (directory: string, path: string, ...more: string[]) =>
  // Its picture of partitions that it left out crashes it.
  attempt(
    'systemd-repart',
    '--dry-run=no',
    '--pretty=no',
    `--definitions=${directory}`,
    `--seed=${seed}`,
    ...more,
    path,
  )

test('a new image is shared out by systemd-repart’s rules, partition by partition', async () => {
  // On disks of 4 MiB and less libfdisk leaves no first MiB free.
  const set = fc.tuple(fc.array(definition, { minLength: 1, maxLength: 7 }), fc.integer({ min: 5, max: 200 }))
  await fc.assert(
    fc.asyncProperty(set, async ([definitions, size]) => {
      using folder = temporaryFolder()
      const directory = define(folder.path, definitions)
      const [theirs, ours] = [join(folder.path, 'theirs.raw'), join(folder.path, 'ours.raw')]
      const { status, stderr } = repart(directory, theirs, '--empty=create', `--size=${size}M`)
      const built = buildImage(directory, ours, { seed, size: size * MiB, root: folder.path })
      if (status !== 0) {
        assert.match(stderr, /Can't fit requested partitions/)
        await assert.rejects(built, { code: 'ERR_DDI_NO_SPACE' })
        return
      }
      await built
      assert.deepEqual(planned(ours), planned(theirs))
    }),
    { numRuns: sets, endOnFailure: true },
  )
})

/** Partitions that a disk has already, each with the free space before it, in sectors: seldom aligned. */
const present = fc.array(
  fc.record({
    type: fc.constantFrom('linux', 'home', 'swap', '4f68bce3-e8cd-4db1-96e7-fbcaf984b709'),
    gap: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30_000 })),
    size: fc.integer({ min: 8, max: 30_000 }),
  }),
  { maxLength: 4 },
)

test('on a disk that has partitions, others are added and those there grow as systemd-repart does it, and no other byte changes', async () => {
  const set = fc.tuple(present, fc.array(definition, { minLength: 1, maxLength: 5 }), fc.integer({ min: 80, max: 200 }))
  await fc.assert(
    fc.asyncProperty(set, async ([partitions, definitions, size]) => {
      using folder = temporaryFolder()
      const directory = define(folder.path, definitions)
      const [theirs, ours] = [join(folder.path, 'theirs.raw'), join(folder.path, 'ours.raw')]
      emptyFile(theirs, size * MiB)
      let at = 2048
      const lines = partitions.map(({ type, gap, size }, index) => {
        const line = `start=${at + gap}, size=${size}, type=${type}, name="p${index}"`
        at += gap + size
        return line
      })
      writeFileSync(join(folder.path, 'script'), ['label: gpt', ...lines, ''].join('\n'))
      run('sh', '-c', `sfdisk --quiet '${theirs}' < '${join(folder.path, 'script')}'`)
      copyFileSync(theirs, ours)
      const before = planned(ours)
      const { status, stderr } = repart(directory, theirs)
      const built = partitionDisk(directory, ours, { seed, root: folder.path })
      if (status !== 0) {
        assert.match(stderr, /Can't fit requested partitions/)
        await assert.rejects(built, { code: 'ERR_DDI_NO_SPACE' })
        assert.deepEqual(planned(ours), before)
        return
      }
      await built
      assert.deepEqual(planned(ours), planned(theirs))
      assert.match(run('sgdisk', '--verify', ours), /No problems found/)
    }),
    { numRuns: sets, endOnFailure: true },
  )
})

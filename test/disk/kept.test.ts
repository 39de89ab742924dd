// What a change of a table does not name stays as it is, on tables as other tools and firmware make them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { memorySource } from '../../lib/bytes/memory.js'
import { diskOn } from '../../lib/disk/disk.js'
import { DdiError, type Disk, ownOrigin, type Volume } from '../../lib/index.js'
import { makeDisk, rawEntry, seal, volumeHead } from '../support/gpt.js'
import { MiB, typeUuids } from '../support/images.js'
import { recordingTarget } from '../support/power-cut.js'
import { attempt, run, temporaryFolder } from '../support/run.js'

const freebsd = '516E7CB5-6ECF-11D6-8FF8-00022D09712B'

interface Layout {
  readonly sectorSize: number
  /** Whether sgdisk can read it: it takes every file for one of 512-byte sectors. */
  readonly sgdisk: boolean
  /** Of random sequences. Default: 8. */
  readonly runs?: number
  /** What else than no problems it may say. Default: nothing. */
  readonly said?: RegExp
  make(path: string): void
}

const size = 12 * MiB
const sgdisk = (...options: readonly string[]): Layout => ({
  sectorSize: 512,
  sgdisk: true,
  make: (path) => run('sgdisk', ...options, path),
})
const script = (sectorSize: number, tool: readonly [string, ...string[]], lines: readonly string[]): Layout => ({
  sectorSize,
  sgdisk: sectorSize === 512,
  make: (path) => {
    const [program, ...options] = tool
    execFileSync(program, [...options, path], { input: `${lines.join('\n')}\n`, stdio: 'pipe' })
  },
})
const foreign = ['--new=1:4096:+2M', `--typecode=1:${freebsd}`, '--attributes=1:set:58', '--attributes=1:set:2']

const layouts: Readonly<Record<string, Layout>> = {
  'boot code behind the header': sgdisk('--move-main-table=2048', ...foreign, '--change-name=1:theirs'),
  'few entries': sgdisk('--resize-table=4', ...foreign),
  // sgdisk compares each entry with each other one.
  'many entries': { ...sgdisk('--resize-table=16384', '--new=1:8192:+1M', '--new=16000:0:+1M'), runs: 1 },
  // Its record in the MBR is what whoever made it wrote there, whatever becomes of the partition.
  'a hybrid MBR': {
    ...sgdisk(...foreign, '--new=2:0:+3M', '--hybrid=2'),
    said: /Mismatched GPT and MBR partition(.|\n)*Identified 1 problems/,
  },
  'a reserved end': script(
    512,
    ['sfdisk', '--quiet'],
    ['label: gpt', 'first-lba: 100', 'last-lba: 20000', 'start=4096, size=4096, name=one'],
  ),
  'an odd partition': sgdisk('--set-alignment=1', '--new=1:2049:+1000K', '--new=5:10240:15001'),
  'parted’s, misaligned': {
    sectorSize: 512,
    sgdisk: true,
    make: (path) => {
      const partitions = ['mkpart', 'one', 'ext4', '2049s', '5000s', 'mkpart', 'two', '8192s', '9999s']
      run('parted', '--script', '--align=none', path, 'mklabel', 'gpt', ...partitions, 'set', '1', 'legacy_boot', 'on')
    },
  },
  'systemd-repart’s': { sectorSize: 512, sgdisk: true, make: (path) => repart(path, '--empty=force') },
  'systemd-repart’s, on an array elsewhere': {
    sectorSize: 512,
    sgdisk: true,
    make: (path) => {
      run('sgdisk', '--move-main-table=2048', '--resize-table=16', '--new=3:4096:+1M', path)
      repart(path, '--empty=refuse')
    },
  },
  'sectors of 4096 bytes': script(
    4096,
    ['fdisk', '-b', '4096'],
    ['g', 'n', '1', '512', '+512', 'n', '2', '2000', '2500', 'w'],
  ),
  'entries of 256 bytes, a long header': {
    sectorSize: 512,
    sgdisk: false,
    make: (path) => writeFileSync(path, vendorDisk()),
  },
}

function repart(path: string, ...options: readonly string[]): void {
  using folder = temporaryFolder()
  const sizes = ['SizeMinBytes=1M', 'SizeMaxBytes=1M']
  const definitions = {
    '10-root.conf': ['Type=root', 'Label=theirs', 'Flags=0x4', ...sizes],
    '20-home.conf': ['Type=home', 'PaddingMinBytes=1M', 'GrowFileSystem=yes', ...sizes],
  }
  for (const [name, lines] of Object.entries(definitions))
    writeFileSync(join(folder.path, name), ['[Partition]', ...lines, ''].join('\n'))
  run('systemd-repart', ...options, '--dry-run=no', `--definitions=${folder.path}`, path)
}

/** As firmware may write it: longer header and entries, with bytes of its own in each. */
function vendorDisk(): Buffer {
  const entries = [{ ...rawEntry(typeUuids.home), first: 4096n, last: 8191n, label: 'theirs' }]
  const disk = makeDisk({ sectorSize: 512, sectors: size / 512, entrySize: 256, entryCount: 16, entries })
  for (const lba of [1, size / 512 - 1]) {
    const array = Number(disk.readBigUInt64LE(lba * 512 + 72)) * 512
    disk.fill('V', array + 128, array + 256)
    disk.fill('U', array + 15 * 256 + 16, array + 16 * 256)
    disk.fill('H', lba * 512 + 92, lba * 512 + 200)
    disk.writeUInt32LE(160, lba * 512 + 12)
    disk.fill('R', lba * 512 + 20, lba * 512 + 24)
    seal(disk, 512, lba)
  }
  return disk
}

/** A disk of a layout, with bytes wherever it has none, and behind the names. */
function diskOf(path: string, { make, sectorSize }: Layout): Buffer {
  writeFileSync(path, Buffer.alloc(size))
  make(path)
  const disk = readFileSync(path)
  randomBytes(440).copy(disk)
  for (let at = 0; at < size; at += 8) if (at >= 2 * sectorSize && disk.readBigUInt64LE(at) === 0n) poke(disk, at)
  for (const lba of [1, size / sectorSize - 1]) {
    const { array, entrySize, entryCount } = headerAt(disk, lba, sectorSize)
    disk.fill(0, array, array + entryCount * entrySize)
  }
  const clean = readFileSync(path)
  for (const lba of [1, size / sectorSize - 1]) {
    const { array, entrySize, entryCount } = headerAt(clean, lba, sectorSize)
    clean.copy(disk, array, array, array + entryCount * entrySize)
    clean.copy(disk, lba * sectorSize, lba * sectorSize, (lba + 1) * sectorSize)
    const name = disk.subarray(array + 56, array + 128)
    if (disk[array] !== 0) name.write('behind', 72 - 6, 'latin1')
    seal(disk, sectorSize, lba)
  }
  return disk
}

function poke(disk: Buffer, at: number): void {
  disk.write('DONTLOSE', at, 'latin1')
}

/** An independent reading of a header: where its array lies. */
function headerAt(disk: Buffer, lba: number, sectorSize: number) {
  const at = lba * sectorSize
  return {
    alternate: Number(disk.readBigUInt64LE(at + 32)),
    array: Number(disk.readBigUInt64LE(at + 72)) * sectorSize,
    entryCount: disk.readUInt32LE(at + 80),
    entrySize: disk.readUInt32LE(at + 84),
  }
}

type Range = readonly [start: number, end: number]

/** The numbers of the entries that make up a volume. */
function numbersOf(volume: Volume): number[] {
  const origin = ownOrigin(volume)
  if (origin.kind === 'chain') return origin.segments.map(({ number }) => number)
  return origin.kind === 'partition' ? [origin.number] : []
}

/** Both checksums of both headers, and fields of entries in both arrays. */
function ofTable(disk: Buffer, sectorSize: number, numbers: readonly number[], fields: Range): Range[] {
  const lbas = [1, headerAt(disk, 1, sectorSize).alternate]
  return lbas.flatMap((lba) => {
    const { array, entrySize } = headerAt(disk, lba, sectorSize)
    const entries = numbers.map((number): Range => {
      const at = array + (number - 1) * entrySize
      return [at + fields[0], at + Math.min(fields[1], entrySize)]
    })
    const at = lba * sectorSize
    return [[at + 16, at + 20], [at + 88, at + 92], ...entries]
  })
}

/** The runs between the ranges in which two disks may differ that do differ. */
function differences(before: Buffer, after: Buffer, allowed: readonly Range[]): Range[] {
  const found: Range[] = []
  let at = 0
  for (const [start, end] of [...allowed].sort((a, b) => a[0] - b[0]).concat([[before.length, before.length]])) {
    if (start > at && !before.subarray(at, start).equals(after.subarray(at, start))) found.push([at, start])
    at = Math.max(at, end)
  }
  return found
}

const all: Range = [0, 4096]
const steps = fc.array(
  fc.record({
    verb: fc.constantFrom('create', 'create', 'grow', 'grow', 'shrink', 'label', 'uuid', 'remove', 'defragment'),
    pick: fc.nat(),
    size: fc.integer({ min: 1, max: 3 * 256 }).map((units) => units * 4096),
  }),
  { minLength: 4, maxLength: 10 },
)
type Step = typeof steps extends fc.Arbitrary<(infer One)[]> ? One : never

/** Makes a change. @returns fields of entries that it may change, by the numbers of entries; and other bytes */
async function change(disk: Disk, { verb, pick, size }: Step): Promise<readonly [readonly number[], Range, Range[]]> {
  if (verb === 'create') {
    const made = await disk.create(volumeHead(''), size, { from: memorySource(randomBytes(4096)) })
    const { start } = made.extents[0]!
    return [numbersOf(made), all, [[start, start + 4096]]]
  }
  const volume = disk.volumes[pick % Math.max(1, disk.volumes.length)]
  if (volume?.state !== 'whole') return [[], all, []]
  const numbers = numbersOf(volume)
  if (verb === 'grow') {
    const grown = numbersOf(await disk.grow(volume, size))
    return grown.length === numbers.length ? [numbers, [40, 48], []] : [grown.slice(numbers.length - 1), all, []]
  }
  if (verb === 'shrink') {
    const left = numbersOf(await disk.shrink(volume, size, { force: true }))
    return left.length === numbers.length ? [numbers, [40, 48], []] : [numbers.slice(left.length - 1), all, []]
  }
  if (verb === 'label') {
    await disk.rename(volume, { label: `label ${pick}` }, { force: true })
    return [numbers, [56, 128], []]
  }
  if (verb === 'uuid') {
    await disk.rename(volume, { uuid: randomUUID() })
    return [numbers, [16, 32], []]
  }
  if (verb === 'remove') await disk.remove(volume)
  if (verb === 'remove') return [numbers, all, []]
  const moved = await disk.defragment()
  const extents = moved.flatMap(({ extents }) => extents.map(({ start, length }): Range => [start, start + length]))
  return [[...Array(headerEntries).keys()].map((n) => n + 1), all, extents]
}
const headerEntries = 16384

function assertSound(said: string, or = /No problems found/): void {
  assert.ok(/No problems found/.test(said) || or.test(said), said)
}

for (const [name, layout] of Object.entries(layouts)) {
  test(`random changes keep every other byte: ${name}`, async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'disk')
    const made = diskOf(path, layout)
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const target = recordingTarget(Buffer.from(made))
        const disk = await diskOn(target, 'memory')
        let changes = 0
        for (const step of sequence) {
          const before = Buffer.from(target.bytes)
          const { entryCount } = headerAt(before, 1, layout.sectorSize)
          const allowed = await change(disk, step).then(
            ([numbers, fields, ranges]) => {
              changes++
              const used = numbers.filter((number) => number <= entryCount)
              return [...ofTable(before, layout.sectorSize, used, fields), ...ranges]
            },
            (error: unknown) => {
              const codes = ['ERR_DDI_NO_SPACE', 'ERR_DDI_USAGE', 'ERR_DDI_TABLE_FULL']
              if (!(error instanceof DdiError && codes.includes(error.code))) throw error
              return []
            },
          )
          assert.deepEqual(differences(before, target.bytes, allowed), [], JSON.stringify(step))
        }
        if (changes === 0) return
        writeFileSync(path, target.bytes)
        if (layout.sgdisk) assertSound(run('sgdisk', '--verify', path), layout.said)
        if (layout.sgdisk) assert.equal(attempt('sfdisk', '--verify', path).status, 0)
        if (layout.sectorSize !== 512)
          assert.match(run('fdisk', '-b', `${layout.sectorSize}`, '--list', path), /Disklabel type: gpt/)
      }),
      { numRuns: layout.runs ?? 8 },
    )
  })
}

test('on a disk that has grown, a change moves the backup to the end, and its space is free for the same change', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk')
  const small = diskOf(path, layouts['boot code behind the header']!)
  for (const more of [512, 20 * 512, 8 * MiB]) {
    const target = recordingTarget(Buffer.concat([small, Buffer.alloc(more)]))
    const before = Buffer.from(target.bytes)
    const disk = await diskOn(target, 'memory')
    const free = disk.free.reduce((sum, { length }) => sum + length, 0)
    assert.ok(more < MiB || free > 15 * MiB)
    const made = await disk.create(volumeHead('new'), more < MiB ? MiB : 14 * MiB, {
      from: memorySource(randomBytes(MiB)),
    })
    const [header, total] = [512, before.length]
    const allowed: Range[] = [
      [header + 16, header + 20],
      [header + 32, header + 40],
      [header + 48, header + 56],
      [header + 88, header + 92],
      [458, 462],
      ...ofTable(before, 512, numbersOf(made), all).slice(0, 3),
      [total - 33 * 512, total],
      ...made.extents.slice(0, 1).map(({ start }): Range => [start, start + MiB]),
    ]
    assert.deepEqual(differences(before, target.bytes, allowed), [])
    writeFileSync(path, target.bytes)
    assert.match(run('sgdisk', '--verify', path), /No problems found/)
    assert.doesNotMatch(attempt('sfdisk', '--list', path).stderr, /mismatch/)
    assert.deepEqual(await disk.check(), { mended: [], left: [] })
  }
})

test('a lost primary is put back where it was: before the partitions, if boot code lies behind the header', async () => {
  using folder = temporaryFolder()
  for (const name of ['boot code behind the header', 'few entries', 'entries of 256 bytes, a long header']) {
    const made = diskOf(join(folder.path, 'disk'), layouts[name]!)
    const { array, entryCount, entrySize } = headerAt(made, 1, 512)
    // All of the array, some of it, or nothing is left where it was.
    for (const lost of [0, 64, entryCount * entrySize]) {
      const target = recordingTarget(Buffer.from(made))
      target.bytes.fill(0, 512, 1024)
      target.bytes.fill(0, array + entryCount * entrySize - lost, array + entryCount * entrySize)
      const disk = await diskOn(target, 'memory')
      assert.deepEqual(await disk.check({ repair: true }), {
        mended: ['primary table: a GPT header is missing'],
        left: [],
      })
      assert.deepEqual(differences(made, target.bytes, []), [], `${name}, ${lost} bytes lost`)
    }
  }
})

test('a protective MBR is restored by a repair, and only where no other records are; without one, nothing is changed', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk')
  const made = diskOf(path, layouts['few entries']!)
  const target = recordingTarget(Buffer.from(made))
  target.bytes.fill(0, 446, 512)
  const disk = await diskOn(target, 'memory')
  await assert.rejects(disk.create(volumeHead('new'), MiB), { code: 'ERR_DDI_GPT_NO_PROTECTIVE_MBR' })
  assert.equal(target.writes.length, 0)
  assert.deepEqual((await disk.check({ repair: true })).left, [])
  // As sgdisk wrote it, but for the end in cylinders, heads and sectors.
  assert.deepEqual(differences(made, target.bytes, [[447, 454]]), [])
  writeFileSync(path, target.bytes)
  assert.match(run('sgdisk', '--verify', path), /No problems found/)

  target.bytes.fill(0, 446, 510)
  target.bytes[450] = 0x83
  const { length } = target.writes
  const foreign = await diskOn(target, 'memory')
  await assert.rejects(foreign.check({ repair: true }), {
    code: 'ERR_DDI_GPT_NO_PROTECTIVE_MBR',
    message: /of its own/,
  })
  assert.equal(target.writes.length, length)
})

test('a change whose table could not be read back is refused before anything is written', async () => {
  const entries = [rawEntry(typeUuids.home)]
  const shared = makeDisk({ sectorSize: 512, sectors: 8 * 2048, entries })
  // Both copies in one array: the first write would be to the only one there is.
  shared.writeBigUInt64LE(2n, shared.length - 512 + 72)
  seal(shared, 512, 8 * 2048 - 1)
  const target = recordingTarget(shared)
  const disk = await diskOn(target, 'memory')
  await assert.rejects(disk.create(volumeHead('new'), MiB), { code: 'ERR_DDI_GPT_ARRAY_RANGE' })
  assert.equal(target.writes.length, 0)
})

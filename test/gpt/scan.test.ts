import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { addon } from '../../bindings/addon.js'
import { type GptScan, memorySource, openFile, readGpt, scanGpt } from '../../lib/gpt/index.js'
import { makeDisk, type RawEntry, seal } from '../support/gpt.js'
import { emptyFile, MiB, makeGptImage, typeUuids } from '../support/images.js'
import { run, temporaryFolder } from '../support/run.js'

const entry = (first: bigint, last: bigint, fill = Number(first) & 0xff): RawEntry => ({
  type: new Uint8Array(16).fill(0xa5),
  uuid: new Uint8Array(16).fill(fill),
  first,
  last,
  label: 'pärt',
})

/** Both readers, which have to say the same. */
async function scanBoth(bytes: Uint8Array): Promise<GptScan> {
  const scan = await scanGpt(memorySource(bytes))
  assert.deepEqual(addon().scanPartitionsInBytes(bytes), scan)
  return scan
}

async function codeOf(bytes: Uint8Array): Promise<string | undefined> {
  const scan = await scanBoth(bytes)
  return 'code' in scan ? scan.code : undefined
}

test('a table by sgdisk reads as sfdisk reads it', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [
    { type: typeUuids.root, size: 2 * MiB, label: 'os_1', attributes: [60, 63] },
    { type: typeUuids.home, size: 3 * MiB, label: 'ünïcode ☃', attributes: [59] },
    { type: typeUuids.linuxGeneric, size: MiB, label: 'a'.repeat(36) },
  ])
  await using source = await openFile(path)
  const { table, copy, problems } = await readGpt(source)
  const sfdisk = JSON.parse(run('sfdisk', '--json', path)).partitiontable
  assert.equal(copy, 'primary')
  assert.deepEqual(problems, [])
  assert.equal(table.uuid, sfdisk.id.toLowerCase())
  assert.equal(table.usableStart, sfdisk.firstlba * 512)
  assert.equal(table.usableEnd, (sfdisk.lastlba + 1) * 512)
  assert.deepEqual(
    table.partitions.map(({ typeUuid, uuid, start, length, label }) => ({ typeUuid, uuid, start, length, label })),
    sfdisk.partitions.map((one: Record<string, string | number>) => ({
      typeUuid: String(one['type']).toLowerCase(),
      uuid: String(one['uuid']).toLowerCase(),
      start: Number(one['start']) * 512,
      length: Number(one['size']) * 512,
      label: one['name'],
    })),
  )
  assert.deepEqual(
    table.partitions.map(({ attributes }) => attributes),
    [(1n << 60n) | (1n << 63n), 1n << 59n, 0n],
  )
  assert.deepEqual(await addon().scanPartitions(source.fd, path, source.size), await scanGpt(source))
})

test('every sector size and entry size reads', async () => {
  for (const sectorSize of [512, 1024, 2048, 4096]) {
    for (const entrySize of [128, 256, 512, 1024, 4096]) {
      const disk = makeDisk({ sectorSize, sectors: 200, entrySize, entries: [entry(100n, 110n), entry(111n, 111n)] })
      const scan = await scanBoth(disk)
      assert.ok('table' in scan)
      assert.equal(scan.table.sectorSize, sectorSize)
      assert.deepEqual(scan.problems, [])
      assert.deepEqual(
        scan.table.partitions.map(({ start, length, label }) => ({ start, length, label })),
        [
          { start: 100 * sectorSize, length: 11 * sectorSize, label: 'pärt' },
          { start: 111 * sectorSize, length: sectorSize, label: 'pärt' },
        ],
      )
    }
  }
})

test('a damaged primary reads from the backup, and says so', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk.raw')
  makeGptImage(path, 16 * MiB, [{ type: typeUuids.root, size: 2 * MiB }])
  const whole = await scanBoth(readFileSync(path))
  assert.ok('table' in whole)
  const damages = [
    [512, 'ERR_DDI_GPT_NO_HEADER'],
    [512 + 40, 'ERR_DDI_GPT_HEADER_CRC'],
    [2 * 512, 'ERR_DDI_GPT_ARRAY_CRC'],
  ] as const
  for (const [offset, code] of damages) {
    const disk = readFileSync(path)
    disk.write('damage', offset)
    const scan = await scanBoth(disk)
    assert.ok('table' in scan)
    assert.equal(scan.copy, 'backup')
    assert.deepEqual(scan.problems, [{ copy: 'primary', code }])
    assert.deepEqual(scan.table, whole.table)
  }
})

const small = () => makeDisk({ sectorSize: 512, sectors: 64, entries: [entry(10n, 19n), entry(20n, 20n)] })

/** Changes both copies alike and makes their checksums right. */
function resealed(change: (disk: Buffer, header: number, array: number) => void): Buffer {
  const disk = small()
  change(disk, 512, 2 * 512)
  change(disk, 63 * 512, 61 * 512)
  seal(disk, 512, 1)
  seal(disk, 512, 63)
  return disk
}

test('each way to be wrong has its code', async () => {
  const cases: [string, Buffer][] = [
    ['ERR_DDI_NO_TABLE', Buffer.alloc(64 * 512)],
    ['ERR_DDI_NO_TABLE', Buffer.alloc(0)],
    ['ERR_DDI_GPT_HEADER_SIZE', resealed((disk, header) => disk.writeUInt32LE(91, header + 12))],
    ['ERR_DDI_GPT_HEADER_SIZE', resealed((disk, header) => disk.writeUInt32LE(513, header + 12))],
    ['ERR_DDI_GPT_REVISION', resealed((disk, header) => disk.writeUInt32LE(0x00020000, header + 8))],
    ['ERR_DDI_GPT_HEADER_LBA', resealed((disk, header) => disk.writeBigUInt64LE(7n, header + 24))],
    ['ERR_DDI_GPT_ENTRY_SIZE', resealed((disk, header) => disk.writeUInt32LE(192, header + 84))],
    ['ERR_DDI_GPT_ENTRY_SIZE', resealed((disk, header) => disk.writeUInt32LE(8192, header + 84))],
    ['ERR_DDI_GPT_ENTRY_COUNT', resealed((disk, header) => disk.writeUInt32LE(0xffffffff, header + 80))],
    ['ERR_DDI_GPT_ENTRY_COUNT', resealed((disk, header) => disk.writeUInt32LE(0, header + 80))],
    ['ERR_DDI_GPT_TRUNCATED', resealed((disk, header) => disk.writeBigUInt64LE(64n, header + 48))],
    ['ERR_DDI_GPT_TRUNCATED', resealed((disk, header) => disk.writeBigUInt64LE(2n ** 64n - 1n, header + 48))],
    ['ERR_DDI_GPT_USABLE_RANGE', resealed((disk, header) => disk.writeBigUInt64LE(61n, header + 40))],
    ['ERR_DDI_GPT_ARRAY_RANGE', resealed((disk, header) => disk.writeBigUInt64LE(2n ** 64n - 1n, header + 72))],
    ['ERR_DDI_GPT_ARRAY_RANGE', resealed((disk, header) => disk.writeBigUInt64LE(10n, header + 72))],
    ['ERR_DDI_GPT_ENTRY_RANGE', resealed((disk, _, array) => disk.writeBigUInt64LE(2n ** 64n - 1n, array + 40))],
    ['ERR_DDI_GPT_ENTRY_RANGE', resealed((disk, _, array) => disk.writeBigUInt64LE(1n, array + 32))],
    ['ERR_DDI_GPT_ENTRY_RANGE', resealed((disk, _, array) => disk.writeBigUInt64LE(9n, array + 40))],
    ['ERR_DDI_GPT_OVERLAP', resealed((disk, _, array) => disk.writeBigUInt64LE(20n, array + 40))],
  ]
  for (const [code, disk] of cases) assert.equal(await codeOf(disk), code)

  const broken = small()
  broken[512 + 60]! ^= 1
  broken[63 * 512 + 60]! ^= 1
  assert.equal(await codeOf(broken), 'ERR_DDI_GPT_HEADER_CRC')

  const arrays = small()
  arrays[2 * 512 + 60]! ^= 1
  arrays[61 * 512 + 60]! ^= 1
  assert.equal(await codeOf(arrays), 'ERR_DDI_GPT_ARRAY_CRC')

  const nobody = small()
  nobody.fill(0, 512, 1024)
  nobody[61 * 512]! ^= 1
  assert.equal(await codeOf(nobody), 'ERR_DDI_GPT_ARRAY_CRC')

  const two = makeDisk({ sectorSize: 512, sectors: 800, entries: [entry(100n, 110n)] })
  makeDisk({ sectorSize: 4096, sectors: 100, entries: [entry(30n, 31n)] }).copy(two, 4096, 4096, 2 * 4096)
  assert.equal(await codeOf(two), 'ERR_DDI_GPT_AMBIGUOUS')
})

test('what does not keep a table from being read is a problem', async () => {
  const problems = async (disk: Buffer) => {
    const scan = await scanBoth(disk)
    assert.ok('table' in scan)
    return scan.problems.map(({ code }) => code)
  }
  const bare = small()
  bare.fill(0, 0, 512)
  assert.deepEqual(await problems(bare), ['ERR_DDI_GPT_NO_PROTECTIVE_MBR'])

  const twins = resealed((disk, _, array) => disk.copy(disk, array + 128 + 16, array + 16, array + 32))
  assert.deepEqual(await problems(twins), ['ERR_DDI_GPT_DUPLICATE_UUID'])

  const unnamed = resealed((disk, _, array) => {
    for (const at of [16, 128 + 16]) disk.fill(0, array + at, array + at + 16)
  })
  assert.deepEqual(await problems(unnamed), [])

  assert.deepEqual(await problems(Buffer.concat([small(), Buffer.alloc(512)])), ['ERR_DDI_GPT_BACKUP_NOT_AT_END'])

  const stale = small()
  stale[512 + 60]! ^= 1
  seal(stale, 512, 1)
  assert.deepEqual(await problems(stale), ['ERR_DDI_GPT_COPIES_DIFFER'])

  const half = small()
  half[63 * 512]! ^= 1
  assert.deepEqual(await problems(half), ['ERR_DDI_GPT_NO_HEADER'])
})

test('a backup that nothing protects, or behind a superblock, is a leftover', async () => {
  const disk = () => {
    const bytes = makeDisk({ sectorSize: 512, sectors: 200, entries: [entry(100n, 110n)] })
    bytes.fill(0, 512, 1024)
    return bytes
  }
  assert.equal(await codeOf(disk()), undefined)
  const without = disk()
  without.fill(0, 0, 512)
  assert.equal(await codeOf(without), 'ERR_DDI_GPT_LEFTOVER')
  const dos = disk()
  dos[450] = 0x83
  assert.equal(await codeOf(dos), 'ERR_DDI_GPT_LEFTOVER')
  const superblocks: [number, string][] = [
    [512, '4c4142454c4f4e45'],
    [1024, 'e2e1f5e0'],
    [1024, '1020f5f2'],
    [1080, '53ef'],
    [4086, '53574150535041434532'],
    [8182, '53574150535041434532'],
    [16374, '53574150535041434532'],
    [65526, '53574150535041434532'],
    [4096, 'fc4e2ba9'],
    [4120, 'c68573f64e1a45ca8265f57f48ba6d81'],
    [4120, 'c68573f666ce90a9d96a60cf803df7ef'],
    [32768, '4a465331'],
    [32769, '4344303031'],
    [65588, '526549734572'],
    [65600, '5f42485266535f4d'],
  ]
  for (const [at, magic] of superblocks) {
    const bytes = disk()
    bytes.write(magic, at, 'hex')
    assert.equal(await codeOf(bytes), 'ERR_DDI_GPT_LEFTOVER', magic)
    // A primary that verifies is no leftover: hybrid images have both.
    const whole = makeDisk({ sectorSize: 512, sectors: 200, entries: [entry(190n, 191n)] })
    if (at < 2048 || at > 4096) continue
    whole.write(magic, at, 'hex')
    assert.equal(await codeOf(whole), undefined, magic)
  }
})

test('where a change of a grown disk was cut short, the backup is found at its end', async () => {
  const grown = Buffer.concat([small(), Buffer.alloc(16 * 512)])
  const moved = makeDisk({ sectorSize: 512, sectors: 80, entries: [entry(10n, 19n)] })
  moved.copy(grown, 72 * 512, 72 * 512)
  grown.fill(0, 63 * 512, 64 * 512)
  grown[2 * 512]! ^= 1
  const scan = await scanBoth(grown)
  assert.ok('table' in scan)
  assert.equal(scan.table.partitions.length, 1)
})

test('an image cut at any length is refused, never read short', async () => {
  const disk = small()
  for (let length = 0; length < disk.length; length++) {
    const interesting = length % 512 < 2 || length % 512 > 510 || length < 1200
    if (!interesting) continue
    const code = await codeOf(disk.subarray(0, length))
    const expected = length < 1024 ? 'ERR_DDI_NO_TABLE' : 'ERR_DDI_GPT_TRUNCATED'
    assert.equal(code, expected, `${length} bytes`)
  }
})

test('both readers say the same of 100,000 mutated tables', async () => {
  const bases = [512, 1024, 2048, 4096].map((sectorSize) =>
    makeDisk({ sectorSize, sectors: 24, entryCount: 4, entries: [entry(5n, 8n), entry(9n, 12n), entry(15n, 15n)] }),
  )
  const sectorSizeOf = (base: number) => [512, 1024, 2048, 4096][base]!
  const edge = fc.constantFrom(
    0n,
    1n,
    2n,
    3n,
    7n,
    9n,
    22n,
    23n,
    24n,
    127n,
    128n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 63n,
    2n ** 64n - 2n,
    2n ** 64n - 1n,
  )
  const mutation = fc.oneof(
    // A field of a header, by its offset; of an entry, by its own; or any byte at all.
    fc.record({
      kind: fc.constant('header' as const),
      copy: fc.nat(1),
      at: fc.constantFrom(0, 8, 12, 16, 24, 32, 40, 48, 56, 72, 80, 84, 88),
      value: edge,
    }),
    fc.record({
      kind: fc.constant('entry' as const),
      copy: fc.nat(1),
      at: fc.constantFrom(0, 16, 32, 40, 48, 56),
      index: fc.nat(3),
      value: edge,
    }),
    fc.record({ kind: fc.constant('byte' as const), at: fc.nat(), value: edge }),
  )
  const codes = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      fc.nat(3),
      fc.option(fc.nat(), { freq: 8 }),
      async (base, mutations, sealed, cut) => {
        const sectorSize = sectorSizeOf(base)
        const disk = Buffer.from(bases[base]!)
        for (const one of mutations) {
          const last = disk.length / sectorSize - 1
          if (one.kind === 'byte') {
            disk[one.at % disk.length] = Number(one.value & 0xffn)
            continue
          }
          const header = (one.copy === 0 ? 1 : last) * sectorSize
          const array = (one.copy === 0 ? 2 : last - 1) * sectorSize
          const at = one.kind === 'header' ? header + one.at : array + one.index * 128 + one.at
          if (one.kind === 'header' && [8, 12, 16, 80, 84, 88].includes(one.at))
            disk.writeUInt32LE(Number(one.value & 0xffffffffn), at)
          else disk.writeBigUInt64LE(one.value, at)
        }
        // Most tables get right checksums again, or nothing would be seen of what lies behind them.
        if (sealed & 1) seal(disk, sectorSize, 1)
        if (sealed & 2) seal(disk, sectorSize, disk.length / sectorSize - 1)
        const bytes = cut === null ? disk : disk.subarray(0, cut % (disk.length + 1))
        const code = (await codeOf(bytes)) ?? 'read'
        codes.set(code, (codes.get(code) ?? 0) + 1)
      },
    ),
    { numRuns: 100_000 },
  )
  // The mutations reach what they are for: most codes were seen, and many tables survived.
  assert.ok((codes.get('read') ?? 0) > 1000, JSON.stringify([...codes]))
  assert.ok(codes.size >= 12, JSON.stringify([...codes]))
})

test('a file of zeroes has no table', async () => {
  using folder = temporaryFolder()
  await using source = await openFile(emptyFile(join(folder.path, 'zero'), MiB))
  await assert.rejects(readGpt(source), { code: 'ERR_DDI_NO_TABLE' })
})

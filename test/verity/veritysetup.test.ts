// The cases of cryptsetup's verity-compat-test that need no kernel, held against veritysetup on the same bytes (docs/compatibility.md).
import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { correct, parityOf } from '../../lib/verity/reed-solomon.js'
import { emptyFile, MiB, writeAt } from '../support/images.js'
import { attempt, cli, run, temporaryFolder } from '../support/run.js'

const salt = 'e48da609055204e89ae53b655ca2216dd983cf3cb829f34f63a297d106d53e2d'
const uuid = '9b0126da-0bdd-4d7f-8b5c-1f2e3d4c5b6a'

interface Layout {
  readonly blockSize: number
  readonly dataBlocks: number
  /** The tree lies in the file of the data. */
  readonly hashOffset?: number
  /** The parity does, too. */
  readonly fecOffset?: number
  readonly roots: number
  readonly bare?: boolean
}

/** Options of both programs for a layout. @param folder of files that are not that of the data */
function optionsOf(folder: string, data: string, layout: Layout) {
  const { blockSize, dataBlocks, hashOffset, fecOffset, roots, bare } = layout
  const hash = hashOffset === undefined ? join(folder, 'tree') : data
  const fec = fecOffset === undefined ? join(folder, 'fec') : data
  const tree = [
    ...(bare ? ['--no-superblock'] : []),
    ...(hashOffset === undefined ? [] : [`--hash-offset=${hashOffset}`]),
  ]
  const parity = [`--fec-device=${fec}`, `--fec-roots=${roots}`, ...(fecOffset ? [`--fec-offset=${fecOffset}`] : [])]
  const blocks = [`--data-block-size=${blockSize}`, `--hash-block-size=${blockSize}`, `--data-blocks=${dataBlocks}`]
  return { hash, fec, format: [...tree, ...parity, ...blocks, `--salt=${salt}`], tree, parity, blocks }
}

/** Formats by both programs, of two copies of one file. @returns ours, and whether all files are the same */
function formatBoth(folder: string, layout: Layout, size: number) {
  const [ours, theirs] = ['ours', 'theirs'].map((name) => {
    run('mkdir', '-p', join(folder, name))
    return { folder: join(folder, name), data: join(folder, name, 'data') }
  }) as [Side, Side]
  // Of a superblock, veritysetup writes 512 bytes, whatever the rest of its block holds.
  writeFileSync(ours.data, Buffer.concat([randomBytes(layout.dataBlocks * layout.blockSize)], size))
  copyFileSync(ours.data, theirs.data)
  const mine = optionsOf(ours.folder, ours.data, layout)
  const other = optionsOf(theirs.folder, theirs.data, layout)
  for (const path of [other.hash, other.fec]) if (path !== theirs.data) emptyFile(path, 0)
  const report = run('veritysetup', 'format', theirs.data, other.hash, ...other.format, `--uuid=${uuid}`)
  const made = cli('verity', 'format', ours.data, mine.hash, ...mine.format, `--uuid=${uuid}`, '--force')
  assert.equal(made.stdout.trim(), /^Root hash:\s*([0-9a-f]+)$/m.exec(report)?.[1], made.stderr)
  for (const [one, two] of [
    [ours.data, theirs.data],
    [mine.hash, other.hash],
    [mine.fec, other.fec],
  ] as const)
    assert.ok(readFileSync(one).equals(padded(two, readFileSync(one).length)), `${JSON.stringify(layout)} ${one}`)
  return { ...mine, data: ours.data, rootHash: made.stdout.trim() }
}

interface Side {
  readonly folder: string
  readonly data: string
}

/** A file that ends in zeroes may be shorter. */
function padded(path: string, length: number): Buffer {
  const bytes = readFileSync(path)
  return bytes.length >= length ? bytes : Buffer.concat([bytes], length)
}

/** Those of check_fec, smaller where the number of blocks does not matter; and trees without a superblock. */
const layouts: readonly (readonly [Layout, size: number])[] = [
  [{ blockSize: 4096, dataBlocks: 30, hashOffset: 163840, fecOffset: 409600, roots: 2 }, 150 * 4096],
  [{ blockSize: 512, dataBlocks: 500, hashOffset: 2457600, fecOffset: 4915200, roots: 24 }, 12000 * 512],
  [{ blockSize: 512, dataBlocks: 500, hashOffset: 2457600, fecOffset: 4915200, roots: 7, bare: true }, 12000 * 512],
  [{ blockSize: 4096, dataBlocks: 64, hashOffset: 262144, roots: 13, bare: true }, 64 * 4096],
  [{ blockSize: 4096, dataBlocks: 35, roots: 3 }, 35 * 4096],
  [{ blockSize: 512, dataBlocks: 2000, roots: 11 }, 2000 * 512],
  [{ blockSize: 1024, dataBlocks: 2000, roots: 2, bare: true }, 2000 * 1024],
]

test('trees and parity are those of veritysetup, whatever lies in one file', () => {
  using folder = temporaryFolder()
  // The others are formatted below.
  for (const index of [2, 3, 4, 6]) formatBoth(folder.path, ...layouts[index]!)
})

test('what error correction restores is found, and written on request; what it cannot is refused', () => {
  using folder = temporaryFolder()
  for (const [index, dataBlocks, errors] of [
    [5, 2000, 100],
    [0, 30, 1],
    [1, 500, 10],
  ] as const) {
    const [layout, size] = layouts[index]!
    const { data, hash, rootHash, tree, parity } = formatBoth(folder.path, layout, size)
    const verify = (...args: string[]) => cli('verity', 'verify', data, hash, rootHash, ...tree, ...parity, ...args)
    assert.equal(verify().status, 0)
    const before = readFileSync(data)
    const damaged = Buffer.from(before)
    // One error in a code is all that two bytes of parity correct.
    for (let n = 0; n < errors; n++) damaged[randomInt(dataBlocks * layout.blockSize)]! ^= 0x55
    writeFileSync(data, damaged)
    const theirs = attempt('veritysetup', 'verify', data, hash, rootHash, ...tree, ...parity)
    const ours = verify()
    assert.equal(ours.status, theirs.status === 0 ? 0 : 3, ours.stderr)
    if (ours.status !== 0) continue
    const bytes = /Found (\d+) repairable errors/.exec(theirs.stderr)?.[1]
    assert.match(ours.stderr, new RegExp(`restores ${bytes} bytes?`))
    assert.ok(readFileSync(data).equals(damaged))
    assert.equal(verify('--repair').status, 0)
    assert.ok(readFileSync(data).equals(before))
    // Of a tree, too: its top, which is all that the root hash covers.
    const treeStart = (layout.hashOffset ?? 0) + layout.blockSize
    const whole = readFileSync(hash)
    writeAt(hash, treeStart + 5, Uint8Array.of(whole[treeStart + 5]! ^ 1))
    assert.equal(verify('--repair').status, 0)
    assert.ok(readFileSync(hash).equals(whole))
    writeAt(data, 0, randomBytes(dataBlocks * layout.blockSize))
    assert.equal(verify('--repair').status, 3)
    assert.match(verify('--repair').stderr, /ERR_DDI_(VERITY_CORRUPT|ROOT_HASH_WRONG)/)
  }
})

test('any code with at most half as many errors as bytes of parity is corrected, and no other data is invented', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 24 }),
      fc.uint8Array({ minLength: 253, maxLength: 253 }),
      fc.uniqueArray(fc.tuple(fc.nat({ max: 252 }), fc.integer({ min: 1, max: 255 })), {
        maxLength: 14,
        selector: ([at]) => at,
      }),
      (roots, bytes, errors) => {
        const data = Array.from(bytes.subarray(0, 255 - roots), (byte) => Uint8Array.of(byte))
        const parity = parityOf(data, roots)
        const damaged = data.map((block) => Uint8Array.from(block))
        const within = errors.filter(([at]) => at < damaged.length)
        for (const [at, difference] of within) damaged[at]![0]! ^= difference
        const { corrected, failed } = correct(damaged, parity, roots)
        if (within.length <= roots / 2) {
          assert.deepEqual([corrected, failed, damaged], [within.length, 0, data])
          return
        }
        // Either it is told, or it is a code that another few errors may have led to.
        assert.ok(failed === 1 || corrected <= roots / 2)
      },
    ),
    { numRuns: 300 },
  )
})

test('areas that overlap are refused, and nothing is written', () => {
  using folder = temporaryFolder()
  const data = emptyFile(join(folder.path, 'data'), 2 * MiB)
  const [hash, blocks] = [
    join(folder.path, 'tree'),
    ['--data-block-size=4096', '--hash-block-size=4096', '--data-blocks=350'],
  ]
  const format = (...args: string[]) => cli('verity', 'format', data, ...args, '--force')
  for (const args of [
    [data, '--hash-offset=1433600'],
    [data, '--hash-offset=1228800', ...blocks],
    [hash, ...blocks, `--fec-device=${data}`, '--fec-offset=1228800'],
    [data, ...blocks, '--hash-offset=1433600', `--fec-device=${data}`, '--fec-offset=1437696'],
  ])
    assert.match(format(...args).stderr, /would overwrite its data.*ERR_DDI_USAGE/, args.join(' '))
  assert.ok(readFileSync(data).subarray(0, 1433600).equals(Buffer.alloc(1433600)))
  assert.equal(format(data, '--hash-offset=1433600', ...blocks).status, 0)
  // Without --force, not even what lies behind the data is.
  assert.match(cli('verity', 'format', data, data, '--hash-offset=1433600', ...blocks).stderr, /ERR_DDI_EXISTS/)
  for (const args of [['--hash-offset=1000'], ['--data-blocks=513'], ['--fec-device=x', '--hash-block-size=512']])
    assert.match(format(hash, ...args).stderr, /ERR_DDI_USAGE/, args.join(' '))
})

test('parity that cannot be written leaves no tree', () => {
  using folder = temporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const bytes = randomBytes(302 * 4096)
  writeFileSync(at('data'), bytes)
  writeFileSync(at('taken'), 'mine')
  const small = emptyFile(at('small'), 4096)
  const loop = run('losetup', '--find', '--show', small).trim()
  try {
    for (const [fec, code] of [
      [at('taken'), 'EXISTS'],
      [at('data'), 'USAGE'],
      [at('none/fec'), 'NOT_FOUND'],
      ['/dev/full', 'EXISTS'],
      [loop, 'NO_SPACE'],
    ])
      for (const place of [['--append'], [at('tree')]]) {
        const { stderr, stdout } = cli('verity', 'format', at('data'), ...place, '--fec-device', fec!)
        assert.match(stderr, new RegExp(`ERR_DDI_${code}`), `${fec} ${place.join(' ')}`)
        assert.equal(stdout, '')
        assert.ok(readFileSync(at('data')).equals(bytes))
        assert.ok(!existsSync(at('tree')))
      }
  } finally {
    run('losetup', '-d', loop)
  }
  assert.equal(readFileSync(at('taken'), 'utf8'), 'mine')
})

test('offsets over 2 GiB, and a root hash file that cannot be written, before anything is', () => {
  using folder = temporaryFolder()
  const data = emptyFile(join(folder.path, 'data'), 3_000_000_000)
  const rootHash = cli(
    'verity',
    'format',
    data,
    data,
    '--hash-offset=2499997696',
    '--data-blocks=256',
    '--force',
  ).stdout
  assert.match(run('veritysetup', 'verify', data, data, rootHash.trim(), '--hash-offset=2499997696'), /^$/)
  truncateSync(data, 8 * MiB)
  const tree = join(folder.path, 'tree')
  const { status, stderr } = cli('verity', 'format', data, tree, `--root-hash-file=${join(folder.path, 'no/file')}`)
  assert.deepEqual([status === 0, existsSync(tree)], [false, false], stderr)
})

// What is shown of a table that is refused.
import assert from 'node:assert/strict'
import { statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySource } from '../../lib/bytes/memory.js'
import { remainsOf } from '../../lib/gpt/remains.js'
import { openImage } from '../../lib/index.js'
import { makeDisk, rawEntry } from '../support/gpt.js'
import { copyOf, MiB, makeFileSystem, makeGptImage, typeUuids } from '../support/images.js'
import { cli, run, temporaryFolder } from '../support/run.js'

const refusing = ['plan', 'validate', 'list-files', 'verify', 'digest', 'volume list', 'volume check'].map((verb) =>
  verb.split(' '),
)

test('inspect shows what is left of a truncated disk and names what is cut; all else refuses it', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'disk')
  const from = makeFileSystem(folder.path, 'ext4')
  const part = { type: typeUuids.home, size: 8 * MiB, from }
  makeGptImage(path, 32 * MiB, [
    { ...part, label: 'one' },
    { ...part, label: 'two' },
    { ...part, label: 'three' },
  ])
  const endOf = (number: number) =>
    (Number(/Last sector: (\d+)/.exec(run('sgdisk', `-i${number}`, path))![1]) + 1) * 512
  for (const [size, cut] of [
    [12 * MiB, [2, 3]],
    [statSync(path).size - 512, []],
    [18 * MiB, [3]],
  ] as const) {
    const short = copyOf(path, join(folder.path, 'short'))
    truncateSync(short, size)
    const shown = cli('inspect', short)
    assert.equal(shown.status, 3)
    assert.match(shown.stderr, /ERR_DDI_GPT_TRUNCATED/)
    for (const [index, label] of ['one', 'two', 'three'].entries()) {
      assert.match(shown.stdout, new RegExp(`^home +- +${label} `, 'm'))
      const said = shown.stderr.includes(
        `partition ${index + 1} (${JSON.stringify(label)}) ends at byte ${endOf(index + 1)}`,
      )
      assert.equal(
        said,
        cut.some((number) => number === index + 1),
        shown.stderr,
      )
    }
    const { volumes, table } = JSON.parse(cli('inspect', short, '--json=short').stdout)
    assert.equal(table.problems[0].code, 'ERR_DDI_GPT_TRUNCATED')
    const left =
      cut.length === 2 ? [8 * MiB, 3 * MiB, 0] : cut.length === 1 ? [8 * MiB, 8 * MiB, MiB] : Array(3).fill(8 * MiB)
    assert.deepEqual(
      volumes.map(({ size }: { readonly size: number }) => size),
      left,
    )
    assert.equal(volumes[0].fileSystem.type, 'ext4')
    for (const verb of refusing) {
      const { status, stdout, stderr } = cli(...verb, short)
      assert.deepEqual([status, stdout, stderr.includes('ERR_DDI_GPT_TRUNCATED')], [3, '', true], verb.join(' '))
    }
  }
})

test('each partition that lies where none may is named, and the rest is shown', async () => {
  using folder = temporaryFolder()
  const entry = (first: bigint, last: bigint, uuid: number) => ({
    ...rawEntry(typeUuids.home, uuid),
    first,
    last,
    label: `p${uuid}`,
  })
  const last = 2n ** 64n - 1n
  const bad = {
    'p1.* lies outside the usable range': [entry(3n, 2047n, 1), entry(2048n, 4095n, 2)],
    'p1.* ends before it starts': [entry(4096n, 2048n, 1), entry(2048n, 4095n, 2)],
    'p1.* ends at byte 9444732965739290427392, and the disk at byte 4194304': [
      entry(2048n, last, 1),
      entry(4096n, 4096n, 2),
    ],
    'p1.* overlaps partition 2': [entry(3000n, 5000n, 1), entry(2048n, 4095n, 2)],
    'p1.*; partition 3 .*p3.*; so do 12 more': [
      entry(last, last, 1),
      entry(2048n, 4095n, 2),
      ...Array.from({ length: 19 }, (_, n) => entry(9000n, 9000n, n + 3)),
    ],
  }
  for (const [message, entries] of Object.entries(bad)) {
    const disk = makeDisk({ sectorSize: 512, sectors: 8192, entryCount: 32, entries })
    const path = join(folder.path, 'disk')
    writeFileSync(path, disk)
    await assert.rejects(openImage(path), { message: new RegExp(message) })
    const { status, stdout } = cli('inspect', path)
    assert.equal(status, 3)
    assert.match(stdout, /^home +- +p2 /m)
    const { table, misplaced } = (await remainsOf(memorySource(disk)))!
    assert.deepEqual(
      table.partitions.map(({ label }) => label),
      ['p2'],
    )
    assert.equal(misplaced.length, entries.length - 1)
  }
})

import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { emptyFile, MiB } from '../support/images.js'
import { run } from '../support/run.js'

const name = 'recorded'
const sector = 512

export interface Recorded {
  readonly device: string
  /** The writes since, in the order in which the device took them. */
  stop(): readonly { readonly offset: number; readonly bytes: Buffer }[]
}

/** Lets dm-log-writes record what is written to a disk image. */
export function record(path: string, folder: string): Recorded {
  const log = emptyFile(join(folder, 'log'), 256 * MiB)
  const loops = [path, log].map((file) => run('losetup', '--find', '--show', file).trim())
  const sectors = run('blockdev', '--getsz', loops[0]!).trim()
  run('dmsetup', 'create', name, '--table', `0 ${sectors} log-writes ${loops.join(' ')}`)
  if (!existsSync(`/dev/mapper/${name}`)) run('dmsetup', 'mknodes', name)
  return {
    device: `/dev/mapper/${name}`,
    stop() {
      run('dmsetup', 'remove', name)
      rmSync(`/dev/mapper/${name}`, { force: true })
      for (const loop of loops) run('losetup', '--detach', loop)
      return parseLog(readFileSync(log))
    },
  }
}

/** drivers/md/dm-log-writes.c: a superblock, then for each write a sector that describes it, and its data. */
function parseLog(log: Buffer) {
  assert.equal(log.readBigUInt64LE(0), 0x6a736677736872n)
  const entries = Number(log.readBigUInt64LE(16))
  assert.equal(log.readUInt32LE(24), sector)
  const writes: { offset: number; bytes: Buffer }[] = []
  let at = sector
  for (let entry = 0; entry < entries; entry++) {
    const [first, count, flags] = [0, 8, 16].map((field) => Number(log.readBigUInt64LE(at + field))) as [
      number,
      number,
      number,
    ]
    assert.equal(flags & 4, 0, 'nobody discards')
    at += sector
    const bytes = log.subarray(at, at + count * sector)
    if (count > 0) writes.push({ offset: first * sector, bytes })
    at += bytes.length
  }
  return writes
}

// A disk whose power is cut at every write, to see what is left.
import assert from 'node:assert/strict'
import { memorySource } from '../../lib/bytes/memory.js'
import type { Target } from '../../lib/bytes/source.js'

export interface RecordedWrite {
  readonly offset: number
  readonly bytes: Buffer
}

/** A disk in memory that remembers each write. */
export function recordingTarget(
  bytes: Buffer,
): Target & { readonly bytes: Buffer; readonly writes: readonly RecordedWrite[] } {
  const writes: RecordedWrite[] = []
  return {
    ...memorySource(bytes),
    bytes,
    writes,
    async write(offset, part) {
      assert.ok(offset + part.length <= bytes.length)
      writes.push({ offset, bytes: Buffer.from(part) })
      bytes.set(part, offset)
    },
    async flush() {},
  }
}

const sector = 512
/** How much of a torn sector is new. */
const tears = [1, 8, 17, 91, 92, 256, 511]

/**
 * Replays writes sector by sector, each of them torn in every way first, and shows the disk after each.
 * @param tornAt whether the sectors of a write at an offset are torn too: for data, a cut at every sector is enough
 * @param look at the disk as it would be found
 * @returns how many times it was looked at
 */
export async function cutEverywhere(
  before: Buffer,
  writes: readonly RecordedWrite[],
  tornAt: (offset: number) => boolean,
  look: (disk: Buffer, where: string) => Promise<void>,
): Promise<number> {
  const disk = Buffer.from(before)
  let cuts = 0
  for (const write of writes) {
    for (let at = 0; at < write.bytes.length; at += sector) {
      const part = write.bytes.subarray(at, at + sector)
      const place = disk.subarray(write.offset + at, write.offset + at + part.length)
      const previous = Buffer.from(place)
      for (const k of tornAt(write.offset) ? tears.filter((k) => k < part.length) : []) {
        for (const rest of [previous.subarray(k), Buffer.alloc(part.length - k)]) {
          place.set(part.subarray(0, k))
          place.set(rest, k)
          await look(disk, `byte ${write.offset + at}, torn at ${k}`)
          cuts++
        }
      }
      place.set(part)
      await look(disk, `byte ${write.offset + at}`)
      cuts++
    }
  }
  return cuts
}

// Tables that are no GPT, by their first bytes: to be named, and not read.
import type { Source } from '../bytes/source.js'
import { readMbr } from './mbr-partitions.js'

/** What blkid calls `sun`, `sgi`, `bsd` and `mac`. */
const labels: readonly { readonly name: string; readonly at: number; readonly magic: readonly number[] }[] = [
  { name: 'a Sun disk label', at: 508, magic: [0xda, 0xbe] },
  { name: 'an SGI disk label', at: 0, magic: [0x0b, 0xe5, 0xa9, 0x41] },
  { name: 'a BSD disk label', at: 64, magic: [0x57, 0x45, 0x56, 0x82] },
  { name: 'a BSD disk label', at: 512, magic: [0x57, 0x45, 0x56, 0x82] },
  { name: 'an Apple partition map', at: 512, magic: [0x50, 0x4d, 0, 0] },
]

/** Which other table a disk has, for people; undefined if none is known. @throws what `disk.read` throws */
export async function otherTable(disk: Source): Promise<string | undefined> {
  const mbr = await readMbr(disk)
  if (mbr && mbr.partitions.length > 0) return 'an MBR'
  const head = await disk.read(0, Math.min(1024, disk.size))
  return labels.find(({ at, magic }) => magic.every((byte, index) => head[at + index] === byte))?.name
}

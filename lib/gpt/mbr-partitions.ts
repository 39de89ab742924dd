import type { Run, Source } from '../bytes/source.js'
import { protective } from './mbr.js'

// The partition table of a PC's MBR (UEFI specification 2.10, section 5.2.1), with logical partitions as libblkid reads them.

/** A partition of an MBR, in bytes from the start of the disk. */
export interface MbrPartition extends Run {
  /** As in `/dev/sda1`: 1 to 4 of the MBR itself, from 5 those of an extended partition. */
  readonly number: number
  readonly type: number
  /** Has the boot flag. */
  readonly active: boolean
}

export interface Mbr {
  /** The disk signature, 8 hexadecimal digits. */
  readonly id: string
  readonly partitions: readonly MbrPartition[]
}

const sectorSize = 512
const records = [446, 462, 478, 494] as const
const extended: readonly number[] = [0x05, 0x0f, 0x85]
const firstLogical = 5
/** An image alone does not decide how long we follow its chain. */
const mostLogical = 60

/**
 * Reads the MBR of a disk that has no GPT; 512-byte sectors are the only ones that it can count in.
 * @returns undefined if there is none: no signature, flags that no table has, but the boot sector of a file system may, or what
 *   only protects a GPT
 * @throws what `disk.read` throws
 */
export async function readMbr(disk: Source): Promise<Mbr | undefined> {
  const sector = await readTable(disk, 0)
  if (!sector) return undefined
  const primary = recordsOf(sector, 0)
  if (primary.some(({ type }) => type === protective)) return undefined
  const used = primary.filter(({ type }) => !extended.includes(type))
  const chain = primary.find(({ type }) => extended.includes(type))
  const logical = chain ? await readLogical(disk, chain) : []
  const id = sector.getUint32(440, true).toString(16).padStart(8, '0')
  return { id, partitions: [...used, ...logical] }
}

async function readTable(disk: Source, start: number): Promise<DataView | undefined> {
  if (start + sectorSize > disk.size) return undefined
  const bytes = await disk.read(start, sectorSize)
  const sector = new DataView(bytes.buffer, bytes.byteOffset, sectorSize)
  const isTable = sector.getUint16(510, true) === 0xaa55 && records.every((at) => (sector.getUint8(at) & 0x7f) === 0)
  return isTable ? sector : undefined
}

/** @param base what the records count from, in bytes */
function recordsOf(sector: DataView, base: number): readonly MbrPartition[] {
  return records.flatMap((at, index) => {
    const type = sector.getUint8(at + 4)
    const length = sector.getUint32(at + 12, true) * sectorSize
    const start = base + sector.getUint32(at + 8, true) * sectorSize
    return type === 0 || length === 0
      ? []
      : [{ number: index + 1, type, active: sector.getUint8(at) === 0x80, start, length }]
  })
}

/** Each sector of the chain names one partition, counted from itself, and the next sector, counted from the first. */
async function readLogical(disk: Source, chain: Run): Promise<readonly MbrPartition[]> {
  const found: MbrPartition[] = []
  for (let at: number | undefined = chain.start; at !== undefined && found.length < mostLogical; ) {
    const sector = await readTable(disk, at)
    const partition = sector && recordsOf(sector, at).find(({ type }) => !extended.includes(type))
    if (!sector || !partition) break
    found.push({ ...partition, number: firstLogical + found.length })
    at = recordsOf(sector, chain.start).find(({ type }) => extended.includes(type))?.start
  }
  return found
}

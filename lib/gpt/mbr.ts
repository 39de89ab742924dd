// The protective MBR: UEFI specification 2.10, section 5.2.3.
/** Where the four records begin, 16 bytes each. */
const records = [446, 462, 478, 494] as const
const typeAt = 4
const startAt = 8
const lengthAt = 12
/** The type of the record that only protects a GPT. */
export const protective = 0xee

/** How long the protective record is: to the end of the disk, or as far as 32 bits count. */
function recordLength(last: number): number {
  return Math.min(last, 0xffffffff)
}

/** Whether the first sector of a disk keeps tools that know no GPT off it. */
export function isProtectiveMbr(sector: Uint8Array): boolean {
  return isMbr(sector) && records.some((at) => sector[at + typeAt] === protective)
}

function isMbr(sector: Uint8Array): boolean {
  return sector[510] === 0x55 && sector[511] === 0xaa
}

/** The first 512 bytes of a new disk. @param last its last LBA */
export function newMbr(last: number): Uint8Array {
  const mbr = new Uint8Array(512)
  const view = new DataView(mbr.buffer)
  mbr.set([0x00, 0x00, 0x02, 0x00, protective, 0xff, 0xff, 0xff], records[0])
  view.setUint32(records[0] + startAt, 1, true)
  view.setUint32(records[0] + lengthAt, recordLength(last), true)
  view.setUint16(510, 0xaa55, true)
  return mbr
}

/**
 * An MBR whose protective record follows a disk that has grown.
 * @param from the last LBA until now
 * @param to the last LBA now
 * @returns the same if its record did not end where the disk did: it was meant so
 */
export function grownMbr(sector: Uint8Array, from: number, to: number): Uint8Array {
  const mbr = Uint8Array.from(sector)
  const view = new DataView(mbr.buffer)
  const found = records.find(
    (at) =>
      mbr[at + typeAt] === protective &&
      view.getUint32(at + startAt, true) === 1 &&
      view.getUint32(at + lengthAt, true) === recordLength(from),
  )
  if (found !== undefined) view.setUint32(found + lengthAt, recordLength(to), true)
  return mbr
}

/**
 * An MBR with the protective record that it lacks; its boot code stays.
 * @param last LBA of the disk
 * @param force makes a new one, whatever was there
 * @returns undefined if it has other records, which may be somebody's partitions
 */
export function restoredMbr(sector: Uint8Array, last: number, force: boolean): Uint8Array | undefined {
  if (force) return newMbr(last)
  if (sector.subarray(records[0], 510).some((byte) => byte !== 0)) return undefined
  const mbr = Uint8Array.from(sector)
  mbr.set(newMbr(last).subarray(records[0]), records[0])
  return mbr
}

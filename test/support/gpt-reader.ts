// Reads GPTs as libblkid does (libblkid/src/partitions/gpt.c of util-linux), for tests: it shares no code with lib/gpt.
import { crc32 } from 'node:zlib'

/**
 * The entry array of a disk, from the primary table, else from the backup in the last sector.
 * @returns as hexadecimal up to the last entry in use; undefined if there is no table
 */
export function readEntries(disk: Buffer, sectorSize = 512): string | undefined {
  const protects = [446, 462, 478, 494].some((at) => disk[at + 4] === 0xee)
  if (!protects || disk.readUInt16LE(510) !== 0xaa55) return undefined
  const last = disk.length / sectorSize - 1
  return entriesAt(disk, sectorSize, 1, last) ?? entriesAt(disk, sectorSize, last, last)
}

function entriesAt(disk: Buffer, sectorSize: number, lba: number, last: number): string | undefined {
  const header = disk.subarray(lba * sectorSize, (lba + 1) * sectorSize)
  const number = (at: number) => Number(header.readBigUInt64LE(at))
  const length = header.readUInt32LE(12)
  if (header.toString('latin1', 0, 8) !== 'EFI PART' || length < 92 || length > sectorSize) return undefined
  const unsealed = Buffer.from(header.subarray(0, length)).fill(0, 16, 20)
  const [firstUsable, lastUsable] = [number(40), number(48)]
  const isSound =
    crc32(unsealed) === header.readUInt32LE(16) &&
    number(24) === lba &&
    firstUsable <= lastUsable &&
    lastUsable <= last &&
    (lba < firstUsable || lba > lastUsable)
  if (!isSound) return undefined
  const [count, size] = [header.readUInt32LE(80), header.readUInt32LE(84)]
  const start = number(72) * sectorSize
  const entries = disk.subarray(start, start + count * size)
  if (crc32(entries) !== header.readUInt32LE(88)) return undefined
  let end = count
  while (end > 0 && entries.subarray((end - 1) * size, end * size).every((byte) => byte === 0)) end--
  return entries.toString('hex', 0, end * size)
}

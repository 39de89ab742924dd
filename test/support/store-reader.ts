// Reads what a disk says of its images with nothing of lib/: docs/image-store.md and docs/extension-partitions.md, once more.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'

const sector = 512
const nested = '546aa983-5c4a-4c3f-9f80-ecf5ed9983d9'
const extension = '793963ad-38e6-48e4-a713-d842eeed84ee'

export interface ReadImage {
  readonly product: string
  readonly version: string
  readonly label: string
  readonly uuid: string
  readonly priority: number
  readonly tries: number
  readonly good: boolean
  readonly keep: boolean
  /** All that its segments hold. */
  readonly bytes: Buffer
}

interface Entry {
  readonly type: string
  readonly uuid: string
  readonly start: number
  readonly end: number
  readonly attributes: bigint
  readonly label: string
}

/** The text of a UUID in GPT's order of bytes. */
function guid(bytes: Buffer): string {
  const head = [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8)].map((part) =>
    Buffer.from(part).reverse().toString('hex'),
  )
  return [...head, bytes.toString('hex', 8, 10), bytes.toString('hex', 10, 16)].join('-')
}

function entriesAt(disk: Buffer, at: number): readonly Entry[] | undefined {
  const header = Buffer.from(disk.subarray(at, at + sector))
  if (header.toString('latin1', 0, 8) !== 'EFI PART') return undefined
  const length = header.readUInt32LE(12)
  const sum = header.readUInt32LE(16)
  header.writeUInt32LE(0, 16)
  if (length < 92 || length > sector || crc32(header.subarray(0, length)) !== sum) return undefined
  const [count, size] = [header.readUInt32LE(80), header.readUInt32LE(84)]
  const start = Number(header.readBigUInt64LE(72)) * sector
  const array = disk.subarray(start, start + count * size)
  if (crc32(array) !== header.readUInt32LE(88)) return undefined
  return Array.from({ length: count }, (_, n) => array.subarray(n * size, (n + 1) * size))
    .filter((entry) => entry.subarray(0, 16).some((byte) => byte !== 0))
    .map((entry) => ({
      type: guid(entry.subarray(0, 16)),
      uuid: guid(entry.subarray(16, 32)),
      start: Number(entry.readBigUInt64LE(32)) * sector,
      end: (Number(entry.readBigUInt64LE(40)) + 1) * sector,
      attributes: entry.readBigUInt64LE(48),
      label: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
    }))
}

function extensionOf(head: string, n: number): string {
  const key = Buffer.from(head.replaceAll('-', ''), 'hex')
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64LE(BigInt(n))
  const typed = Buffer.from(extension.replaceAll('-', ''), 'hex')
  const digest = createHmac('sha256', key).update(typed).update(counter).digest()
  digest[6] = (digest[6]! & 0x0f) | 0x80
  digest[8] = (digest[8]! & 0x3f) | 0x80
  return digest.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function joined(parts: readonly Buffer[]): Buffer {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** The images that a disk names: from its primary table if that verifies, else from the backup. */
export function readImages(disk: Buffer): readonly ReadImage[] {
  const entries = entriesAt(disk, sector) ?? entriesAt(disk, disk.length - sector)
  assert.ok(entries, 'a table verifies')
  const byUuid = new Map(entries.map((entry) => [entry.uuid, entry]))
  return entries.flatMap((head) => {
    const [, product, version] = /^([A-Za-z0-9._+-]{1,24})_([A-Za-z0-9.^~+-]+)$/.exec(head.label) ?? []
    if (head.type !== nested || product === undefined || version === undefined) return []
    const segments = [head]
    while ((segments.at(-1)!.attributes >> 58n) & 1n) {
      const next = byUuid.get(extensionOf(head.uuid, segments.length))
      assert.ok(next && next.type === extension, `${head.label} goes on`)
      segments.push(next)
    }
    const bits = Number((head.attributes >> 48n) & 0x3ffn)
    return [
      {
        product,
        version,
        label: head.label,
        uuid: head.uuid,
        priority: bits & 15,
        tries: (bits >> 4) & 15,
        good: ((bits >> 8) & 1) === 1,
        keep: ((bits >> 9) & 1) === 1,
        bytes: joined(segments.map(({ start, end }) => disk.subarray(start, end))),
      },
    ]
  })
}

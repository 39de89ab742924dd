import type { Source } from '../bytes/source.js'

/** How many bytes of a volume a file system takes. */
interface FileSystemClaim {
  /** What libblkid may name it. */
  readonly types: RegExp
  readonly size: number
}

/** How to recognise a format by the first bytes of a volume, and where its superblock says how many bytes it takes. */
interface Format extends Pick<FileSystemClaim, 'types'> {
  /** Byte offset of the magic bytes. */
  readonly at: number
  readonly magic: Buffer
  /** Byte offset of the superblock's end: a volume that ends before it holds no such file system. */
  readonly end: number
  readonly size: (head: Buffer) => number
}

const ascii = (text: string) => Buffer.from(text, 'latin1')

// All little-endian but xfs.
const formats: readonly Format[] = [
  // ext2 to ext4: fs/ext4/ext4.h
  { types: /^(ext\d|ext4dev|jbd)$/, at: 1024 + 56, magic: Buffer.from([0x53, 0xef]), end: 2048, size: extSize },
  // xfs_format.h
  {
    types: /^xfs$/,
    at: 0,
    magic: ascii('XFSB'),
    end: 512,
    size: (head) => Number(head.readBigUInt64BE(8)) * head.readUInt32BE(4),
  },
  // btrfs_tree.h
  {
    types: /^btrfs$/,
    at: 65536 + 64,
    magic: ascii('_BHRfS_M'),
    end: 65536 + 4096,
    size: (head) => Number(head.readBigUInt64LE(65536 + 112)),
  },
  // erofs_fs.h
  {
    types: /^erofs$/,
    at: 1024,
    magic: Buffer.from([0xe2, 0xe1, 0xf5, 0xe0]),
    end: 1024 + 128,
    size: (head) => head.readUInt32LE(1024 + 36) * 2 ** head[1024 + 12]!,
  },
  // squashfs_fs.h
  { types: /^squashfs$/, at: 0, magic: ascii('hsqs'), end: 96, size: (head) => Number(head.readBigUInt64LE(40)) },
]

/** What has to be read of a volume: btrfs keeps its superblock furthest from the start. */
const headLength = Math.max(...formats.map(({ end }) => end))

function extSize(head: Buffer): number {
  const blockSize = 1024 << (head.readUInt32LE(1024 + 24) & 15)
  const is64Bit = (head.readUInt32LE(1024 + 96) & 0x80) !== 0
  const blocks = head.readUInt32LE(1024 + 4) + (is64Bit ? head.readUInt32LE(1024 + 336) * 2 ** 32 : 0)
  return blocks * blockSize
}

/**
 * What the file system in a volume claims: cutting below that destroys it.
 * @returns undefined if it holds none whose superblock is read here
 * @throws what `volume.read` throws
 */
export async function claimOfFileSystem(volume: Source): Promise<FileSystemClaim | undefined> {
  const head = Buffer.from(await volume.read(0, Math.min(volume.size, headLength)))
  const found = formats.find(
    ({ at, magic, end }) => head.length >= end && head.subarray(at, at + magic.length).equals(magic),
  )
  return found && { types: found.types, size: found.size(head) }
}

import type { Source } from '../bytes/source.js'
import { readSuperblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'

// Where the superblocks of file systems say how large they are; all little-endian but xfs.
const ext = { magicAt: 1024 + 56, magic: 0xef53 }

/**
 * How many bytes of a volume its file system or hash tree claims: to cut below that destroys it.
 * ext2 to ext4 (fs/ext4/ext4.h), xfs (xfs_format.h), btrfs (btrfs_tree.h), erofs (erofs_fs.h), squashfs (squashfs_fs.h),
 * and the hash tree of a verity superblock.
 * @returns 0 for what is none of these
 */
export async function claimedSize(volume: Source): Promise<number> {
  const head = Buffer.from(await volume.read(0, Math.min(volume.size, 65536 + 4096)))
  if (head.length < 4096) return 0
  if (head.toString('latin1', 0, 6) === 'verity') return await treeSize(volume)
  if (head.readUInt16LE(ext.magicAt) === ext.magic) {
    const blockSize = 1024 << (head.readUInt32LE(1024 + 24) & 15)
    const wide = head.readUInt32LE(1024 + 96) & 0x80
    return (head.readUInt32LE(1024 + 4) + (wide ? head.readUInt32LE(1024 + 336) * 2 ** 32 : 0)) * blockSize
  }
  if (head.toString('latin1', 0, 4) === 'XFSB') return Number(head.readBigUInt64BE(8)) * head.readUInt32BE(4)
  if (head.length >= 65536 + 128 && head.toString('latin1', 65536 + 64, 65536 + 72) === '_BHRfS_M')
    return Number(head.readBigUInt64LE(65536 + 112))
  if (head.readUInt32LE(1024) === 0xe0f5e1e2) return head.readUInt32LE(1024 + 36) * 2 ** head[1024 + 12]!
  if (head.toString('latin1', 0, 4) === 'hsqs') return Number(head.readBigUInt64LE(40))
  return 0
}

async function treeSize(volume: Source): Promise<number> {
  return layoutTree(await readSuperblock(volume)).end
}

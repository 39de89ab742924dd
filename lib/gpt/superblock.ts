// What file systems and the like leave at the beginning of a disk without overwriting its protective MBR. native/partition_scan.cc
// keeps the same list. It is for those who read tables without libblkid, which lib/disk/scan.ts asks besides.

import { equalOctets } from '../bytes/native.js'
import { octets } from '../bytes/octets.js'
import type { Source } from '../bytes/source.js'
import { fromHexadecimal } from '../hexadecimal.js'

/** Byte offset and magic bytes. Those that overwrite the first sector need no entry: the protective MBR is gone with it. */
const superblocks: readonly (readonly [at: number, magic: Uint8Array])[] = [
  [512, octets('LABELONE')], // LVM2
  [1024, Uint8Array.from([0xe2, 0xe1, 0xf5, 0xe0])], // erofs
  [1024, Uint8Array.from([0x10, 0x20, 0xf5, 0xf2])], // f2fs
  [1024 + 56, Uint8Array.from([0x53, 0xef])], // ext2 to ext4
  // At the end of a page of 4, 8, 16 and 64 KiB.
  [4086, octets('SWAPSPACE2')],
  [8182, octets('SWAPSPACE2')],
  [16374, octets('SWAPSPACE2')],
  [65526, octets('SWAPSPACE2')],
  [4096, Uint8Array.from([0xfc, 0x4e, 0x2b, 0xa9])], // Linux RAID 1.2
  [4096 + 24, fromHexadecimal('c68573f64e1a45ca8265f57f48ba6d81')], // bcache
  [4096 + 24, fromHexadecimal('c68573f666ce90a9d96a60cf803df7ef')], // bcachefs
  [32768, octets('JFS1')],
  [32768 + 1, octets('CD001')], // ISO 9660
  [65536 + 52, octets('ReIsEr')],
  [65536 + 64, octets('_BHRfS_M')], // btrfs
]

/** Whether a file system, or what may hold one, has its superblock on a disk itself. */
export async function hasSuperblock(source: Source): Promise<boolean> {
  for (const [at, magic] of superblocks)
    if (at + magic.length <= source.size && equalOctets(magic, await source.read(at, magic.length))) return true
  return false
}

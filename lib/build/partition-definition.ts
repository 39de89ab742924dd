// What one file of repart.d(5) says, with two options of our own: Dynamic= and MaxSegmentBytes=.

import type { Run } from '../bytes/source.js'

export const buildFormats = ['ext4', 'btrfs', 'xfs', 'vfat', 'erofs', 'squashfs', 'swap'] as const
export type BuildFormat = (typeof buildFormats)[number]

export interface CopyRule {
  /** Absolute, within the tree that is copied from. */
  readonly source: string
  /** Absolute, within the file system. */
  readonly target: string
}

export interface SymbolicLink {
  /** Absolute, within the file system. */
  readonly path: string
  /** Where it leads, as it is written. */
  readonly target: string
}

export interface MountPoint {
  readonly path: string
  /** Besides the usual ones, separated by commas; empty: none. */
  readonly options: string
}

export interface EncryptedVolume {
  /** Below /dev/mapper; empty: named after the UUID. */
  readonly name: string
  /** As crypttab(5) has it; empty: none. */
  readonly keyFile: string
  readonly options: string
  /** Whether the line names the volume key, by a keyed hash, so that a header with another one does not open. */
  readonly fixesKey: boolean
}

export interface Subvolume {
  readonly path: string
  readonly readOnly: boolean
  /** Without copy-on-write, and so without checksums. */
  readonly noCow: boolean
}

/** One partition of an image to be built. Sizes in bytes. */
export interface PartitionDefinition {
  /** The definition's file, for errors. */
  readonly path: string
  /** The files that change it, NAME.conf.d/*.conf. */
  readonly dropIns: readonly string[]
  readonly typeUuid: string
  /** Null: derived from the name of the type. */
  readonly label: string | null
  /** Null: derived from the seed, or from the root hash. */
  readonly uuid: string | null
  /** Of those above 0, the highest are left out first where there is no room. */
  readonly priority: number
  readonly weight: number
  readonly paddingWeight: number
  readonly sizeMin: number | null
  readonly sizeMax: number | null
  readonly paddingMin: number
  readonly paddingMax: number | null
  readonly format: BuildFormat | null
  /** It is room for a later version. */
  readonly reserved: boolean
  /** Of the file system, in bytes; null: that of the disk. */
  readonly fileSystemSectorSize: number | null
  readonly compression: string | null
  readonly compressionLevel: string | null
  readonly copyFiles: readonly CopyRule[]
  readonly excludeFiles: readonly string[]
  /** Paths in the file system that nothing is copied to. */
  readonly excludeTargets: readonly string[]
  readonly makeDirectories: readonly string[]
  readonly makeSymlinks: readonly SymbolicLink[]
  readonly subvolumes: readonly Subvolume[]
  readonly defaultSubvolume: string | null
  /** `auto`: the partition that is mounted where the type belongs. */
  readonly copyBlocks: string | null
  /** The partition of another image that it is a copy of. */
  readonly copied: (Run & { readonly path: string }) | null
  readonly minimize: boolean
  readonly encrypt: boolean
  /** How LUKS2 derives keys from passphrases; `minimal` is for keys that nobody can guess. */
  readonly encryptKdf: 'argon2id' | 'pbkdf2' | 'minimal'
  /** Whether the disk may learn what is empty. */
  readonly discard: boolean
  /** Path of the key, instead of the one that is given with the build. */
  readonly keyFile: string | null
  /** Of the LUKS header. */
  readonly volumeLabel: string | null
  readonly encryptedVolume: EncryptedVolume | null
  readonly mountPoints: readonly MountPoint[]
  readonly verity: 'off' | 'data' | 'hash' | 'signature'
  readonly verityMatchKey: string | null
  readonly verityDataBlockSize: number
  readonly verityHashBlockSize: number
  /** Whether a factory reset removes and makes it again. */
  readonly factoryReset: boolean
  /** The definition, without `.conf`, that this one is merged into if that has room. */
  readonly supplementFor: string | null
  /** Attribute bits; null: not given. */
  readonly flags: bigint | null
  readonly readOnly: boolean | null
  readonly noAuto: boolean | null
  readonly growFileSystem: boolean | null
  /** Part of the name of its split file, with specifiers; null: none is written. */
  readonly splitName: string | null
  /** May be split into several segments (docs/extension-partitions.md). */
  readonly dynamic: boolean
  readonly maxSegment: number | null
}

/** What a definition is that says nothing. */
export const unset: Omit<PartitionDefinition, 'path' | 'dropIns'> = {
  // linux-generic, as systemd has it since version 254.
  typeUuid: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  label: null,
  uuid: null,
  priority: 0,
  weight: 1000,
  paddingWeight: 0,
  sizeMin: null,
  sizeMax: null,
  paddingMin: 0,
  paddingMax: null,
  format: null,
  reserved: false,
  fileSystemSectorSize: null,
  compression: null,
  compressionLevel: null,
  copyFiles: [],
  excludeFiles: [],
  excludeTargets: [],
  makeDirectories: [],
  makeSymlinks: [],
  subvolumes: [],
  defaultSubvolume: null,
  copyBlocks: null,
  copied: null,
  minimize: false,
  encrypt: false,
  encryptKdf: 'argon2id',
  discard: true,
  keyFile: null,
  volumeLabel: null,
  encryptedVolume: null,
  mountPoints: [],
  verity: 'off',
  verityMatchKey: null,
  verityDataBlockSize: 4096,
  verityHashBlockSize: 4096,
  factoryReset: false,
  supplementFor: null,
  flags: null,
  readOnly: null,
  noAuto: null,
  growFileSystem: null,
  splitName: '%t',
  dynamic: false,
  maxSegment: null,
}

/** Whether anything is put into its file system. */
export function isFilled({ copyFiles, makeDirectories, makeSymlinks }: PartitionDefinition): boolean {
  return copyFiles.length + makeDirectories.length + makeSymlinks.length > 0
}

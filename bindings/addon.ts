import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { join } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { DdiError, type ErrorCode } from '../lib/errors.js'
import { refuseExhausted } from './exhausted.js'
import { packageRoot } from './package-root.js'
import { stepOf, steps, tell } from './steps.js'

/** LO_FLAGS_… of <linux/loop.h>. */
export const loopFlags = { readOnly: 1, autoclear: 4, partitionScan: 8, directIo: 16 } as const

/** MS_… of <linux/mount.h>. */
export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  remount: 32,
  noAtime: 1024,
  noDirAtime: 2048,
  bind: 4096,
  move: 8192,
  silent: 32768,
  relatime: 1 << 21,
  noSymbolicLinks: 256,
} as const

/** RB_… of <sys/reboot.h>. `kexec` starts the kernel that was loaded. */
export const rebootCommands = {
  reboot: 0x1234567,
  poweroff: 0x4321fedc,
  halt: 0xcdef0123,
  kexec: 0x45584543,
} as const

/** MNT_… and UMOUNT_… of <sys/mount.h>. */
export const unmountFlags = { detach: 2, noFollow: 8 } as const

/** `struct loop_info64`, as far as it can be set. Offsets and limits in bytes; `reference` at most 63 bytes. */
export interface LoopInfo {
  readonly offset: number
  /** 0: up to the end of the backing file. */
  readonly sizeLimit: number
  /** An OR of {@link loopFlags}. */
  readonly flags: number
  /** lo_file_name: free text that the kernel keeps. */
  readonly reference: string
}

export interface LoopStatus extends LoopInfo {
  readonly number: number
  /** st_dev and st_ino of the backing file, decimal. */
  readonly backingDevice: string
  readonly backingInode: string
}

/** A line of a device-mapper table, in 512-byte sectors whatever the device’s sector size. */
export interface DmTarget {
  readonly startSector: number
  readonly sectorCount: number
  readonly type: string
  readonly parameters: string
}

export interface DmDeviceNumber {
  readonly major: number
  readonly minor: number
}

export interface DmDevice extends DmDeviceNumber {
  readonly name: string
  readonly uuid: string
  readonly openCount: number
  readonly readOnly: boolean
  readonly suspended: boolean
  /** A table is live. */
  readonly active: boolean
  /** The ioctl made the kernel send an event, so that udev will answer its cookie. */
  readonly eventSent: boolean
}

export interface HashOptions {
  readonly algorithm: 'sha256' | 'sha512'
  readonly salt: Uint8Array
  /** One of `sha256Implementations()`; default: the fastest. */
  readonly implementation?: string
}

/** Runs of open files, or zeroes, one after the other; in bytes. */
export type Located = readonly (
  | {
      readonly kind: 'linear'
      readonly base: { readonly fd: number; readonly path: string }
      readonly start: number
      readonly length: number
    }
  | { readonly kind: 'zero'; readonly length: number }
)[]

/** Consecutive blocks, and how they are hashed. */
export interface BlocksToHash extends HashOptions {
  readonly blocks: Located
  readonly blockSize: number
  readonly count: number
}

/** A GPT as the addon reads it, in bytes from the start of the disk; the twin of what `lib/gpt/` reads. */
export interface ScannedTable {
  readonly sectorSize: number
  readonly uuid: string
  readonly entrySize: number
  readonly entryCount: number
  readonly usableStart: number
  readonly usableEnd: number
  readonly partitions: readonly {
    readonly number: number
    readonly typeUuid: string
    readonly uuid: string
    readonly start: number
    readonly length: number
    readonly attributes: bigint
    readonly label: string
  }[]
}

export interface ScanProblem {
  readonly copy: 'primary' | 'backup'
  readonly code: Extract<ErrorCode, `ERR_DDI_GPT_${string}` | 'ERR_DDI_NO_TABLE'>
  readonly partition?: number
}

/** A table and what was wrong besides, or why there is none. */
export type Scan =
  | { readonly copy: 'primary' | 'backup'; readonly table: ScannedTable; readonly problems: readonly ScanProblem[] }
  | ScanProblem

declare const blkidProbe: unique symbol
/** A probe of libblkid; freed when nobody holds it. */
export interface BlkidProbe {
  readonly [blkidProbe]: never
}

/** What libblkid found, by its names. */
export type BlkidValues = { readonly [Name in 'TYPE' | 'LABEL' | 'UUID' | 'BLOCK_SIZE' | 'PTTYPE']?: string }

declare const xzDecoder: unique symbol
/** One stream being unpacked; freed when nobody holds it. */
export interface XzDecoder {
  readonly [xzDecoder]: never
}

declare const lz4Decoder: unique symbol
/** The same for lz4. */
export interface Lz4Decoder {
  readonly [lz4Decoder]: never
}

declare const zstdDecoder: unique symbol
/** The same for zstd. */
export interface ZstdDecoder {
  readonly [zstdDecoder]: never
}

/**
 * The C++ addon: one function per kernel operation or hot loop. Each promise is settled from libuv’s thread pool, and
 * descriptors must stay open until then. A refusal by the kernel rejects with `errno`, `code`, `syscall` and `path`.
 */
export interface Addon {
  /** LOOP_CTL_GET_FREE: the number of a loop device that was free a moment ago. */
  loopGetFree(controlFd: number): Promise<number>
  /** LOOP_CONFIGURE (Linux 5.8). `blockSize` in bytes, 0 for the kernel’s choice. */
  loopConfigure(
    fd: number,
    device: string,
    backingFd: number,
    options: LoopInfo & { readonly blockSize: number },
  ): Promise<void>
  /** LOOP_SET_FD */
  loopSetFd(fd: number, device: string, backingFd: number): Promise<void>
  /** LOOP_SET_STATUS64 */
  loopSetStatus(fd: number, device: string, info: LoopInfo): Promise<void>
  /** LOOP_GET_STATUS64; ENXIO if nothing is attached */
  loopGetStatus(fd: number, device: string): Promise<LoopStatus>
  /** LOOP_CLR_FD: detaches, at once or with the last close. */
  loopClearFd(fd: number, device: string): Promise<void>
  /** LOOP_SET_CAPACITY: reads the backing file’s size again. */
  loopSetCapacity(fd: number, device: string): Promise<void>
  /** LOOP_SET_DIRECT_IO: 0 or 1 */
  loopSetDirectIo(fd: number, device: string, on: number): Promise<void>
  /** LOOP_SET_BLOCK_SIZE, in bytes */
  loopSetBlockSize(fd: number, device: string, size: number): Promise<void>

  /** BLKGETSIZE64, BLKSSZGET and BLKROGET; sizes in bytes */
  blockGeometry(fd: number, device: string): Promise<{ size: number; sectorSize: number; readOnly: boolean }>
  /** BLKPG_ADD_PARTITION, in bytes */
  blockAddPartition(fd: number, device: string, number: number, start: number, length: number): Promise<void>
  /** BLKPG_RESIZE_PARTITION, in bytes; the start stays */
  blockResizePartition(fd: number, device: string, number: number, start: number, length: number): Promise<void>
  /** BLKPG_DEL_PARTITION */
  blockDeletePartition(fd: number, device: string, number: number): Promise<void>
  /** fallocate(2) with FALLOC_FL_INSERT_RANGE, in bytes; ENOTSUP if the file system cannot */
  insertRange(fd: number, path: string, offset: number, length: number): Promise<void>
  /** fallocate(2) with FALLOC_FL_PUNCH_HOLE, in bytes, of files and block devices; ENOTSUP if they cannot */
  punchHole(fd: number, path: string, offset: number, length: number): Promise<void>
  /** copy_file_range(2), in bytes; how much was copied: less if the source ends. EINVAL or EXDEV if the kernel cannot */
  copyRange(
    fromFd: number,
    fromPath: string,
    fromOffset: number,
    toFd: number,
    toOffset: number,
    length: number,
  ): Promise<number>
  /** sync_file_range(2), in bytes: what is in memory only begins to be written; waits while the device has enough to do */
  startWriteback(fd: number, path: string, offset: number, length: number): Promise<void>
  /** lseek(2) with SEEK_DATA: the next byte that is in no hole, -1 if there is none; EINVAL of block devices */
  seekData(fd: number, path: string, offset: number): Promise<number>
  /** lseek(2) with SEEK_HOLE: where the next hole begins, or the file ends */
  seekHole(fd: number, path: string, offset: number): Promise<number>
  /** flock(2), exclusive and without waiting; EAGAIN if another process holds it. Released with the descriptor. */
  lockExclusively(fd: number, path: string): Promise<void>
  /** mknod(2) of a block device node with mode 0600 */
  makeBlockNode(path: string, major: number, minor: number): Promise<void>

  /** DM_VERSION: the kernel’s interface, `4.47.0` */
  dmVersion(controlFd: number): Promise<string>
  /** DM_LIST_VERSIONS: targets by name */
  dmTargetVersions(controlFd: number): Promise<Record<string, string>>
  /** DM_LIST_DEVICES */
  dmList(controlFd: number): Promise<({ name: string } & DmDeviceNumber)[]>
  /** DM_DEV_CREATE; EBUSY if the name or UUID is taken */
  dmCreate(controlFd: number, name: string, uuid: string): Promise<DmDevice>
  /** DM_TABLE_LOAD into the inactive slot */
  dmLoad(
    controlFd: number,
    name: string,
    targets: readonly DmTarget[],
    readOnly: boolean,
    /** A user key that targets may ask for, add_key(2) into the keyring of the calling thread for just as long. */
    key?: { readonly description: string; readonly bytes: Uint8Array },
  ): Promise<DmDevice>
  /** DM_DEV_SUSPEND with DM_SUSPEND_FLAG: flushes and holds back input and output */
  dmSuspend(controlFd: number, name: string): Promise<DmDevice>
  /** DM_DEV_SUSPEND without: makes a loaded table live. `event`: udev cookie base and flags, or 0 */
  dmResume(controlFd: number, name: string, event: number): Promise<DmDevice>
  /** DM_DEV_RENAME */
  dmRename(controlFd: number, name: string, newName: string, event: number): Promise<DmDevice>
  /** DM_DEV_REMOVE; deferred: when the last user is gone */
  dmRemove(controlFd: number, name: string, deferred: boolean, event: number): Promise<DmDevice>
  /** DM_DEV_STATUS; ENXIO if there is no such device */
  dmInfo(controlFd: number, name: string): Promise<DmDevice>
  /** DM_TABLE_STATUS */
  dmStatus(controlFd: number, name: string, what: 'table' | 'status'): Promise<DmTarget[]>
  /** DM_TABLE_DEPS: the devices under this one, by its live table or by one that is loaded and not yet live */
  dmDependencies(controlFd: number, name: string, table: 'live' | 'inactive'): Promise<DmDeviceNumber[]>

  /** A new udev cookie; its semaphore stands at 1, our own hold. */
  udevCookieCreate(): Promise<number>
  /** +1 before an ioctl that makes an event, −1 if it made none */
  udevCookieAdjust(cookie: number, amount: 1 | -1): Promise<void>
  /** Waits until udev has answered every event, then removes the cookie; EAGAIN after so many seconds. */
  udevCookieWait(cookie: number, seconds: number): Promise<void>

  /** mallopt(3): keeps that many bytes of freed memory in the process, shared by all threads. For programs, not for libraries. */
  keepFreedMemory(bytes: number): void
  /** memfd_create(2). @returns a descriptor that other programs do not get */
  makeMemoryFile(name: string): number

  /** mount(2). @param flags an OR of {@link mountFlags} */
  mount(source: string, target: string, type: string, flags: number, data: string): Promise<void>
  /** umount2(2). @param flags an OR of {@link unmountFlags} */
  unmount(target: string, flags: number): Promise<void>
  /** openat2(2) with RESOLVE_IN_ROOT: links and `..` never lead out of the root. */
  openInRoot(rootFd: number, path: string, flags: number, mode: number): Promise<number>
  /** Covers a mount with a clone of it whose owners a user namespace maps: open_tree(2), mount_setattr(2), move_mount(2). */
  mapOwners(target: string, userNamespaceFd: number): Promise<void>

  /** syncfs(2): writes the file system that holds an open file to its disk. */
  syncFileSystem(fd: number, path: string): Promise<void>

  /** finit_module(2); EEXIST if it is loaded. `compressed`: the kernel unpacks it (Linux 5.17). */
  loadModule(fd: number, path: string, parameters: string, compressed: boolean): Promise<void>

  /**
   * kexec_file_load(2): a kernel and its initrd, from descriptors open for reading. ENOSYS if this kernel cannot, EPERM if it may
   * not: kexec_load_disabled, or lockdown and a kernel that nobody signed. Of the command line, 2047 bytes on x86.
   */
  kexecFileLoad(kernelFd: number, path: string, initrdFd: number, commandLine: string): Promise<void>

  /** chroot(2), of the whole process; the working directory stays. */
  changeRoot(path: string): Promise<void>
  /**
   * execve(2), at once, with default signals, no descriptors but 0 to 2, and the kernel’s limit of open files. After a failure
   * signals and limits stay as that left them.
   * @param environment `NAME=VALUE`
   * @returns only what rejects: whoever succeeds is another program
   */
  execute(path: string, argv: readonly string[], environment: readonly string[]): Promise<never>

  /** sync(2), then reboot(2), which ends the machine. @param command one of {@link rebootCommands} */
  reboot(command: number): Promise<void>
  /** clock_settime(2) of the clock of the day, in seconds since 1970. */
  setClock(seconds: number): Promise<void>

  /** getxattr(2), at most 4096 bytes; ENODATA if absent */
  getExtendedAttribute(path: string, name: string): Promise<string>

  /** The GPT on a file or device of `size` bytes, as `scanGpt` reads it. */
  scanPartitions(fd: number, path: string, size: number): Promise<Scan>
  /** The same for bytes in memory, at once. */
  scanPartitionsInBytes(bytes: Uint8Array): Scan

  /**
   * A probe of libblkid for file systems, and for partition tables if they are wanted. It throws what dlopen(3) says if there is
   * no libblkid.
   */
  blkidOpen(partitions: boolean): BlkidProbe
  /**
   * blkid_do_safeprobe() of a run of bytes, at once.
   * @returns what that returned if it found nothing, or not one thing; -1 is an error
   */
  blkidProbe(probe: BlkidProbe, fd: number, offset: number, size: number): BlkidValues | number
  /**
   * crypt_activate_by_passphrase() of libcryptsetup, for LUKS2. It throws what dlopen(3) says if there is no libcryptsetup; EPERM if
   * no key slot accepts the passphrase.
   */
  activateLuks(device: string, name: string, passphrase: Uint8Array, readOnly: boolean): Promise<void>
  /** crypt_persistent_flags_set(): every activation passes discards on. It throws as {@link activateLuks}. */
  persistLuksDiscards(device: string): Promise<void>

  /**
   * The decoder of liblzma for .xz, on as many cores as the limit allows, or for .lzma.
   * @param threadsLimit in bytes, for all threads
   * @param memoryLimit in bytes, for one; a stream that needs more is refused
   * @returns undefined if liblzma is not installed
   */
  xzOpen(isLzma: boolean, threadsLimit: number, memoryLimit: number): XzDecoder | undefined
  /**
   * lzma_code(): one call at a time per decoder; the bytes must not change before it ends.
   * @param last there is no more input
   * @returns lzma_ret (1 is the end of the stream), how many bytes were written, and how many were read
   */
  xzDecode(
    decoder: XzDecoder,
    output: Uint8Array,
    input: Uint8Array,
    last: boolean,
  ): Promise<[result: number, produced: number, consumed: number]>
  /** The frame decoder of liblz4. @returns undefined if it is not installed */
  lz4Open(): Lz4Decoder | undefined
  /**
   * LZ4F_decompress(): one call at a time per decoder; the bytes must not change before it ends.
   * @returns how many bytes it expects next (0 at the end of a frame) or the name of an error, how many were written, and how many were read
   */
  lz4Decode(
    decoder: Lz4Decoder,
    output: Uint8Array,
    input: Uint8Array,
  ): Promise<[result: number | string, produced: number, consumed: number]>
  /**
   * The frame decoder of libzstd.
   * @param windowLog the logarithm of the largest window that a frame may have, 10 to 31
   * @returns undefined if it is not installed
   */
  zstdOpen(windowLog: number): ZstdDecoder | undefined
  /** ZSTD_decompressStream(): as {@link lz4Decode}. */
  zstdDecode(
    decoder: ZstdDecoder,
    output: Uint8Array,
    input: Uint8Array,
  ): Promise<[result: number | string, produced: number, consumed: number]>

  /** The SHA-256 implementations that this processor runs, fastest first. */
  sha256Implementations(): string[]
  /** The state of the SHA-256 of a stream, at its beginning. */
  sha256Begin(): Uint8Array
  /** Adds the next bytes, one call at a time; changes `state`. `chunks` must not change before it ends. */
  sha256Update(state: Uint8Array, chunks: readonly Uint8Array[]): Promise<void>
  /** The digest of everything that was added, 32 bytes. */
  sha256Digest(state: Uint8Array): Uint8Array
  /**
   * pwritev(2) of everything but pages of zeroes, to a hole of a file, which grows to include all of it. `chunks` must not change
   * before it ends.
   * @param position in bytes
   */
  writeSparse(fd: number, path: string, chunks: readonly Uint8Array[], position: number): Promise<void>
  /** Drops flushed bytes of a file from the page cache: posix_fadvise(2). */
  dropCached(fd: number, path: string, position: number, length: number): Promise<void>
  /** The salted digests of the blocks of `bytes`, one after the other. */
  verityHashBlocks(bytes: Uint8Array, blockSize: number, options: HashOptions): Promise<Uint8Array>
  /** The salted digests of `count` blocks, one after the other; ENODATA if a file ends before. */
  verityDigestBlocks(options: BlocksToHash): Promise<Uint8Array>
  /**
   * Hashes blocks and compares them with their digests.
   * @returns the indexes of the blocks that differ, ascending; ENODATA if a file ends before
   */
  verityCheckBlocks(
    options: BlocksToHash & {
      /** Whole hash blocks. */
      readonly digests: Located
      readonly digestBlockSize: number
      /** Index in `digests` of the first block's digest. */
      readonly firstDigest: number
    },
  ): Promise<Float64Array>
}

let loaded: Addon | undefined

/**
 * The addon, loaded at first use, so that code that does not need it runs anywhere.
 * @throws ERR_DDI_ADDON_MISSING, ERR_DDI_LIMIT
 */
export function addon(): Addon {
  loaded ??= load()
  return loaded
}

/** Where the addon is: what was compiled here, before what the package has for the processor. DDI_ADDON names another one. */
export function addonPath(): string {
  const [compiled, packed] = ['build/Release', `prebuilds/${process.platform}-${process.arch}`].map((place) =>
    join(packageRoot, place, 'ddi.node'),
  ) as [string, string]
  return process.env['DDI_ADDON'] ?? (existsSync(compiled) ? compiled : packed)
}

/** What compiles the addon of an installed package, which has the sources. */
const compilation = `npm install --no-save node-addon-api && npx node-gyp rebuild --directory='${packageRoot}'`

function load(): Addon {
  try {
    return withErrorCodes(createRequire(import.meta.url)(addonPath()) as Addon)
  } catch (error) {
    refuseExhausted(error, 'the native addon')
    throw new DdiError(
      'ERR_DDI_ADDON_MISSING',
      `the native addon cannot be loaded: ${(error as Error).message.split('\n')[0]}. To compile it here: ${compilation}`,
      { cause: error },
    )
  }
}

/** Errors of <asm-generic/errno.h> that libuv has no names for. */
const linuxErrors: Readonly<Record<number, string>> = {
  8: 'ENOEXEC',
  65: 'ENOPKG',
  117: 'EUCLEAN',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
}

/** Gives errors the fields of Node’s own system errors: `code`, and a message with the error’s name. */
function withErrorCodes(native: Addon): Addon {
  const name = (error: NodeJS.ErrnoException): never => {
    if (error.message === 'std::bad_alloc') error.errno = -constants.errno.ENOMEM
    if (typeof error.errno === 'number') {
      error.code = linuxErrors[-error.errno] ?? getSystemErrorName(error.errno)
      error.message = `${error.code}, ${error.message}`
    }
    throw error
  }
  return Object.fromEntries(
    Object.entries(native as unknown as Record<string, (...all: unknown[]) => unknown>).map(([key, call]) => [
      key,
      (...all: unknown[]) => {
        try {
          const result = call(...all)
          if (!(result instanceof Promise)) return result
          const step = steps.hasSubscribers ? stepOf(key, all) : undefined
          return (step ? result.then((value: unknown) => tell(step, value)) : result).catch(name)
        } catch (error) {
          return name(error as NodeJS.ErrnoException)
        }
      },
    ]),
  ) as unknown as Addon
}

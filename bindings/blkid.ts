import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { DdiError } from '../lib/errors.js'
import { addon, type BlkidProbe, type BlkidValues } from './addon.js'
import { missingLibrary } from './library.js'

/** What libblkid recognises in a run of bytes. */
export interface FileSystem {
  /** As blkid names it: `erofs`, `ext4`, `squashfs`, `crypto_LUKS`, …; `ambiguous` if several match. */
  readonly type: string
  readonly label: string | null
  readonly uuid: string | null
  /** The smallest blocks that it reads, in bytes: the sectors of a disk that it is mounted from are no larger. Null: not known. */
  readonly blockSize: number | null
}

/** Which of blkid's chains run: that of file systems, or that of partition tables too. */
type Chains = 'file systems' | 'all'

/** One each, for as long as the process: setting one up takes longer than probing. */
const probes = new Map<Chains, BlkidProbe>()

function probeFor(chains: Chains): BlkidProbe {
  const known = probes.get(chains)
  if (known) return known
  const { blkidOpen } = addon()
  try {
    const probe = blkidOpen(chains === 'all')
    probes.set(chains, probe)
    return probe
  } catch (error) {
    throw missingLibrary(error, 'libblkid.so.1', 'libblkid1 (Debian) or libblkid')
  }
}

/** What blkid_do_safeprobe() returns besides. */
const [nothing, ambiguous] = [1, -2]

function probe(
  { fd, path, offset, size }: { fd: number; path: string; offset: number; size: number },
  chains: Chains,
): BlkidValues | 'ambiguous' | null {
  const found = addon().blkidProbe(probeFor(chains), fd, offset, size)
  if (typeof found === 'object') return found
  if (found === nothing) return null
  if (found === ambiguous) return 'ambiguous'
  throw new DdiError('ERR_DDI_IO', `libblkid cannot read ${path} at byte ${offset}`)
}

/**
 * Probes a run of bytes of an open file for a file system, with libblkid’s safe probe (util-linux, blkid.h).
 * @param fd open for reading; libblkid does not close it
 * @param offset in bytes
 * @param size in bytes
 * @returns null if libblkid recognises nothing in it
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_IO, ERR_DDI_ADDON_MISSING, ERR_DDI_LIMIT
 */
export function probeFileSystem(fd: number, path: string, offset: number, size: number): FileSystem | null {
  const found = probe({ fd, path, offset, size }, 'file systems')
  if (found === 'ambiguous') return { type: found, label: null, uuid: null, blockSize: null }
  if (found?.TYPE === undefined) return null
  const { TYPE: type, LABEL: label = null, UUID: uuid = null, BLOCK_SIZE: blocks } = found
  return { type, label, uuid, blockSize: Number(blocks) || null }
}

/**
 * What libblkid finds on a whole disk: the name of a file system, of a partition table (`dos`, `gpt`, …), or `ambiguous`.
 * @returns null if it recognises nothing
 * @throws as {@link probeFileSystem}
 */
export function probeDisk({ fd, path, size }: { fd: number; path: string; size: number }): string | null {
  const found = probe({ fd, path, offset: 0, size }, 'all')
  return found === 'ambiguous' ? found : (found?.TYPE ?? found?.PTTYPE ?? null)
}

/**
 * The same for bytes that do not lie in a file as they are.
 * @param head the beginning of the volume; 1 MiB has the superblock of every file system that libblkid knows
 * @param size of the whole volume, in bytes
 * @throws as {@link probeFileSystem}
 */
export function probeBytes(head: Uint8Array, path: string, size: number): FileSystem | null {
  const fd = memoryFile(path)
  try {
    writeSync(fd, head)
    ftruncateSync(fd, size)
    return probeFileSystem(fd, path, 0, size)
  } finally {
    closeSync(fd)
  }
}

function memoryFile(path: string): number {
  const { makeMemoryFile } = addon()
  try {
    return makeMemoryFile('ddi')
  } catch (error) {
    const message = `${path} cannot be probed: the process can make no more files in memory`
    throw new DdiError('ERR_DDI_LIMIT', message, { cause: error })
  }
}

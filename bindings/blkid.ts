import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { DdiError } from '../lib/errors.js'
import { type Ffi, openLibrary } from './ffi.js'

/** What libblkid recognises in a run of bytes. */
export interface FileSystem {
  /** As blkid names it: `erofs`, `ext4`, `squashfs`, `crypto_LUKS`, …; `ambiguous` if several match. */
  readonly type: string
  readonly label: string | null
  readonly uuid: string | null
}

const library = 'ddi-blkid'
const libc = 'ddi-libc'
const superblockFlags = { label: 1 << 1, uuid: 1 << 3, type: 1 << 5 } as const

type Pointer = import('ffi-rs').JsExternal

function ffi(): Ffi {
  const ffi = openLibrary(library, 'libblkid.so.1', 'libblkid1 (Debian) or libblkid')
  openLibrary(libc, 'libc.so.6', 'libc6 (Debian) or glibc')
  return ffi
}

interface Found {
  /** A value of the probe, such as `TYPE`; null if there is none. */
  value(name: string): string | null
}

function call(funcName: string, retType: number, paramsType: number[], paramsValue: unknown[], from = library) {
  const parameters = { library: from, funcName, retType, paramsType, paramsValue }
  return ffi().load(parameters as Parameters<Ffi['load']>[0]) as unknown
}

/** Which of blkid's chains run: that of file systems, or that of partition tables too. */
type Chains = 'file systems' | 'all'

/** One each, for as long as the process: setting one up takes longer than probing. */
const probes = new Map<Chains, Pointer>()

function probeFor(chains: Chains): Pointer {
  const known = probes.get(chains)
  if (known) return known
  const { External, I32 } = ffi().DataType
  const probe = call('blkid_new_probe', External, [], []) as Pointer
  const set = (name: string, value: number) => call(name, I32, [External, I32], [probe, value])
  set('blkid_probe_enable_superblocks', 1)
  if (chains === 'all') set('blkid_probe_enable_partitions', 1)
  set('blkid_probe_set_superblocks_flags', superblockFlags.label | superblockFlags.uuid | superblockFlags.type)
  probes.set(chains, probe)
  return probe
}

function probe<Value>(
  { fd, path, offset, size }: { fd: number; path: string; offset: number; size: number },
  chains: Chains,
  read: (found: Found | 'ambiguous' | null) => Value,
): Value {
  const { DataType } = ffi()
  const probe = probeFor(chains)
  const onProbe = (name: string, types: number[] = [], values: unknown[] = []) =>
    call(name, DataType.I32, [DataType.External, ...types], [probe, ...values]) as number
  const value = (name: string): string | null => {
    // Two out-parameters: the address of the text in the probe's memory, and its length with the NUL.
    const pointer = Buffer.alloc(8)
    const length = Buffer.alloc(8)
    const { String: text, U8Array: buffer } = DataType
    if (onProbe('blkid_probe_lookup_value', [text, buffer, buffer], [name, pointer, length]) !== 0) return null
    const bytes = Buffer.alloc(Number(length.readBigUInt64LE()))
    const parameters = [buffer, DataType.I64, DataType.I64]
    call('memcpy', DataType.Void, parameters, [bytes, Number(pointer.readBigUInt64LE()), bytes.length], libc)
    return bytes.toString('utf8').replace(/\0.*$/s, '')
  }
  if (onProbe('blkid_probe_set_device', [DataType.I32, DataType.I64, DataType.I64], [fd, offset, size]) !== 0)
    throw new DdiError('ERR_DDI_IO', `libblkid cannot probe ${path} at byte ${offset}`)
  const found = onProbe('blkid_do_safeprobe')
  if (found < 0 && found !== -2) throw new DdiError('ERR_DDI_IO', `libblkid cannot read ${path} at byte ${offset}`)
  return read(found === -2 ? 'ambiguous' : found > 0 ? null : { value })
}

/**
 * Probes a run of bytes of an open file for a file system, with libblkid’s safe probe (util-linux, blkid.h).
 * @param fd open for reading; libblkid neither closes nor moves it
 * @param offset in bytes
 * @param size in bytes
 * @returns null if libblkid recognises nothing in it
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_IO
 */
export function probeFileSystem(fd: number, path: string, offset: number, size: number): FileSystem | null {
  return probe({ fd, path, offset, size }, 'file systems', (found) => {
    if (found === 'ambiguous') return { type: 'ambiguous', label: null, uuid: null }
    const type = found?.value('TYPE') ?? null
    return type === null ? null : { type, label: found!.value('LABEL'), uuid: found!.value('UUID') }
  })
}

/**
 * What libblkid finds on a whole disk: the name of a file system, of a partition table (`dos`, `gpt`, …), or `ambiguous`.
 * @returns null if it recognises nothing
 * @throws as {@link probeFileSystem}
 */
export function probeDisk({ fd, path, size }: { fd: number; path: string; size: number }): string | null {
  return probe({ fd, path, offset: 0, size }, 'all', (found) =>
    found === 'ambiguous' ? found : (found?.value('TYPE') ?? found?.value('PTTYPE') ?? null),
  )
}

/**
 * The same for bytes that do not lie in a file as they are.
 * @param head the beginning of the volume; 1 MiB has the superblock of every file system that libblkid knows
 * @param size of the whole volume, in bytes
 * @throws ERR_DDI_LIBRARY_MISSING, ERR_DDI_IO, ERR_DDI_LIMIT
 */
export function probeBytes(head: Uint8Array, path: string, size: number): FileSystem | null {
  const { load, DataType } = ffi()
  const fd = load({
    library: libc,
    funcName: 'memfd_create',
    retType: DataType.I32,
    paramsType: [DataType.String, DataType.I32],
    paramsValue: ['ddi', 0],
  })
  if (fd < 0)
    throw new DdiError('ERR_DDI_LIMIT', `${path} cannot be probed: the process can make no more files in memory`)
  try {
    writeSync(fd, head)
    ftruncateSync(fd, size)
    return probeFileSystem(fd, path, 0, size)
  } finally {
    closeSync(fd)
  }
}

import { mountFlags } from '../../bindings/addon.js'
import type { Designator } from '../gpt/dps-types.js'

/** Options of a mount, as mount(2) takes them. */
export interface MountArguments {
  /** An OR of `mountFlags`. */
  readonly flags: number
  /** For the file system. */
  readonly data: string
}

/** The options of mount(8) that are flags: which they set, and which they clear. */
const words: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  defaults: [0, 0],
  ro: [mountFlags.readOnly, 0],
  rw: [0, mountFlags.readOnly],
  nosuid: [mountFlags.noSuid, 0],
  suid: [0, mountFlags.noSuid],
  nodev: [mountFlags.noDev, 0],
  dev: [0, mountFlags.noDev],
  noexec: [mountFlags.noExec, 0],
  exec: [0, mountFlags.noExec],
  noatime: [mountFlags.noAtime, 0],
  atime: [0, mountFlags.noAtime],
  nodiratime: [mountFlags.noDirAtime, 0],
  relatime: [mountFlags.relatime, 0],
  nosymfollow: [mountFlags.noSymbolicLinks, 0],
}

/** File systems that may be mounted from an image: the kernel’s code for others was never meant for hostile bytes. */
export const mountable = ['btrfs', 'erofs', 'ext4', 'f2fs', 'squashfs', 'vfat', 'xfs'] as const

/** Keeps a file system from writing to its device even to replay its journal. */
const withoutRecovery: Readonly<Record<string, string>> = {
  ext4: 'noload',
  xfs: 'norecovery',
  btrfs: 'rescue=nologreplay',
  f2fs: 'norecovery',
}
/**
 * Keeps a file system from deciding what an error does to the machine: the superblock of ext4, or the options in it, may ask
 * for a panic. The others take that from the options of a mount alone, and have no panic among their defaults.
 */
const onErrors: Readonly<Record<string, string>> = { ext4: 'errors=remount-ro' }
/** These are read-only by design. */
const immutable: readonly string[] = ['erofs', 'squashfs']

export function isImmutable(type: string): boolean {
  return immutable.includes(type)
}

/** @param type as libblkid names it */
export function isMountable(type: string): boolean {
  return mountable.some((one) => one === type)
}

const discardable = new Set(['btrfs', 'ext4', 'f2fs', 'vfat', 'xfs'])
/** These hold the system itself; the rest is data. */
const systems: readonly (Designator | null)[] = ['root', 'usr']

export interface ArgumentOptions {
  readonly readOnly: boolean
  readonly discard: boolean
  /** Nothing in it is to be executed. */
  readonly noExec: boolean
  /** Options of mount(8), separated by commas, which override the rest. */
  readonly given?: string
}

/**
 * How to mount a volume: never both writable and executable unless `given` says so, without devices, and with set-user-ID
 * programs only if it holds the system.
 * @param type of its file system, as libblkid names it
 */
export function mountArguments(
  designator: Designator | null,
  type: string,
  { readOnly, discard, noExec, given = '' }: ArgumentOptions,
): MountArguments {
  const isSystem = systems.includes(designator)
  const asked = given.split(',').filter((word) => word !== '')
  // What `given` makes writable is so from the start: it says by itself whether that is executable too.
  const isWritable = !readOnly || asked.includes('rw')
  let flags = mountFlags.noDev | mountFlags.silent
  if (readOnly) flags |= mountFlags.readOnly
  if (isWritable) flags |= mountFlags.noExec | mountFlags.noSuid
  if (noExec) flags |= mountFlags.noExec | mountFlags.noSuid
  if (!isSystem) flags |= mountFlags.noSuid
  if (designator === 'esp' || designator === 'xbootldr') flags |= mountFlags.noExec | mountFlags.noSymbolicLinks
  const data: string[] = []
  if (onErrors[type]) data.push(onErrors[type])
  if (readOnly && withoutRecovery[type]) data.push(withoutRecovery[type])
  if (!readOnly && discard && discardable.has(type)) data.push('discard')
  if (type === 'vfat') data.push('umask=0077')
  for (const word of asked) {
    const [set, clear] = Object.hasOwn(words, word) ? words[word]! : [0, 0]
    flags = (flags | set) & ~clear
    if (!Object.hasOwn(words, word)) data.push(word)
  }
  return { flags, data: data.join(',') }
}

/** How a volume is mounted, and how what covers it, if writes go to memory. */
export interface MountSteps {
  readonly volume: MountArguments
  readonly overlay: MountArguments | undefined
}

/**
 * All mounts of a volume, each by the rules of {@link mountArguments}: a layer in memory is writable, whatever is below it.
 * @param options `inMemoryOverlay`: covers it with such a layer
 */
export function mountSteps(
  designator: Designator | null,
  type: string,
  { inMemoryOverlay, ...options }: ArgumentOptions & { readonly inMemoryOverlay: boolean },
): MountSteps {
  const volume = mountArguments(designator, type, options)
  if (!inMemoryOverlay) return { volume, overlay: undefined }
  // Words that are no flags are for the file system of the volume.
  const { flags } = mountArguments(designator, '', { ...options, readOnly: false })
  return { volume, overlay: { flags, data: '' } }
}

/** Whether nothing that is mounted so can be executed. */
export function isNoExec({ volume, overlay }: MountSteps): boolean {
  return ((overlay ?? volume).flags & mountFlags.noExec) !== 0
}

/** Whether what is mounted so could change the programs that it runs. */
export function isWritableAndExecutable(steps: MountSteps): boolean {
  return !isNoExec(steps) && ((steps.overlay ?? steps.volume).flags & mountFlags.readOnly) === 0
}

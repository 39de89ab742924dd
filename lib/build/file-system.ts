import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import { type RunPackaged, setExt4Times } from './ext4-times.js'
import type { BuildFormat, PartitionDefinition } from './partition-definition.js'

/** A file system to be made in a new file. */
export interface NewFileSystem
  extends Partial<Pick<PartitionDefinition, 'compression' | 'compressionLevel' | 'subvolumes' | 'defaultSubvolume'>> {
  /** Of the file. */
  readonly path: string
  readonly format: BuildFormat
  /** Directory with what goes into it; null: nothing. */
  readonly tree: string | null
  /** Paths in it that stay out, of formats whose tools can leave them out. Default: none. */
  readonly excluded?: readonly string[]
  readonly label: string
  readonly uuid: string
  /** In bytes: FAT is mounted from disks whose sectors are no larger. Default: 512. */
  readonly sectorSize?: number
  /** Seconds since 1970 that all times are set to, as far as the tool allows; null: as they are. */
  readonly epoch: number | null
}

/** How the file systems of a format come to be. */
interface Format {
  /** In bytes: none is smaller. Null: it is as large as its contents, whatever its partition. */
  readonly smallest: number | null
  /** @param size in bytes; the file has it already. Null if the format decides */
  make(wanted: NewFileSystem, run: RunPackaged, size: number): Promise<void>
  /** Makes it as small as its contents allow. Absent if it is so already, or cannot be. */
  shrink?(path: string, run: RunPackaged): Promise<void>
}

const KiB = 1024
const MiB = 1024 * KiB

const erofs: Format = {
  smallest: null,
  async make({ path, tree, excluded = [], uuid, epoch, compression = null, compressionLevel }, run) {
    const packed = compression === null ? [] : [`-z${[compression, compressionLevel ?? []].flat().join(',')}`]
    const time = epoch === null ? [] : [`-T${epoch}`]
    await run('erofs-utils', [
      'mkfs.erofs',
      '--quiet',
      `-U${uuid}`,
      ...time,
      ...packed,
      ...excluded.map((one) => `--exclude-path=${one}`),
      path,
      tree ?? (await emptyDirectory(path)),
    ])
  },
}

const squashfs: Format = {
  smallest: null,
  async make({ path, tree, excluded = [], compression = null, compressionLevel = null }, run) {
    const from = tree ?? (await emptyDirectory(path))
    const packed = compression === null ? [] : ['-comp', compression]
    const level = compressionLevel === null ? [] : ['-Xcompression-level', compressionLevel]
    const without = excluded.length > 0 ? ['-e', ...excluded] : []
    const quiet = ['-noappend', '-quiet', '-no-progress']
    await run('squashfs-tools', ['mksquashfs', from, path, ...quiet, ...packed, ...level, ...without])
  },
}

const ext4: Format = {
  smallest: 32 * MiB,
  async make({ path, tree, label, uuid, epoch }, run) {
    const identity = ['-L', label.slice(0, 16), '-U', uuid]
    const extended = `hash_seed=${uuid},nodiscard,lazy_itable_init=1,lazy_journal_init=1`
    const shape = ['-I', '256', '-m', '0', '-b', '4096', '-E', extended]
    const contents = tree === null ? [] : ['-d', tree]
    await run('e2fsprogs', ['mkfs.ext4', '-q', '-F', ...identity, ...shape, ...contents, path])
    if (tree !== null && epoch !== null) await setExt4Times(path, epoch, run)
  },
  async shrink(path, run) {
    await run('e2fsprogs', ['e2fsck', '-fp', path])
    await run('e2fsprogs', ['resize2fs', '-M', path])
    const report = await run('e2fsprogs', ['dumpe2fs', '-h', path])
    const [blocks, size] = ['Block count', 'Block size'].map((name) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(report)?.[1]),
    )
    await truncate(path, blocks! * size!)
  },
}

const btrfs: Format = {
  smallest: 256 * MiB,
  async make({ path, tree, label, uuid, ...more }, run) {
    const { compression = null, compressionLevel, subvolumes = [], defaultSubvolume } = more
    const kinds = subvolumes.flatMap(({ path: at, readOnly, noCow }) => {
      const kind = `${at === defaultSubvolume ? 'default' : ''}${readOnly ? '-ro' : ''}`.replace(/^-/, '')
      const relative = at.replace(/^\//, '')
      const flags = noCow ? ['--inode-flags', `nodatacow:${relative}`] : []
      return ['--subvol', `${kind || 'rw'}:${relative}`, ...flags]
    })
    const packed = compression === null ? [] : ['--compress', [compression, compressionLevel ?? []].flat().join(':')]
    const newer = [...kinds, ...packed]
    const help = newer.length > 0 ? await run('btrfs-progs', ['mkfs.btrfs', '--help']) : ''
    const missing = newer.find((word) => word.startsWith('--') && !help.includes(word))
    if (missing !== undefined)
      throw new DdiError(
        'ERR_DDI_TOOL',
        `mkfs.btrfs is too old: Subvolumes= needs btrfs-progs 6.11, and Compression= 6.13, as it knows no ${missing}`,
      )
    const contents = tree === null ? [] : ['--rootdir', tree]
    await run('btrfs-progs', ['mkfs.btrfs', '-q', '-L', label, '-U', uuid, ...contents, ...newer, path])
  },
}

const xfs: Format = {
  smallest: 300 * MiB,
  async make({ path, label, uuid }, run) {
    await run('xfsprogs', ['mkfs.xfs', '-q', '-f', '-L', label.slice(0, 12), '-m', `uuid=${uuid}`, path])
  },
}

/** How many sectors the clusters of FAT16 can be. */
const fat16 = 65_500
/** Fewer sectors are too few clusters for FAT32. */
const fat32 = 128 * 1024

const vfat: Format = {
  smallest: 2 * MiB,
  async make({ path, tree, label, uuid, epoch, sectorSize = 512 }, run, size) {
    // Up to dosfstools 4.2 it ignores SOURCE_DATE_EPOCH, and dates the label with its own constant or the clock.
    const invariant = epoch === null ? [] : ['--invariant']
    const width = size >= fat32 * sectorSize ? ['-F', '32'] : []
    const identity = ['-i', uuid.slice(0, 8), '-n', fatLabel(label)]
    // By default several sectors are a cluster, which wastes much of it on small files where sectors are large.
    const cluster = sectorSize > 512 && size < fat16 * sectorSize ? ['-s', '1'] : []
    const sectors = ['-S', String(sectorSize), ...cluster]
    await run('dosfstools', ['mkfs.vfat', ...invariant, ...identity, ...sectors, ...width, path])
    const names = tree === null ? [] : (await readdir(tree)).sort()
    if (tree === null || names.length === 0) return
    const files = names.map((name) => join(tree, name))
    await run('mtools', ['mcopy', '-s', '-p', '-Q', '-m', '-n', '-i', path, ...files, '::'])
  },
}

const swap: Format = {
  smallest: 40 * KiB,
  async make({ path, label, uuid }, run) {
    await run('util-linux', ['mkswap', '-q', '-L', label.slice(0, 15), '-U', uuid, path])
  },
}

const formats: Readonly<Record<BuildFormat, Format>> = { ext4, btrfs, xfs, vfat, erofs, squashfs, swap }

/** The size of the smallest file system of a format, in bytes; null if it is as large as its contents. */
export function smallestSize(format: BuildFormat): number | null {
  return formats[format].smallest
}

/**
 * Makes a file system in a new file, by the tool of its format.
 * @param size in bytes; ignored for formats that are as large as their contents
 * @throws ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function makeFileSystem(wanted: NewFileSystem, size: number, signal?: AbortSignal): Promise<void> {
  const { path, format, epoch } = wanted
  const { smallest, make } = formats[format]
  if (smallest !== null) {
    await writeFile(path, '', { flag: 'wx' })
    await truncate(path, size)
  }
  await make(wanted, runner(epoch, signal), size)
}

/**
 * Makes a file system as small as its contents allow, and its file as small as the file system.
 * @throws ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function shrinkFileSystem({ path, format, epoch }: NewFileSystem, signal?: AbortSignal): Promise<void> {
  await formats[format].shrink?.(path, runner(epoch, signal))
}

function runner(epoch: number | null, signal: AbortSignal | undefined): RunPackaged {
  // The tools of ext4 have variables of their own, the others share one.
  const time = String(epoch)
  const env: Record<string, string> =
    epoch === null ? {} : { SOURCE_DATE_EPOCH: time, E2FSPROGS_FAKE_TIME: time, E2FSCK_TIME: time, TZ: 'UTC' }
  return async (packageName, command) => {
    // e2fsck exits with 1 if it corrected something.
    const accepted = command[0] === 'e2fsck' ? [1] : []
    return await runTool({ command, package: packageName, env, accepted }, signal)
  }
}

function fatLabel(label: string): string {
  const allowed = label.toUpperCase().replace(/[^A-Z0-9_-]/g, '_')
  return allowed.slice(0, 11) || 'NO_NAME'
}

async function emptyDirectory(path: string): Promise<string> {
  const directory = `${path}.empty`
  await mkdir(directory)
  return directory
}

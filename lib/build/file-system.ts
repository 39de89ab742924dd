import { lstat, lutimes, mkdir, opendir, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join, posix, relative } from 'node:path'
import { exists } from '../bytes/new-file.js'
import { DdiError } from '../errors.js'
import { runTool } from '../tool.js'
import type { BuildFormat, PartitionDefinition } from './definitions.js'

/** What a file system is made as. */
export interface FileSystemIdentity {
  readonly label: string
  readonly uuid: string
  /** Seconds since 1970 that all times are set to, as far as the tool lets them; null: as they are. */
  readonly epoch: number | null
}

/** File systems that are as large as what is in them; others are as large as their partition. */
export function fitsContents(format: BuildFormat): format is 'erofs' | 'squashfs' {
  return format === 'erofs' || format === 'squashfs'
}

function timeEnvironment(epoch: number | null): Record<string, string> {
  const time = String(epoch)
  // The tools of ext4 know their own variables, the others the common one.
  return epoch === null ? {} : { SOURCE_DATE_EPOCH: time, E2FSPROGS_FAKE_TIME: time, E2FSCK_TIME: time, TZ: 'UTC' }
}

/**
 * Makes a file system in a new file, by its own tool.
 * @param size in bytes; for those that fit their contents it does not count
 * @param tree folder with what goes into it; null: nothing
 * @throws ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function makeFileSystem(
  path: string,
  format: BuildFormat,
  size: number,
  tree: string | null,
  { label, uuid, epoch }: FileSystemIdentity,
  signal?: AbortSignal,
): Promise<void> {
  const env = timeEnvironment(epoch)
  const make = (name: string, ...command: [string, ...string[]]) => runTool({ command, package: name, env }, signal)
  if (!fitsContents(format)) {
    await writeFile(path, '', { flag: 'wx' })
    await truncate(path, size)
  }
  switch (format) {
    case 'erofs': {
      const time = epoch === null ? [] : [`-T${epoch}`]
      await make('erofs-utils', 'mkfs.erofs', '--quiet', `-U${uuid}`, ...time, path, tree ?? (await emptyFolder(path)))
      return
    }
    case 'squashfs':
      await make(
        'squashfs-tools',
        'mksquashfs',
        tree ?? (await emptyFolder(path)),
        path,
        '-noappend',
        '-quiet',
        '-no-progress',
      )
      return
    case 'ext4': {
      const contents = tree === null ? [] : ['-d', tree]
      await make(
        'e2fsprogs',
        ...([
          'mkfs.ext4',
          '-q',
          '-F',
          '-L',
          label.slice(0, 16),
          '-U',
          uuid,
          '-I',
          '256',
          '-m',
          '0',
          '-b',
          '4096',
        ] as const),
        ...['-E', `hash_seed=${uuid},nodiscard,lazy_itable_init=1,lazy_journal_init=1`, ...contents, path],
      )
      if (tree !== null && epoch !== null) await setExt4Times(path, epoch, signal)
      return
    }
    case 'btrfs':
      await make(
        'btrfs-progs',
        'mkfs.btrfs',
        '-q',
        '-L',
        label,
        '-U',
        uuid,
        ...(tree === null ? [] : ['--rootdir', tree]),
        path,
      )
      return
    case 'xfs':
      await make('xfsprogs', 'mkfs.xfs', '-q', '-f', '-L', label.slice(0, 12), '-m', `uuid=${uuid}`, path)
      return
    case 'vfat': {
      await make(
        'dosfstools',
        'mkfs.vfat',
        // Up to dosfstools 4.2 it knows no SOURCE_DATE_EPOCH, and dates the label with its own constant or the clock.
        ...(epoch === null ? [] : ['--invariant']),
        '-i',
        uuid.slice(0, 8),
        '-n',
        fatLabel(label),
        ...(size >= fat32 ? ['-F', '32'] : []),
        path,
      )
      const names = tree === null ? [] : (await readdir(tree)).sort()
      if (tree === null || names.length === 0) return
      await make(
        'mtools',
        'mcopy',
        '-s',
        '-p',
        '-Q',
        '-m',
        '-n',
        '-i',
        path,
        ...names.map((name) => join(tree, name)),
        '::',
      )
      return
    }
    case 'swap':
      await make('util-linux', 'mkswap', '-q', '-L', label.slice(0, 15), '-U', uuid, path)
  }
}

/** Smaller ones have too few clusters for FAT32. */
const fat32 = 64 * 1024 * 1024

function fatLabel(label: string): string {
  return (
    label
      .toUpperCase()
      .replace(/[^A-Z0-9_-]/g, '_')
      .slice(0, 11) || 'NO_NAME'
  )
}

async function emptyFolder(path: string): Promise<string> {
  const folder = `${path}.empty`
  await mkdir(folder)
  return folder
}

/** mke2fs takes change and access times from the tree, where no tool can set the first. */
async function setExt4Times(path: string, epoch: number, signal?: AbortSignal): Promise<void> {
  const report = await runTool({ command: ['dumpe2fs', path], package: 'e2fsprogs' }, signal)
  const count = Number(/^Inode count:\s+(\d+)/m.exec(report)?.[1])
  const free = [...report.matchAll(/^ {2}Free inodes: (.*)$/gm)].flatMap(([, list = '']) =>
    list
      .split(', ')
      .filter((range) => range !== '')
      .map((range) => range.split('-').map(Number) as [number, number?]),
  )
  const isFree = new Uint8Array(count + 1)
  for (const [first, last = first] of free) isFree.fill(1, first, last + 1)
  const commands: string[] = []
  for (let inode = 1; inode <= count; inode++)
    if (!isFree[inode])
      for (const time of ['atime', 'ctime', 'mtime', 'crtime'])
        commands.push(`set_inode_field <${inode}> ${time} @${epoch}`)
  const script = `${path}.times`
  await writeFile(script, `${commands.join('\n')}\n`)
  await runTool(
    { command: ['debugfs', '-w', '-f', script, path], package: 'e2fsprogs', env: timeEnvironment(epoch) },
    signal,
  )
  await rm(script)
}

/**
 * Makes a file system as small as its contents allow.
 * @returns nothing; the file has its size
 */
export async function shrinkFileSystem(
  path: string,
  format: BuildFormat,
  epoch: number | null,
  signal?: AbortSignal,
): Promise<void> {
  if (format !== 'ext4') return
  const run = (...command: [string, ...string[]]) =>
    runTool(
      { command, package: 'e2fsprogs', env: timeEnvironment(epoch), accepted: command[0] === 'e2fsck' ? [1] : [] },
      signal,
    )
  await run('e2fsck', '-fp', path)
  await run('resize2fs', '-M', path)
  const report = await run('dumpe2fs', '-h', path)
  const [blocks, size] = ['Block count', 'Block size'].map((name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(report)?.[1]),
  )
  await truncate(path, blocks! * size!)
}

/**
 * Puts together what goes into a file system.
 * @param root what the sources of the definition are within
 * @param stage a folder to be made, where the tree cannot be taken as it is
 * @param epoch seconds since 1970 for the times of what is put together; null: as they are
 * @returns the folder to take; null where nothing goes in
 * @throws ERR_DDI_DEFINITION where a source is missing, or a target leads through a symbolic link; ERR_DDI_TOOL
 */
export async function stageTree(
  definition: PartitionDefinition,
  root: string,
  stage: string,
  epoch: number | null,
  signal?: AbortSignal,
): Promise<string | null> {
  const { copyFiles, excludeFiles, makeDirectories, path } = definition
  const [only, second] = copyFiles
  if (!only && makeDirectories.length === 0) return null
  for (const { source } of copyFiles)
    if (!(await exists(join(root, source))))
      throw new DdiError('ERR_DDI_DEFINITION', `${path}: CopyFiles=${source}: ${join(root, source)} does not exist`)
  const plain = only && !second && only.target === '/' && excludeFiles.length + makeDirectories.length === 0
  if (plain && (await lstat(join(root, only.source))).isDirectory()) return join(root, only.source)
  await mkdir(stage, { mode: 0o755 })
  for (const { source, target } of copyFiles) {
    const from = join(root, source)
    const to = join(stage, target)
    await refuseLinks(stage, posix.dirname(target), path)
    await mkdir(dirname(to), { recursive: true, mode: 0o755 })
    await runTool(
      { command: ['cp', '--archive', '--reflink=auto', '--no-target-directory', '--', from, to], package: 'coreutils' },
      signal,
    )
    for (const excluded of excludeFiles) await exclude(excluded, source, to)
  }
  for (const folder of makeDirectories) {
    await refuseLinks(stage, folder, path)
    await mkdir(join(stage, folder), { recursive: true, mode: 0o755 })
  }
  if (epoch !== null) await setTimes(stage, epoch)
  return stage
}

/** Not every tool that fills a file system can be told a time: folders that we made have that of now. */
async function setTimes(folder: string, epoch: number): Promise<void> {
  for await (const { parentPath, name } of await opendir(folder, { recursive: true }))
    await lutimes(join(parentPath, name), epoch, epoch)
  await lutimes(folder, epoch, epoch)
}

/** Links in the tree lead where they lead in the image, not here. */
async function refuseLinks(stage: string, folder: string, definition: string): Promise<void> {
  let at = stage
  for (const name of folder.split('/').filter((name) => name !== '')) {
    at = join(at, name)
    if (!(await exists(at))) return
    if ((await lstat(at)).isSymbolicLink())
      throw new DdiError(
        'ERR_DDI_DEFINITION',
        `${definition}: ${folder} leads through a symbolic link, /${relative(stage, at)}, of what was copied before`,
      )
  }
}

/** Takes out of a copy what is excluded of its source; with a slash at the end, what is in the folder only. */
async function exclude(excluded: string, source: string, copy: string): Promise<void> {
  const within = posix.relative(source, excluded)
  if (within === '..' || within.startsWith('../') || posix.isAbsolute(within)) return
  const target = join(copy, within)
  if (!excluded.endsWith('/')) await rm(target, { recursive: true, force: true })
  else if (await exists(target))
    for (const name of await readdir(target)) await rm(join(target, name), { recursive: true, force: true })
}

const overhead = 4096

/** How much space a tree takes at the most in a file system of 4096-byte blocks. */
export async function treeSize(folder: string): Promise<number> {
  let bytes = overhead
  for await (const entry of await opendir(folder, { recursive: true })) {
    const stats = await lstat(join(entry.parentPath, entry.name))
    bytes += overhead + (stats.isFile() ? Math.ceil(stats.size / overhead) * overhead : 0)
  }
  return bytes
}

// Puts together what goes into a file system, unless it is one directory already.
import { lstat, lutimes, mkdir, opendir, readdir, realpath, rm } from 'node:fs/promises'
import { dirname, join, posix, relative } from 'node:path'
import { exists } from '../bytes/new-file.js'
import { DdiError, systemError } from '../errors.js'
import { isMissing, resolveInRoot } from '../mount/root.js'
import { runTool } from '../tool.js'
import type { Work } from '../work.js'
import type { CopyRule, PartitionDefinition } from './definitions.js'

export interface StageOptions extends Work {
  /** Path of the image. */
  readonly output: string
  /** The tree that the sources of a definition are within. */
  readonly root: string
  /** Seconds since 1970, for the times of what is put together; null: as they are. */
  readonly epoch: number | null
}

/**
 * Puts together what goes into a file system.
 * @param stage a directory to be made, unless one directory of the root is taken as it is
 * @returns the directory to take; null if nothing goes in
 * @throws ERR_DDI_DEFINITION if a source is missing or a target leads through a symbolic link; ERR_DDI_TOOL, ERR_DDI_ABORTED
 */
export async function stageTree(
  definition: PartitionDefinition,
  stage: string,
  { output, root, epoch, signal }: StageOptions,
): Promise<string | null> {
  const { copyFiles, makeDirectories, path } = definition
  if (copyFiles.length + makeDirectories.length === 0) return null
  for (const { source } of copyFiles) await refuseAround(await sourcePath(root, source, path), output, path)
  const whole = wholeDirectory(definition)
  const asItIs = whole === undefined ? undefined : await sourcePath(root, whole, path)
  if (asItIs !== undefined && (await lstat(asItIs)).isDirectory()) return asItIs
  await mkdir(stage, { mode: 0o755 })
  for (const rule of copyFiles) await copyInto(stage, rule, definition, { root, signal })
  for (const directory of makeDirectories) {
    await refuseLinks(stage, directory, path)
    await mkdir(join(stage, directory), { recursive: true, mode: 0o755 })
  }
  if (epoch !== null) await setTimes(stage, epoch)
  return stage
}

/**
 * Where a source is: the links on the way to it are those of the tree, and lead nowhere else. It may be a link itself.
 * @throws ERR_DDI_DEFINITION if there is none
 */
async function sourcePath(root: string, source: string, definition: string): Promise<string> {
  try {
    const found = join(await resolveInRoot(root, posix.dirname(source)), posix.basename(source))
    await lstat(found)
    return found
  } catch (error) {
    if (!isMissing(error)) throw systemError(error, `cannot look at ${source} of ${root}`)
    throw new DdiError(
      'ERR_DDI_DEFINITION',
      `${definition}: CopyFiles=${source}: ${join(root, source)} does not exist`,
      { cause: error },
    )
  }
}

/** The image, and all that is temporary beside it, would be in itself. @throws ERR_DDI_DEFINITION */
async function refuseAround(source: string, output: string, definition: string): Promise<void> {
  if (!(await lstat(source)).isDirectory()) return
  const within = relative(await realpath(source), await realpath(dirname(output)))
  if (within !== '..' && !within.startsWith('../'))
    throw new DdiError(
      'ERR_DDI_DEFINITION',
      `${definition}: ${output} would lie in ${source}, which is copied: write the image somewhere else`,
    )
}

/** The only source, if all of it becomes the root of the file system and nothing else goes in. */
function wholeDirectory({ copyFiles, excludeFiles, makeDirectories }: PartitionDefinition): string | undefined {
  const [only, second] = copyFiles
  const isWhole = only && !second && only.target === '/' && excludeFiles.length + makeDirectories.length === 0
  return isWhole ? only.source : undefined
}

async function copyInto(
  stage: string,
  { source, target }: CopyRule,
  { excludeFiles, path }: PartitionDefinition,
  { root, signal }: Pick<StageOptions, 'root' | 'signal'>,
): Promise<void> {
  const from = await sourcePath(root, source, path)
  const to = join(stage, target)
  await refuseLinks(stage, posix.dirname(target), path)
  await mkdir(dirname(to), { recursive: true, mode: 0o755 })
  await runTool(
    { command: ['cp', '--archive', '--reflink=auto', '--no-target-directory', '--', from, to], package: 'coreutils' },
    signal,
  )
  for (const excluded of excludeFiles) await exclude(excluded, source, to)
}

/** Not every tool that fills a file system takes a time: directories made here have the current one. */
async function setTimes(directory: string, epoch: number): Promise<void> {
  for await (const { parentPath, name } of await opendir(directory, { recursive: true }))
    await lutimes(join(parentPath, name), epoch, epoch)
  await lutimes(directory, epoch, epoch)
}

/** A link in the tree is meant for the image: followed here, it could lead out of the stage. */
async function refuseLinks(stage: string, directory: string, definition: string): Promise<void> {
  let at = stage
  for (const name of directory.split('/').filter((name) => name !== '')) {
    at = join(at, name)
    if (!(await exists(at))) return
    if ((await lstat(at)).isSymbolicLink())
      throw new DdiError(
        'ERR_DDI_DEFINITION',
        `${definition}: ${directory} leads through a symbolic link, /${relative(stage, at)}, that was copied before`,
      )
  }
}

/**
 * Refuses a tree with anything but files and directories where the file system has nothing else: its tool would follow some
 * links, to wherever they lead on this machine, leave out others, and read a FIFO, which has no end. Names that it cannot have
 * the tool would change, or fail at without a word.
 * @throws ERR_DDI_DEFINITION
 */
export async function refuseUnfitFiles(tree: string, definition: string): Promise<void> {
  const folded = new Set<string>()
  for await (const entry of await opendir(tree, { recursive: true })) {
    const path = relative(tree, join(entry.parentPath, entry.name))
    const refuseName = (why: string) => {
      throw new DdiError('ERR_DDI_DEFINITION', `${definition}: its file system ${why}: rename or exclude ${path}`)
    }
    if (unfit.test(entry.name)) refuseName('has no names with one of \\:*?"<>|, or a dot or space at their end')
    if (folded.has(path.toLowerCase())) refuseName('has no two names that differ in their case only')
    folded.add(path.toLowerCase())
    if (entry.isFile() || entry.isDirectory()) continue
    throw new DdiError(
      'ERR_DDI_DEFINITION',
      entry.isSymbolicLink()
        ? `${definition}: its file system has no symbolic links, and ${path} is one: exclude it, or copy what it leads to`
        : `${definition}: its file system has files and directories only: exclude ${path}`,
    )
  }
}

/** Microsoft's specification of FAT, "Long Directory Entries". */
const unfit = /[\\:*?"<>|\p{Cc}]|[. ]$/u

/** Removes from a copy what is excluded of its source; with a trailing slash, only the directory's contents. */
async function exclude(excluded: string, source: string, copy: string): Promise<void> {
  const within = posix.relative(source, excluded)
  if (within === '..' || within.startsWith('../') || posix.isAbsolute(within)) return
  const target = join(copy, within)
  if (!excluded.endsWith('/')) await rm(target, { recursive: true, force: true })
  else if (await exists(target))
    for (const name of await readdir(target)) await rm(join(target, name), { recursive: true, force: true })
}

const block = 4096

/** The most space that a tree takes in a file system of 4096-byte blocks, in bytes. */
export async function treeSize(directory: string): Promise<number> {
  let bytes = block
  for await (const entry of await opendir(directory, { recursive: true })) {
    const stats = await lstat(join(entry.parentPath, entry.name))
    bytes += block + (stats.isFile() ? Math.ceil(stats.size / block) * block : 0)
  }
  return bytes
}

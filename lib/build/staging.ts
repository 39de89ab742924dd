// Puts together what goes into a file system, unless it is one directory already.
import type { Stats } from 'node:fs'
import { lstat, lutimes, mkdir, opendir, readdir, realpath, symlink } from 'node:fs/promises'
import { dirname, join, posix, relative } from 'node:path'
import { exists } from '../bytes/exists.js'
import { DdiError, systemError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { isMissing, resolveInRoot } from '../mount/root.js'
import type { Work } from '../work.js'
import { copyTree, pathFrom, presentIn, singlePaths } from './copy-tree.js'
import { unfitFiles } from './fat.js'
import { type CopyRule, isFilled, type PartitionDefinition, type SymbolicLink } from './partition-definition.js'

export interface StageOptions extends Work {
  /** Path of the image. */
  readonly output: string
  /** The tree that the sources of a definition are within. */
  readonly root: string
  /** Seconds since 1970, for the times of what is put together; null: as they are. */
  readonly epoch: number | null
  /** Where the image's other file systems belong: nothing is copied to there. */
  readonly covered: readonly string[]
  /** Whether what systems have in /proc, /sys, /dev, /tmp, /run and /var/tmp is copied like anything else. */
  readonly keepVolatile: boolean
}

/** What goes into a file system. */
export interface Stage {
  readonly directory: string
  /** Paths in the directory that its tool is to leave out. */
  readonly excluded: readonly string[]
  /** What its file system cannot have, and was left out, for people. */
  readonly skipped: readonly string[]
}

/**
 * Puts together what goes into a file system.
 * @param stage a directory to be made, unless one directory of the root is taken as it is
 * @returns null if nothing goes in
 * @throws ERR_DDI_DEFINITION if a source is missing or a target leads through a symbolic link; ERR_DDI_TOOL, ERR_DDI_ABORTED
 */
export async function stageTree(
  definition: PartitionDefinition,
  stage: string,
  options: StageOptions,
): Promise<Stage | null> {
  const { copyFiles, makeDirectories, makeSymlinks, path } = definition
  const { output, root, epoch } = options
  if (!isFilled(definition)) return null
  const copies: Copy[] = []
  for (const rule of copyFiles) {
    const from = await sourcePath(root, rule.source, path)
    await refuseAround(from, output, path)
    copies.push(await copyOf(rule, from, definition, options))
  }
  const skipped = copies.flatMap((copy) => copy.skipped)
  const [only, second] = copies
  if (
    only &&
    !second &&
    only.rule.target === '/' &&
    only.isDirectory &&
    makeDirectories.length + makeSymlinks.length === 0
  ) {
    const excluded = await singlePaths(only.from, only.excluded)
    if (excluded && (excluded.length === 0 || leavesOut(definition))) return { directory: only.from, excluded, skipped }
  }
  await mkdir(stage, { mode: 0o755 })
  for (const copy of copies) await copyInto(stage, copy, path, options.signal)
  for (const directory of makeDirectories) {
    await refuseLinks(stage, directory, path)
    await mkdir(join(stage, directory), { recursive: true, mode: 0o755 })
  }
  for (const link of makeSymlinks) await makeLink(stage, link, path)
  if (epoch !== null) await setTimes(stage, epoch)
  return { directory: stage, excluded: [], skipped }
}

/** Whether the tool of a format can leave files out by itself: what is to be copied is a tree of gigabytes at times. */
function leavesOut({ format }: PartitionDefinition): boolean {
  return format === 'erofs' || format === 'squashfs'
}

/** What one CopyFiles= does. */
interface Copy {
  readonly rule: CopyRule
  readonly from: string
  readonly isDirectory: boolean
  /** Paths from the source, with a slash behind those of which only the contents stay away. */
  readonly excluded: readonly string[]
  readonly skipped: readonly string[]
}

/** What a system has in these does not belong into an image. */
const volatile = ['/proc/', '/sys/', '/dev/', '/tmp/', '/run/', '/var/tmp/']

/** As systemd-repart leaves files out: by where they come from, by where they would go, and what other partitions hold. */
async function copyOf(
  rule: CopyRule,
  from: string,
  { excludeFiles, excludeTargets, format, path, typeUuid }: PartitionDefinition,
  { covered, keepVolatile }: StageOptions,
): Promise<Copy> {
  const isDirectory = (await lstat(from)).isDirectory()
  const system = keepVolatile ? [] : volatile
  const isRoot = dpsTypes.get(typeUuid)?.designator === 'root' && rule.target === '/'
  const kept = [
    ...[...system, ...excludeFiles].map((one) => pathFrom(rule.source, one)),
    ...excludeTargets.map((one) => pathFrom(rule.target, one)),
    ...(isRoot ? [...system, ...covered].map((one) => pathFrom('/', one)) : []),
  ]
  const excluded = await presentIn(
    from,
    kept.flatMap((one) => one ?? []),
  )
  if (format !== 'vfat') return { rule, from, isDirectory, excluded, skipped: [] }
  const unfit = await unfitFiles(from, excluded)
  const skipped = unfit.map(
    (one) => `${path}: ${posix.join(rule.source, one)} is left out: FAT has files and directories only`,
  )
  return { rule, from, isDirectory, excluded: [...excluded, ...unfit], skipped }
}

/**
 * Where a source is, links followed: they are those of the tree, and lead nowhere else.
 * @throws ERR_DDI_DEFINITION if there is none
 */
async function sourcePath(root: string, source: string, definition: string): Promise<string> {
  try {
    return await resolveInRoot(root, source)
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

async function copyInto(
  stage: string,
  { rule: { target }, from, isDirectory, excluded }: Copy,
  definition: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const to = join(stage, target)
  await refuseLinks(stage, isDirectory ? target : posix.dirname(target), definition)
  await refuseClashes(from, to, excluded, (path) => `${definition}: CopyFiles=: ${posix.join(target, path)}`)
  await mkdir(dirname(to), { recursive: true, mode: 0o755 })
  if (isDirectory || excluded.length === 0) await copyTree(from, to, excluded, signal)
}

/**
 * What is copied later takes the place of files and links that were copied before, and is merged with directories. A directory in the
 * place of anything else would take away what was reached through it, as /lib of a merged /usr; nothing takes that of a directory.
 * @param nameOf a path within the source, for people
 * @throws ERR_DDI_DEFINITION
 */
async function refuseClashes(
  from: string,
  to: string,
  excluded: readonly string[],
  nameOf: (path: string) => string,
): Promise<void> {
  const isExcluded = (path: string) =>
    excluded.some((one) => one === path || path.startsWith(/(^|\/)$/.test(one) ? one : `${one}/`))
  const visit = async (path: string): Promise<void> => {
    if (!(await exists(join(to, path)))) return
    const [later, before] = await Promise.all([lstat(join(from, path)), lstat(join(to, path))])
    if (later.isDirectory() !== before.isDirectory())
      throw new DdiError(
        'ERR_DDI_DEFINITION',
        `${nameOf(path)} is ${kindOf(later)}, and ${kindOf(before)} was copied there before`,
      )
    if (!later.isDirectory()) return
    for (const name of await readdir(join(from, path))) {
      const next = posix.join(path, name)
      if (!isExcluded(next)) await visit(next)
    }
  }
  await visit('')
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory'
  return stats.isSymbolicLink() ? 'a symbolic link' : 'a file'
}

async function makeLink(stage: string, { path, target }: SymbolicLink, definition: string): Promise<void> {
  await refuseLinks(stage, posix.dirname(path), definition)
  await mkdir(join(stage, posix.dirname(path)), { recursive: true, mode: 0o755 })
  if (!(await exists(join(stage, path)))) await symlink(target, join(stage, path))
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

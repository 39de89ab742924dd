import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { exists } from '../bytes/exists.js'
import { flushDirectory, refuseExisting } from '../bytes/new-file.js'
import { DdiError, systemError } from '../errors.js'
import { syncFileSystem } from '../kernel/file-systems.js'
import type { OptionNames } from '../options.js'
import { runTool, type Tool, toolError, toolPath } from '../tool.js'
import type { Batch } from './batches.js'
import { moveUp } from './os-tree.js'
import { throughProcess } from './process.js'
import type { Arrival, Destination } from './receive.js'

export interface TreeTarget {
  readonly kind: 'tar'
  /** The new directory; a subvolume if the file system supports them. */
  readonly path: string
  /** Makes it a read-only subvolume, or else an immutable directory. Default: false. */
  readonly readOnly?: boolean
  /** Replaces an existing directory. Default: false. */
  readonly replace?: boolean
  /** Takes a tree without the attributes, access lists and capabilities that cannot be kept here. Default: false. */
  readonly lossy?: boolean
}
export const treeTargetNames: OptionNames<TreeTarget> = {
  kind: true,
  path: true,
  readOnly: true,
  replace: true,
  lossy: true,
}

/** BTRFS_SUPER_MAGIC of <linux/magic.h>. */
const btrfsMagic = 0x9123683e
const btrfs = (...rest: string[]): Tool => ({ command: ['btrfs', ...rest], package: 'btrfs-progs' })

/** A directory under a temporary name until everything is verified. */
export class TreeDestination implements Destination {
  readonly kind = 'tar'
  readonly readsAgain = false
  readonly #target: TreeTarget
  #tree: string | undefined
  #former: string | undefined
  #isSubvolume = false

  constructor(target: TreeTarget) {
    this.#target = target
  }

  async take(batches: AsyncIterable<Batch>, { partial }: Arrival): Promise<void> {
    const tree = partial!.beside('tree')
    this.#tree = tree
    this.#former = partial!.beside('former')
    // What a killed pull left is not needed: the archive is still here, and is unpacked again.
    await removeTree(tree)
    await this.#make(tree)
    const { seen, passed } = watchKeywords(batches)
    const isFailure = (line: string) => !this.#target.lossy && losesData(line, seen)
    for await (const _ of throughProcess(passed, extraction(tree), { failed: refusal, isFailure }));
    await moveUp(tree)
    if ((await readdir(tree)).length === 0) throw new DdiError('ERR_DDI_PULL_ARCHIVE', 'the archive is empty')
  }

  async #make(tree: string): Promise<void> {
    try {
      this.#isSubvolume = (await statfs(dirname(tree))).type === btrfsMagic && (await hasSubvolumes(tree))
      if (!this.#isSubvolume) await mkdir(tree, 0o755)
    } catch (error) {
      throw systemError(error, `cannot make ${tree}`)
    }
  }

  async finish(): Promise<void> {
    const { path, replace = false, readOnly = false } = this.#target
    const tree = this.#tree!
    if (readOnly) await this.#tryReadOnly(tree)
    await syncFileSystem(tree)
    // A name that only this download uses: nothing of others is removed.
    const former = this.#former!
    if (!replace) await refuseExisting(path)
    const replaces = await exists(path)
    if (replaces) {
      await removeTree(former)
      await moveAway(path, former).catch((error: unknown) => {
        throw systemError(error, `cannot replace ${path}`)
      })
    }
    await rename(tree, path).catch(async (error: unknown) => {
      if (replaces) await restore(former, path)
      throw systemError(error, `cannot rename ${tree} to ${path}`)
    })
    if (readOnly)
      await runTool(this.#readOnly(true, path)).catch(async (error: unknown) => {
        await rename(path, tree)
        if (replaces) await restore(former, path)
        throw error
      })
    await flushDirectory(dirname(path))
    await removeTree(former)
  }

  /** Fails where a tree cannot be made read-only: before it has its final name, which a read-only one cannot get any more. */
  async #tryReadOnly(tree: string): Promise<void> {
    for (const value of [true, false]) await runTool(this.#readOnly(value, tree))
  }

  #readOnly(value: boolean, path: string): Tool {
    return this.#isSubvolume ? readOnly(value, path) : immutable(value ? '+' : '-', path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#tree !== undefined) await removeTree(this.#tree)
  }
}

const immutable = (sign: '+' | '-', path: string): Tool => ({
  command: ['chattr', `${sign}i`, path],
  package: 'e2fsprogs',
})
const readOnly = (value: boolean, path: string) => btrfs('property', 'set', '-ts', path, 'ro', String(value))

/** Undoes what made an earlier tree read-only, if anything did. */
async function makeWritable(path: string): Promise<void> {
  for (const tool of [immutable('-', path), readOnly(false, path)]) await runTool(tool).catch(() => {})
}

async function moveAway(path: string, to: string): Promise<void> {
  await rename(path, to).catch(async () => {
    await makeWritable(path)
    await rename(path, to)
  })
}

async function restore(former: string, path: string): Promise<void> {
  await rename(former, path).catch((error: unknown) => {
    throw systemError(error, `cannot rename ${former} back to ${path}`)
  })
}

async function removeTree(path: string): Promise<void> {
  const remove = () => rm(path, { recursive: true, force: true })
  try {
    await remove().catch(async () => {
      await makeWritable(path)
      await remove()
    })
  } catch (error) {
    throw systemError(error, `cannot remove ${path}`)
  }
}

/** Makes a subvolume. @returns false if the tool for that is not installed */
async function hasSubvolumes(path: string): Promise<boolean> {
  try {
    await runTool(btrfs('subvolume', 'create', path))
    return true
  } catch (error) {
    if (error instanceof DdiError && error.code === 'ERR_DDI_LIBRARY_MISSING') return false
    throw error
  }
}

/**
 * GNU tar, as systemd-pull runs it, in a new directory: members cannot climb out of it by their names, nor by links, which tar
 * makes only after everything else.
 */
function extraction(tree: string): Tool {
  const options = ['--numeric-owner', '--preserve-permissions', '--xattrs', '--xattrs-include=*', '--acls']
  return {
    command: ['tar', '--extract', '--file=-', `--directory=${tree}`, '--ignore-zeros', ...options],
    package: 'tar',
    env: { LC_ALL: 'C.UTF-8', TAR_OPTIONS: '' },
  }
}

/**
 * Refuses another tar, such as busybox’s, which would leave out attributes and take other options: before anything is downloaded.
 * @throws ERR_DDI_LIBRARY_MISSING
 */
export async function requireGnuTar(): Promise<void> {
  const tool: Tool = { command: ['tar', '--version'], package: 'tar' }
  const said = await runTool(tool).catch((error: unknown) => {
    if (error instanceof DdiError && error.code === 'ERR_DDI_TOOL') return error.message
    throw error
  })
  if (!said.includes('GNU tar'))
    throw new DdiError(
      'ERR_DDI_LIBRARY_MISSING',
      `${await toolPath(tool)} is not GNU tar, which trees are unpacked by: install tar`,
    )
}

/** The beginnings of the keywords of extended headers for what a file system may be unable to keep. */
const keywords = { accessList: 'SCHILY.acl.', attribute: 'SCHILY.xattr.' } as const
type Keyword = keyof typeof keywords

/** The same bytes; which keywords they have had so far. Content of a file may be taken for one. */
function watchKeywords(batches: AsyncIterable<Batch>): {
  readonly seen: ReadonlySet<Keyword>
  readonly passed: AsyncIterable<Batch>
} {
  const seen = new Set<Keyword>()
  const longest = Math.max(...Object.values(keywords).map((text) => text.length)) - 1
  const look = (bytes: Buffer) => {
    for (const name of ['accessList', 'attribute'] as const) if (bytes.includes(keywords[name])) seen.add(name)
  }
  const passed = async function* () {
    // A keyword may be cut in two.
    let before = Buffer.alloc(0)
    for await (const batch of batches) {
      for (const chunk of batch) {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        look(bytes)
        const joint = Buffer.concat([before, bytes.subarray(0, longest)])
        look(joint)
        before = Buffer.from((bytes.length < longest ? joint : bytes).subarray(-longest))
      }
      yield batch
    }
  }
  return { seen, passed: passed() }
}

/** What GNU tar says, and goes on, of things that change nothing of a tree. */
const harmless = [
  'in the future',
  'implausibly old time stamp',
  'Removing leading',
  'A lone zero block',
  "Substituting `.' for empty",
]

/**
 * Whether a line of GNU tar’s, which goes on then, says that something of the archive is lost.
 * @param seen the keywords that the archive has had so far
 */
function losesData(line: string, seen: ReadonlySet<Keyword>): boolean {
  if (harmless.some((text) => line.includes(text))) return false
  // Where a file system has none, tar says so for each file.
  if (line.includes('POSIX ACLs')) return seen.has('accessList')
  const [, unknown] = /keyword '([^']*)'/.exec(line) ?? []
  // bsdtar writes attributes under two names, of which tar knows one.
  if (unknown !== undefined) return unknown.startsWith('LIBARCHIVE.xattr.') && !seen.has('attribute')
  return true
}

function refusal(said: string): DdiError {
  return toolError('the archive cannot be unpacked completely', said, { code: 'ERR_DDI_PULL_ARCHIVE' })
}

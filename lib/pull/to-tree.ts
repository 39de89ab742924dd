import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { exists, flushDirectory, refuseExisting } from '../bytes/new-file.js'
import { DdiError, systemError } from '../errors.js'
import type { OptionNames } from '../options.js'
import { runTool, type Tool } from '../tool.js'
import type { Batch } from './batches.js'
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
}
export const treeTargetNames: OptionNames<TreeTarget> = { kind: true, path: true, readOnly: true, replace: true }

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
    for await (const _ of throughProcess(batches, extraction(tree), refusal));
    if ((await readdir(tree)).length === 0) throw new DdiError('ERR_DDI_PULL_ARCHIVE', 'the archive is empty')
  }

  async #make(tree: string): Promise<void> {
    try {
      this.#isSubvolume = (await statfs(dirname(tree))).type === btrfsMagic && (await hasSubvolumes(tree))
      if (!this.#isSubvolume) await mkdir(tree, 0o755)
    } catch (error) {
      throw systemError(error, `cannot make ${tree}`, { ENOSPC: 'ERR_DDI_NO_SPACE', EDQUOT: 'ERR_DDI_NO_SPACE' })
    }
  }

  async finish(): Promise<void> {
    const { path, replace = false } = this.#target
    const tree = this.#tree!
    await runTool({ command: ['sync', '--file-system', tree], package: 'coreutils' })
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
    await flushDirectory(dirname(path))
    await removeTree(former)
    if (!this.#target.readOnly) return
    await runTool(this.#isSubvolume ? readOnly(true, path) : immutable('+', path))
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

function refusal(said: string): DdiError {
  const isFull = /No space left|quota exceeded|Wrote only/i.test(said)
  return new DdiError(
    isFull ? 'ERR_DDI_NO_SPACE' : 'ERR_DDI_PULL_ARCHIVE',
    isFull ? `no space left for the tree: ${said}` : `the archive cannot be unpacked completely: ${said}`,
  )
}

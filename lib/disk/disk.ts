import { copy } from '../bytes/copy.js'
import { extentSource, extentTarget, linear, sliceExtents, totalLength } from '../bytes/extents.js'
import type { LinearExtent, Run, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { freeRuns } from '../gpt/allocate.js'
import { commitGpt } from '../gpt/commit.js'
import { describeProblem, readGpt } from '../gpt/read.js'
import type { Copy, Gpt, GptProblem } from '../gpt/table.js'
import {
  type Change,
  compactVolume,
  createVolume,
  findVolume,
  growVolume,
  nameVolume,
  reclaimOrphans,
  removeVolume,
  renameVolume,
  shrinkVolume,
  spaceForVolume,
} from './change.js'
import { claimedSize } from './claimed-size.js'
import { findChains, type Orphan, tableVolumes, type VolumeHead } from './extension.js'
import { requireWhole, type Volume, type WholeVolume } from './volume.js'

export interface CreateOptions {
  /** What the volume begins with; flushed before the table names the volume. At most `size` bytes. */
  readonly from?: Source
  /** Where segments may start, in bytes. Default: 1 MiB. */
  readonly alignment?: number
  readonly signal?: AbortSignal
}

/**
 * A disk whose volumes change. Each change is one all-or-nothing write of its table: data before the table that names
 * it, the table before what it gave up is used again.
 */
export interface Disk extends DiskContents, AsyncDisposable {
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** The volume of a UUID, or of a label that only one has. @throws ERR_DDI_NO_VOLUME */
  find(name: string): WholeVolume<LinearExtent>
  /** @throws ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
  create(head: VolumeHead, size: number, options?: CreateOptions): Promise<WholeVolume<LinearExtent>>
  /**
   * Free space to be written before anything names it: the disk is as it was until then, and stays so if nothing ever does.
   * @param size of the volume that will be, in bytes. Default: unknown, and all free space is there to be written
   * @throws ERR_DDI_NO_SPACE
   */
  unnamed(size?: number): UnnamedVolume
  /** Appends `by` bytes; devices of ours that offer the volume grow with it. @throws ERR_DDI_NO_VOLUME, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL */
  grow(name: string, by: number): Promise<WholeVolume<LinearExtent>>
  /** Cuts `by` bytes off the end. @throws ERR_DDI_NO_VOLUME, ERR_DDI_SHRINK_REFUSED unless forced */
  shrink(name: string, by: number, options?: { readonly force?: boolean }): Promise<WholeVolume<LinearExtent>>
  /** @throws ERR_DDI_NO_VOLUME */
  remove(name: string): Promise<void>
  /** Changes label, UUID or type. @throws ERR_DDI_NO_VOLUME, ERR_DDI_VOLUME_EXISTS */
  rename(name: string, head: Partial<VolumeHead>): Promise<WholeVolume<LinearExtent>>
  /** Copies volumes to where they have fewer segments, while that helps. @returns the volumes that moved */
  defragment(options?: { readonly signal?: AbortSignal }): Promise<readonly WholeVolume<LinearExtent>[]>
  /** What is wrong with the table, for people. `repair` rewrites both copies and frees orphans. */
  check(options?: { readonly repair?: boolean }): Promise<readonly string[]>
  close(): Promise<void>
}

/** Space that may become a volume. */
export interface UnnamedVolume extends Target {
  /** What a volume of its first `size` bytes would be. @throws ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
  preview(head: VolumeHead, size: number): WholeVolume<LinearExtent>
  /** Flushes what was written, and names it. @throws as `preview` */
  name(head: VolumeHead, size: number): Promise<WholeVolume<LinearExtent>>
}

/** What a disk's table says. */
export interface DiskContents {
  readonly volumes: readonly Volume<LinearExtent>[]
  /** In runs that start on multiples of 1 MiB. */
  readonly free: readonly Run[]
  readonly orphans: readonly Orphan[]
}

/**
 * Reads what a disk's own table says; what is nested in its volumes is no part of it.
 * @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes
 */
export async function readDisk(source: Source): Promise<DiskContents> {
  const { table } = await readGpt(source)
  return { ...tableVolumes(table), free: freeRuns(table) }
}

/** Who else stands on a disk while it changes: `lib/attach/disk.ts` knows, for what is attached. */
export interface DiskUsers {
  /** @throws ERR_DDI_BUSY where something uses any of these bytes */
  refuseUsed(extents: readonly Run[]): Promise<void>
  /** Lets the users of a volume see that it has grown. */
  grown(volume: WholeVolume<LinearExtent>): Promise<void>
  /** Told of each new table, when it is on the disk. */
  changed(): Promise<void>
}

const nobody: DiskUsers = { refuseUsed: async () => {}, grown: async () => {}, changed: async () => {} }

/**
 * The volumes of a disk, to be changed.
 * @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes
 */
export async function diskOn(
  target: Target,
  path: string,
  { users = nobody, close = async () => {} }: { readonly users?: DiskUsers; readonly close?: () => Promise<void> } = {},
): Promise<Disk> {
  const { table, copy, problems } = await readGpt(target)
  return new OpenDisk(target, path, table, copy, problems, users, close)
}

class OpenDisk implements Disk {
  #table: Gpt
  #copy: Copy
  #problems: readonly GptProblem[]
  readonly #target: Target
  readonly #users: DiskUsers

  constructor(
    target: Target,
    readonly path: string,
    table: Gpt,
    copy: Copy,
    problems: readonly GptProblem[],
    users: DiskUsers,
    readonly close: () => Promise<void>,
  ) {
    this.#target = target
    this.#table = table
    this.#copy = copy
    this.#problems = problems
    this.#users = users
  }

  get size(): number {
    return this.#target.size
  }

  get volumes(): readonly Volume<LinearExtent>[] {
    return tableVolumes(this.#table).volumes
  }

  get free(): readonly Run[] {
    return freeRuns(this.#table)
  }

  get orphans(): readonly Orphan[] {
    return tableVolumes(this.#table).orphans
  }

  find(name: string): WholeVolume<LinearExtent> {
    const { uuid } = findVolume(this.#table, name).segments[0]
    return requireWhole(this.volumes.find((volume) => volume.uuid === uuid)!)
  }

  async create(head: VolumeHead, size: number, options: CreateOptions = {}): Promise<WholeVolume<LinearExtent>> {
    const { from, alignment, signal } = options
    if (from && from.size > size)
      throw new DdiError('ERR_DDI_USAGE', `the volume would have ${size} bytes, and what goes into it has ${from.size}`)
    const change = createVolume(this.#table, head, size, alignment)
    if (from) await this.#copyInto(change.extents, from, signal)
    return await this.#commit(change, head.uuid)
  }

  unnamed(size?: number): UnnamedVolume {
    const table = this.#table
    const space = spaceForVolume(table, size)
    const target = extentTarget(this.#target, linear(space))
    const named = (head: VolumeHead, length: number) => nameVolume(table, head, space, length)
    return {
      ...target,
      preview: (head, length) =>
        requireWhole(tableVolumes(named(head, length).table).volumes.find((volume) => volume.uuid === head.uuid)!),
      name: async (head, length) => {
        const change = named(head, length)
        await target.flush()
        return await this.#commit(change, head.uuid)
      },
    }
  }

  async grow(name: string, by: number): Promise<WholeVolume<LinearExtent>> {
    const { uuid } = findVolume(this.#table, name).segments[0]
    const volume = await this.#commit(growVolume(this.#table, name, by), uuid)
    await this.#users.grown(volume)
    return volume
  }

  async shrink(
    name: string,
    by: number,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<WholeVolume<LinearExtent>> {
    const { segments } = findVolume(this.#table, name)
    const change = shrinkVolume(this.#table, name, by)
    await this.#users.refuseUsed(segments)
    const claimed = force ? 0 : await claimedSize(extentSource(this.#target, linear(segments)))
    const left = totalLength(change.extents)
    if (left < claimed)
      throw new DdiError(
        'ERR_DDI_SHRINK_REFUSED',
        `${name} would have ${left} bytes, and what is in it claims ${claimed}: shrink that first, or force it`,
      )
    return await this.#commit(change, segments[0].uuid)
  }

  async remove(name: string): Promise<void> {
    await this.#users.refuseUsed(findVolume(this.#table, name).segments)
    await this.#replace(removeVolume(this.#table, name).table)
  }

  async rename(name: string, head: Partial<VolumeHead>): Promise<WholeVolume<LinearExtent>> {
    const { uuid } = findVolume(this.#table, name).segments[0]
    return await this.#commit(renameVolume(this.#table, name, head), head.uuid ?? uuid)
  }

  async defragment({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly WholeVolume<LinearExtent>[]> {
    const moved: WholeVolume<LinearExtent>[] = []
    for (const { segments, defect } of findChains(this.#table).chains) {
      if (defect) continue
      const { uuid } = segments[0]
      let volume: WholeVolume<LinearExtent> | undefined
      for (let from = segments as readonly Run[]; ; from = volume.extents) {
        const change = compactVolume(this.#table, uuid)
        if (!change) break
        await this.#users.refuseUsed(from)
        // The new place is free by the table that counts until the commit: a power cut leaves the volume where it was.
        await this.#move(from, change.extents, signal)
        volume = await this.#commit(change, uuid)
      }
      if (volume) moved.push(volume)
    }
    return moved
  }

  async check({ repair = false }: { readonly repair?: boolean } = {}): Promise<readonly string[]> {
    const { chains, orphans } = findChains(this.#table)
    const findings = [
      ...this.#problems.map(describeProblem),
      ...chains.flatMap(({ defect }) => (defect ? [defect.message] : [])),
      ...orphans.map(({ number, uuid }) => `partition ${number}: extension ${uuid} belongs to no volume`),
    ]
    if (repair && findings.length > 0) await this.#replace(reclaimOrphans(this.#table))
    return findings
  }

  async #copyInto(extents: readonly Run[], from: Source, signal?: AbortSignal): Promise<void> {
    await copy(from, extentTarget(this.#target, linear(extents)), signal ? { signal } : {})
  }

  /** Copies what lies elsewhere in `to` than in `from`, two lists of extents of one length. */
  async #move(from: readonly Run[], to: readonly Run[], signal?: AbortSignal): Promise<void> {
    let offset = 0
    for (const extent of from) {
      const shift = extent.start - offset
      for (const { start, length } of sliceExtents(linear(to), offset, extent.length)) {
        const source = { start: offset + shift, length }
        if (start !== source.start)
          await this.#copyInto([{ start, length }], extentSource(this.#target, linear([source])), signal)
        offset += length
      }
    }
  }

  async #commit(change: Change, uuid: string): Promise<WholeVolume<LinearExtent>> {
    await this.#replace(change.table)
    return this.find(uuid)
  }

  async #replace(next: Gpt): Promise<void> {
    await commitGpt(this.#target, { table: this.#table, copy: this.#copy }, next)
    const { table, copy, problems } = await readGpt(this.#target)
    this.#table = table
    this.#copy = copy
    this.#problems = problems
    await this.#users.changed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

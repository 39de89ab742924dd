import {
  addPartition,
  findPartition,
  freeSuperRuns,
  type NewPartition,
  removePartition,
  resizePartition,
} from '../android/change.js'
import type { LogicalPartition, Metadata } from '../android/metadata.js'
import { commitSuper, isSuper, readSuper, type SuperSlot } from '../android/super.js'
import { copy } from '../bytes/copy.js'
import { composeExtents, extentSource, extentTarget, linear, totalLength } from '../bytes/extents.js'
import type { Extent, LinearExtent, Run, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { claimedSize } from './claimed-size.js'
import { type DiskUsers, readDisk } from './disk.js'
import { joinBases } from './logical.js'
import { findByName, requireWhole, type WholeVolume } from './volume.js'

/**
 * A slot of an Android super partition whose logical partitions change. Each change is one all-or-nothing write of the
 * slot's metadata: data before the metadata that names it.
 */
export interface Super extends AsyncDisposable {
  readonly path: string
  readonly slot: number
  /** As it is stored: what a slot's suffix is for has none. */
  readonly metadata: Metadata
  /** What neither this slot nor another one uses. */
  readonly free: readonly (Run & { readonly base: number })[]
  /**
   * @param options `from`: what the partition begins with, at most its size; flushed before the metadata names it
   * @throws ERR_DDI_VOLUME_EXISTS, ERR_DDI_NO_VOLUME for the group, ERR_DDI_NO_SPACE, ERR_DDI_SUPER_GROUP, ERR_DDI_TABLE_FULL
   */
  add(
    partition: NewPartition,
    options?: { readonly from?: Source; readonly signal?: AbortSignal },
  ): Promise<LogicalPartition>
  /**
   * @param size in bytes, rounded up to logical blocks
   * @param options `force`: cut even what the file system in it claims
   * @throws ERR_DDI_NO_VOLUME, ERR_DDI_NO_SPACE, ERR_DDI_SUPER_GROUP, ERR_DDI_SHRINK_REFUSED, ERR_DDI_BUSY
   */
  resize(name: string, size: number, options?: { readonly force?: boolean }): Promise<LogicalPartition>
  /** @throws ERR_DDI_NO_VOLUME, ERR_DDI_BUSY */
  remove(name: string): Promise<void>
  close(): Promise<void>
}

export interface SuperOptions {
  readonly slot?: number
  /** Where the super partition lies on the target. Default: all of it. */
  readonly extents?: readonly LinearExtent[]
  readonly users?: Pick<DiskUsers, 'refuseUsed'>
  readonly close?: () => Promise<void>
}

/**
 * Where a super partition lies: it is all of a disk, or a volume of its GPT.
 * @param name label or UUID of the volume. Default: all of the disk, or the only volume that is a super partition
 * @throws ERR_DDI_NO_VOLUME, the defect of the volume, ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes
 */
export async function findSuper(disk: Source, path: string, name?: string): Promise<readonly LinearExtent[]> {
  if (name === undefined && (await isSuper(disk))) return linear([{ start: 0, length: disk.size }])
  const { volumes } = await readDisk(disk)
  if (name !== undefined) {
    return requireWhole(findByName(volumes, name, path)).extents
  }
  const found: WholeVolume<LinearExtent>[] = []
  for (const one of volumes)
    if (one.state === 'whole' && (await isSuper(extentSource(disk, one.extents)))) found.push(one)
  const [only, second] = found
  if (!only || second)
    throw new DdiError(
      'ERR_DDI_NO_VOLUME',
      `${path} has ${found.length} super partitions among its volumes: say which with --volume`,
    )
  return only.extents
}

/**
 * The logical partitions of a super partition, to be changed.
 * @param disk what the super partition is, or lies on
 * @throws as `readSuper`, and ERR_DDI_SUPER_DEVICE where it has further devices: these are read, and not changed
 */
export async function superOn(disk: Target, path: string, options: SuperOptions = {}): Promise<Super> {
  const { slot = 0, extents = linear([{ start: 0, length: disk.size }]), users, close = async () => {} } = options
  const target = extentTarget(disk, extents)
  const current = await readSuper(target, slot)
  const [first, other] = current.metadata.devices
  if (other)
    throw new DdiError(
      'ERR_DDI_SUPER_DEVICE',
      `${path} is one of ${current.metadata.devices.length} devices of a super partition, which can be read, but not changed`,
    )
  if (target.size < first.size)
    throw new DdiError(
      'ERR_DDI_SUPER_DEVICE',
      `${path} has ${target.size} bytes, and the metadata says that ${first.name} has ${first.size}`,
    )
  return new OpenSuper(target, path, current, await otherSlots(target, current), extents, users, close)
}

class OpenSuper implements Super {
  #current: SuperSlot
  /** What other slots use, which is theirs. */
  readonly #foreign: readonly LogicalPartition[]
  readonly #target: Target
  readonly #extents: readonly LinearExtent[]
  readonly #users: SuperOptions['users']

  constructor(
    target: Target,
    readonly path: string,
    current: SuperSlot,
    foreign: readonly LogicalPartition[],
    extents: readonly LinearExtent[],
    users: SuperOptions['users'],
    readonly close: () => Promise<void>,
  ) {
    this.#target = target
    this.#current = current
    this.#foreign = foreign
    this.#extents = extents
    this.#users = users
  }

  get slot(): number {
    return this.#current.slot
  }

  get metadata(): Metadata {
    return this.#current.metadata
  }

  get free(): readonly (Run & { readonly base: number })[] {
    return freeSuperRuns(this.#guarded(), this.#current.geometry)
  }

  async add(
    partition: NewPartition,
    { from, signal }: { from?: Source; signal?: AbortSignal } = {},
  ): Promise<LogicalPartition> {
    const size = Math.max(partition.size, 0)
    if (from && from.size > size)
      throw new DdiError(
        'ERR_DDI_USAGE',
        `the partition would have ${size} bytes, and what goes into it has ${from.size}`,
      )
    const next = this.#change((metadata) => addPartition(metadata, this.#current.geometry, partition))
    const added = findPartition(next, partition.name)
    if (from) await copy(from, extentTarget(this.#target, stored(added.extents)), signal ? { signal } : {})
    return await this.#commit(next, partition.name)
  }

  async resize(name: string, size: number, { force = false }: { force?: boolean } = {}): Promise<LogicalPartition> {
    const { extents } = findPartition(this.metadata, name)
    const next = this.#change((metadata) => resizePartition(metadata, this.#current.geometry, name, size))
    await this.#refuseUsed(extents)
    const left = totalLength(findPartition(next, name).extents)
    if (left < totalLength(extents) && !force) {
      const claimed = await claimedSize(extentSource(this.#target, joinBases(extents, [this.#target.size])))
      if (left < claimed)
        throw new DdiError(
          'ERR_DDI_SHRINK_REFUSED',
          `${name} would have ${left} bytes, and what is in it claims ${claimed}: shrink that first, or force it`,
        )
    }
    return await this.#commit(next, name)
  }

  async remove(name: string): Promise<void> {
    const { extents } = findPartition(this.metadata, name)
    const next = removePartition(this.metadata, name)
    await this.#refuseUsed(extents)
    await this.#write(next)
  }

  async #refuseUsed(extents: LogicalPartition['extents']): Promise<void> {
    const composed = composeExtents(this.#extents, joinBases(extents, [this.#target.size]))
    await this.#users?.refuseUsed(stored(composed))
  }

  /** The metadata with what other slots use, so that nothing is put there. */
  #guarded(): Metadata {
    return { ...this.metadata, partitions: [...this.metadata.partitions, ...this.#foreign] }
  }

  #change(how: (metadata: Metadata) => Metadata): Metadata {
    const { partitions, ...rest } = how(this.#guarded())
    return { ...rest, partitions: partitions.filter((one) => !this.#foreign.includes(one)) }
  }

  async #commit(next: Metadata, name: string): Promise<LogicalPartition> {
    await this.#write(next)
    return findPartition(this.metadata, name)
  }

  async #write(next: Metadata): Promise<void> {
    await commitSuper(this.#target, this.#current, next)
    this.#current = await readSuper(this.#target, this.slot)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** The extents that lie somewhere. */
function stored(extents: readonly Extent[]): readonly LinearExtent[] {
  return extents.flatMap((extent) => (extent.kind === 'linear' ? [extent] : []))
}

async function otherSlots(target: Target, { geometry, slot }: SuperSlot): Promise<readonly LogicalPartition[]> {
  const found: LogicalPartition[] = []
  for (let other = 0; other < geometry.slotCount; other++) {
    if (other === slot) continue
    const read = await readSuper(target, other).catch((error: unknown) => {
      // A slot that nobody has written yet uses nothing.
      if (error instanceof DdiError && error.kind === 'image') return undefined
      throw error
    })
    // Under names that no partition can have.
    for (const partition of read?.metadata.partitions ?? [])
      found.push({ ...partition, name: `${partition.name} of slot ${other}` })
  }
  return found
}

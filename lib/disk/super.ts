import { isDeepStrictEqual } from 'node:util'
import {
  addPartition,
  findPartition,
  freeSuperRuns,
  removePartition,
  renamePartition,
  resizePartition,
} from '../android/change.js'
import { resizeGroup } from '../android/groups.js'
import { type LogicalPartition, type Metadata, type PartitionAttributes, slotSuffix } from '../android/metadata.js'
import { commitSuper, readSuper, type SuperSlot } from '../android/super.js'
import { composeExtents, extentSource, extentTarget, linear } from '../bytes/extents.js'
import type { Extent, LinearExtent, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { readDisk } from './contents.js'
import { type FoundDevice, logicalVolumes } from './logical.js'
import { probe } from './probe.js'
import { holdsSuper } from './scan.js'
import {
  type Change,
  createOptionNames,
  noUsers,
  OpenTable,
  stored,
  type TableFormat,
  type TableUsers,
  type VolumeTable,
} from './table.js'
import { findByName, requireWhole, type WholeVolume } from './volume.js'

/** What names a logical partition. */
export interface LogicalHead {
  /** The name, as it is stored: if a slot's suffix belongs to it, without. At most 36 of A-Z a-z 0-9 _ . + - */
  readonly label: string
  /** Default: `default`. */
  readonly group?: string
  readonly attributes?: Partial<PartitionAttributes>
}

/**
 * A slot of an Android super partition, whose logical partitions change. Their extents, and the free space, are of the
 * super partition; sizes are rounded up to its logical blocks, and 0 is one. Changes throw ERR_DDI_SUPER_GROUP if a group
 * would have more than it may, and ERR_DDI_NO_VOLUME for an unknown one. A partition in use does not grow.
 */
export interface Super extends VolumeTable<LogicalHead> {
  readonly format: 'super'
  /** The first one that changes. */
  readonly slot: number
  /** As it is stored, without the suffix of the slot. */
  readonly metadata: Metadata
  /**
   * Gives a group another limit.
   * @param maximumSize in bytes; 0: none
   * @throws ERR_DDI_SUPER_GROUP if its partitions take more already, ERR_DDI_USAGE for the group `default`
   */
  resizeGroup(name: string, maximumSize: number): Promise<void>
}

export interface SuperOptions {
  /** Which slots change: one, from 0, or all, which have to be the same. Default: 0. */
  readonly slot?: number | 'all'
  /** Where the super partition lies on the target. Default: all of it. */
  readonly extents?: readonly LinearExtent[]
  readonly users?: TableUsers
  /** Writes nothing but metadata: for a target that keeps them to itself. Default: false. */
  readonly dryRun?: boolean
  /** Called for each new metadata, when it is on the target. */
  readonly changed?: () => Promise<void>
  readonly close?: () => Promise<void>
}

/**
 * Where a super partition lies: it is all of a disk, or a volume of its GPT.
 * @param name label or UUID of the volume. Default: all of the disk, or the only volume that is a super partition
 * @throws ERR_DDI_NO_VOLUME, the defect of the volume, ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes
 */
export async function findSuper(disk: Source, path: string, name?: string): Promise<readonly LinearExtent[]> {
  if (name === undefined && (await holdsSuper(disk))) return linear([{ start: 0, length: disk.size }])
  const { volumes } = await readDisk(disk)
  if (name !== undefined) return requireWhole(findByName(volumes, name, path)).extents
  const found: WholeVolume<LinearExtent>[] = []
  for (const one of volumes)
    if (one.state === 'whole' && (await holdsSuper(extentSource(disk, one.extents)))) found.push(one)
  const [only, second] = found
  if (!only) throw new DdiError('ERR_DDI_NO_VOLUME', `${path} is no super partition, and has none among its volumes`)
  if (second)
    throw new DdiError(
      'ERR_DDI_NO_VOLUME',
      `${path} has ${found.length} super partitions among its volumes: say which one by its label or UUID`,
    )
  return only.extents
}

/**
 * The logical partitions of a super partition, to be changed.
 * @param disk what the super partition is, or lies on
 * @throws as `readSuper`, ERR_DDI_SUPER_SLOT if all slots are to change and differ, and ERR_DDI_SUPER_DEVICE if it has further devices:
 *   these can be read, but not changed
 */
export async function superOn(disk: Target, path: string, options: SuperOptions = {}): Promise<Super> {
  const { slot = 0, extents = linear([{ start: 0, length: disk.size }]) } = options
  const { changed = async () => {}, dryRun = false, close = async () => {} } = options
  const target = extentTarget(disk, extents)
  const current = await readSlots(target, slot)
  const since = await probe(target, path)
  if (since)
    throw new DdiError(
      'ERR_DDI_SUPER_GEOMETRY',
      `${path} holds ${since.type} by now: the super partition is a leftover of an earlier use`,
    )
  const { devices } = current.metadata
  const [, other] = devices
  if (other)
    throw new DdiError(
      'ERR_DDI_SUPER_DEVICE',
      `${path} is one of ${devices.length} devices of a super partition, which can be read, but not changed`,
    )
  // What offers logical partitions does not grow with them, and the disk's own table stays as it is.
  const users = { refuseUsed: refuseUsedWithin(extents, options.users ?? noUsers), changed }
  return new OpenSuper(liblp(slot, { path, size: target.size }), { target, path, users, dryRun, close }, current)
}

/** Refuses runs of a super partition that lie where users of its disk need them. */
function refuseUsedWithin(extents: readonly LinearExtent[], users: TableUsers): TableUsers['refuseUsed'] {
  return (runs) => users.refuseUsed(stored(composeExtents(extents, linear(runs))))
}

/** A slot that changes, beside all others. */
interface SuperTable extends SuperSlot {
  /** Other slots that become what this one becomes. */
  readonly twins: readonly SuperSlot[]
  /** What slots use that stay as they are, under names that no partition can have: nothing is put there. */
  readonly foreign: readonly LogicalPartition[]
}

async function readSlots(target: Target, slot: number | 'all'): Promise<SuperTable> {
  if (slot !== 'all') {
    const read = await readSuper(target, slot)
    return { ...read, twins: [], foreign: await otherSlots(target, read) }
  }
  const first = await readSuper(target, 0)
  const twins: SuperSlot[] = []
  for (let other = 1; other < first.geometry.slotCount; other++) twins.push(await readSuper(target, other))
  const odd = twins.find(({ metadata }) => !isDeepStrictEqual(metadata, first.metadata))
  if (odd)
    throw new DdiError(
      'ERR_DDI_SUPER_SLOT',
      `slots a and ${slotSuffix(odd.slot).slice(1)} differ, and cannot be changed at once: change each by itself`,
    )
  return { ...first, twins, foreign: [] }
}

async function commitSlots(target: Target, current: SuperTable, next: Metadata): Promise<void> {
  for (const slot of [current, ...current.twins]) await commitSuper(target, slot, next)
}

/** The tables of one slot, or of all. */
function liblp(slot: number | 'all', device: FoundDevice): TableFormat<SuperTable, LogicalHead, Extent> {
  const guarded = ({ metadata, foreign }: SuperTable): Metadata => ({
    ...metadata,
    partitions: [...metadata.partitions, ...foreign],
  })
  const unguarded = (read: SuperTable, { partitions, ...rest }: Metadata): SuperTable => ({
    ...read,
    metadata: { ...rest, partitions: partitions.filter((one) => !read.foreign.includes(one)) },
  })
  const volumes = ({ metadata }: SuperTable) => logicalVolumes(metadata, [device])
  const changed = (read: SuperTable, metadata: Metadata, name: string): Change<SuperTable, Extent> => {
    const next = unguarded(read, metadata)
    return { next, volume: volumes(next).find(({ label }) => label === name)! }
  }
  const partitionOf = ({ metadata }: SuperTable, { label }: WholeVolume) => findPartition(metadata, `${label}`)
  return {
    where: 'the super partition',
    headNames: { label: true, group: true, attributes: true },
    createOptionNames,
    read: (target) => readSlots(target, slot),
    commit: (target, current, { metadata }) => commitSlots(target, current, metadata),
    volumes,
    free: (read) => freeSuperRuns(guarded(read), read.geometry).map(({ start, length }) => ({ start, length })),
    unit: ({ geometry }) => geometry.blockSize,
    create: (read, { label: name, ...head }, size) =>
      changed(read, addPartition(guarded(read), read.geometry, { ...head, name, size }), name),
    resize: (read, volume, size) => {
      const partition = partitionOf(read, volume)
      return changed(read, resizePartition(guarded(read), read.geometry, partition, size), partition.name)
    },
    rename: (read, volume, { label, ...head }) => {
      const partition = partitionOf(read, volume)
      const name = label ?? partition.name
      return changed(read, renamePartition(guarded(read), partition, { ...head, name }), name)
    },
    remove: (read, volume) => unguarded(read, removePartition(guarded(read), partitionOf(read, volume))),
    findings: ({ problems, twins }) =>
      [...problems, ...twins.flatMap((one) => one.problems)].map(({ message }) => message),
    repaired: (read) => read,
  }
}

class OpenSuper extends OpenTable<SuperTable, LogicalHead, Extent> implements Super {
  readonly format = 'super'

  get slot(): number {
    return this.read.slot
  }

  get metadata(): Metadata {
    return this.read.metadata
  }

  async resizeGroup(name: string, maximumSize: number): Promise<void> {
    await this.inTurn(async () => {
      await this.replace({ ...this.read, metadata: resizeGroup(this.read.metadata, name, maximumSize) })
    })
  }
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
    for (const partition of read?.metadata.partitions ?? [])
      found.push({ ...partition, name: `${partition.name} of slot ${other}` })
  }
  return found
}

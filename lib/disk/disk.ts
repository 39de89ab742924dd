import { isDeepStrictEqual } from 'node:util'
import { copy } from '../bytes/copy.js'
import { extentSource, extentTarget, linear, sliceExtents, totalLength } from '../bytes/extents.js'
import { guardTarget } from '../bytes/guard.js'
import type { LinearExtent, Run, Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { commitGpt, movesBackup, repairedMbr } from '../gpt/commit.js'
import { describeProblem } from '../gpt/read.js'
import type { Gpt, Partition, StoredGpt } from '../gpt/table.js'
import { checkOptions, type OptionNames } from '../options.js'
import { nilUuid } from '../uuid.js'
import { type Progress, type Work, workNames } from '../work.js'
import { freeRuns, segmentUnit } from './allocation.js'
import { type Chain, extensionTypeUuid, findChains, type VolumeHead } from './chain.js'
import {
  type ChainChange,
  compactChain,
  createChain,
  nameSpace,
  type Room,
  reclaimOrphans,
  removeChain,
  renameChain,
  resizeChain,
  roomIn,
  separateHead,
  spaceForVolume,
} from './change.js'
import { type DiskContents, readTable } from './contents.js'
import { chainVolume, type Orphan, tableVolumes } from './partition.js'
import { probe } from './probe.js'
import {
  type Change,
  type CreateOptions,
  createOptionNames,
  type NameOptions,
  noUsers,
  OpenTable,
  type TableFormat,
  type TableUsers,
  type VolumeTable,
} from './table.js'
import { type BrokenVolume, requireWhole, type Volume, type WholeVolume } from './volume.js'

/** A disk whose GPT has volumes that change. */
export interface Disk extends VolumeTable<VolumeHead, LinearExtent>, DiskContents {
  readonly format: 'gpt'
  create(head: VolumeHead, size: number, options?: DiskCreateOptions): Promise<WholeVolume<LinearExtent>>
  /**
   * Free space to be written before anything names it: the disk is unchanged until then, and stays so if nothing ever does.
   * @param size of the future volume, in bytes. Default: unknown, so that all free space can be written
   * @throws ERR_DDI_NO_SPACE
   */
  unnamed(size?: number): UnnamedVolume
  /** What there is for further volumes, or would be without some. @throws ERR_DDI_NO_VOLUME */
  room(without?: readonly WholeVolume[]): Room
  /** Whether something attached uses a volume. */
  isUsed(volume: WholeVolume): Promise<boolean>
  /** Changes what names several volumes, in one write of the table. @throws as `rename` */
  renameAll(heads: ReadonlyMap<WholeVolume, Partial<VolumeHead>>): Promise<void>
  /** Removes several volumes, in one write of the table. @throws as `remove` */
  removeAll(volumes: readonly WholeVolume[]): Promise<void>
  /** By partitions instead of volumes. */
  readonly table: Gpt
  /**
   * Replaces the table, in one write, by one with further partitions, or without some; those that stay may be longer. What lies
   * where no partition is now can be written before.
   * @param fill writes it
   * @throws ERR_DDI_BUSY if something uses what is gone, ERR_DDI_USAGE for a table that moves or cuts a partition, and what `fill` throws
   */
  repartition(next: Gpt, fill?: (free: FreeRuns) => Promise<void>): Promise<void>
  /** Removes what was found of a broken volume. @throws ERR_DDI_BUSY, ERR_DDI_NO_VOLUME */
  discard(volume: BrokenVolume): Promise<void>
  /**
   * Gives a head that would share extensions with another one a UUID of its own. They are the other's then, which may be whole by
   * that; this one stays broken.
   * @throws ERR_DDI_VOLUME_EXISTS, ERR_DDI_BUSY, ERR_DDI_NO_VOLUME, and the defect of a volume that is broken for another reason
   */
  separate(volume: BrokenVolume, uuid: string): Promise<BrokenVolume>
  /**
   * Copies volumes to where they have fewer segments, as long as that helps.
   * @param work progress counts the bytes of a volume, its part, from the start again each time that it moves
   * @returns the volumes that moved
   * @throws ERR_DDI_BUSY, ERR_DDI_ABORTED
   */
  defragment(work?: Work): Promise<readonly WholeVolume<LinearExtent>[]>
}

/** Runs of a disk that no partition has, to be written. @throws ERR_DDI_USAGE for others */
export type FreeRuns = (runs: readonly Run[]) => Target

/** Options of {@link Disk.create}. */
export interface DiskCreateOptions extends CreateOptions {
  /** What the starts of segments are multiples of, in bytes. Default: 1 MiB. */
  readonly alignment?: number
}

const diskCreateOptionNames: OptionNames<DiskCreateOptions> = { ...createOptionNames, alignment: true }

/** Space that may become a volume. */
export interface UnnamedVolume extends Target {
  /** The volume that its first `size` bytes would be. @throws ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
  preview(head: VolumeHead, size: number): WholeVolume<LinearExtent>
  /** Flushes what was written, and names it. @throws as `preview` */
  name(head: VolumeHead, size: number): Promise<WholeVolume<LinearExtent>>
}

/** How to put back a table of which only the backup may be left. */
export interface Rescue {
  /** What lies where the other copy goes, for people; undefined if nothing is known that does. */
  readonly held: string | undefined
  /** Overwrites that. */
  readonly force: boolean
}

export interface DiskOptions {
  /** Reads the backup table at the end of the disk, whatever lies before it. */
  readonly rescue?: Rescue
  readonly users?: TableUsers
  /** Writes nothing but tables: for a target that keeps them to itself. Default: false. */
  readonly dryRun?: boolean
  readonly close?: () => Promise<void>
}

/**
 * The volumes of a disk, to be changed.
 * @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes
 */
export async function diskOn(
  target: Target,
  path: string,
  { users = noUsers, dryRun = false, close = async () => {}, rescue }: DiskOptions = {},
): Promise<Disk> {
  return new OpenDisk(gpt, { target, path, users, dryRun, close }, await readDiskTable(target, rescue))
}

/** A table as it was read, or as it is to be. */
interface DiskTable extends StoredGpt {
  /** Whether a change of it restores the protective MBR too. */
  readonly repairsMbr?: boolean
  /** The backup that is to be put back first. */
  readonly rescue?: Rescue
}

/** A table as a change of it begins. @throws ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes, and as `scanDisk` */
export async function readDiskTable(source: Source, rescue?: Rescue): Promise<DiskTable> {
  const read = await readTable(source, rescue && 'backup')
  return rescue ? { ...read, rescue } : read
}

type DiskChange = Change<DiskTable, LinearExtent>

const gpt: TableFormat<DiskTable, VolumeHead, LinearExtent> = {
  where: 'the disk',
  headNames: { typeUuid: true, uuid: true, label: true, attributes: true },
  createOptionNames: diskCreateOptionNames,
  read: (target, before) => readDiskTable(target, before?.rescue),
  async commit(target, current, { table, repairsMbr }) {
    const { held, force = false } = current.rescue ?? {}
    if (held !== undefined && !force) throw new DdiError('ERR_DDI_EXISTS', rescueWarning(held))
    if (movesBackup(current, target.size)) await refuseMember(target)
    const mbr = repairsMbr ? repairedMbr(current, target.size, force) : current.mbr
    await commitGpt(target, current, { table, mbr })
  },
  volumes: ({ table }) => tableVolumes(table).volumes,
  free: ({ table }) => freeRuns(table),
  unit: () => segmentUnit,
  create: (read, head, size, { alignment, ...options }: DiskCreateOptions) =>
    changed(read, createChain(read.table, nameable(read.table, head, options), size, alignment)),
  resize: (read, volume, size) => changed(read, resizeChain(read.table, chainOf(read, volume), size)),
  rename: (read, volume, head, options) => {
    const chain = chainOf(read, volume)
    const { typeUuid, uuid, label, attributes } = chain[0]
    const next = nameable(read.table, { typeUuid, uuid, label, attributes, ...head }, options, chain[0])
    return changed(read, renameChain(read.table, chain, next))
  },
  remove: (read, volume) => ({ ...read, table: removeChain(read.table, chainOf(read, volume)) }),
  findings: ({ table, problems, rescue }) => {
    const { chains, orphans } = findChains(table)
    return [
      ...(rescue?.held === undefined ? [] : [rescueWarning(rescue.held)]),
      ...problems.map(describeProblem),
      ...chains.flatMap(({ defect }) => (defect ? [defect.message] : [])),
      ...orphans.map(({ number, uuid }) => `partition ${number}: extension ${uuid} belongs to no volume`),
    ]
  },
  repaired: (read) => ({ ...read, table: reclaimOrphans(read.table), repairsMbr: true }),
}

/**
 * Refuses to move a backup to the end of a disk that has not grown, but is part of an array, whose own data lie there.
 * @throws ERR_DDI_BUSY, and as `probe`
 */
async function refuseMember(disk: Source): Promise<void> {
  const type = (await probe(disk, 'the disk'))?.type
  if (type && /_member$|^drbd$/.test(type))
    throw new DdiError(
      'ERR_DDI_BUSY',
      `nothing was written: the disk is part of an array (${type}), which has the space behind the table: change the array instead`,
    )
}

function rescueWarning(held: string): string {
  return `${held} exists where the primary table goes, and putting the backup back destroys it`
}

/**
 * What may name a volume, as it will be read back.
 * @param own the head of the volume, if it exists
 * @throws ERR_DDI_USAGE for types that no volume has, ERR_DDI_VOLUME_EXISTS for the label of another unless forced
 */
function nameable(table: Gpt, head: VolumeHead, { force = false }: NameOptions, own?: VolumeHead): VolumeHead {
  const typeUuid = head.typeUuid.toLowerCase()
  if (typeUuid === nilUuid || typeUuid === extensionTypeUuid)
    throw new DdiError('ERR_DDI_USAGE', `no volume can have the type ${typeUuid}: ${reservedFor(typeUuid)}`)
  const isTaken = ({ label, typeUuid }: Partition) => label === head.label && typeUuid !== extensionTypeUuid
  const taken = head.label && head.label !== own?.label ? table.partitions.find(isTaken) : undefined
  if (taken && !force)
    throw new DdiError(
      'ERR_DDI_VOLUME_EXISTS',
      `partition ${taken.number}, UUID ${taken.uuid}, has the label ${JSON.stringify(head.label)} already: one label for two volumes would name neither`,
    )
  return { ...head, typeUuid, uuid: head.uuid.toLowerCase() }
}

function reservedFor(typeUuid: string): string {
  return typeUuid === nilUuid ? 'it marks entries that are not used' : 'it marks the extensions of other volumes'
}

/** @throws the defect that the chain would have: a partition that another tool made may be misaligned as a segment */
function changed(read: StoredGpt, { table, chain }: ChainChange): DiskChange {
  const found = findChains(table).chains.find(({ segments }) => segments[0].number === chain[0].number)!
  return { next: { ...read, table }, volume: requireWhole(chainVolume(found)) }
}

/** The partitions of a volume of this table. */
function chainOf({ table }: StoredGpt, { origin }: Volume): Chain {
  const numbers =
    origin.kind === 'chain'
      ? origin.segments.map(({ number }) => number)
      : origin.kind === 'partition'
        ? [origin.number]
        : []
  const byNumber = new Map(table.partitions.map((one) => [one.number, one]))
  const [head, ...extensions] = numbers.map((number) => byNumber.get(number)!)
  if (!head) throw new DdiError('ERR_DDI_NO_VOLUME', `the disk does not have this volume: it is ${origin.kind}`)
  return [head, ...extensions]
}

class OpenDisk extends OpenTable<DiskTable, VolumeHead, LinearExtent> implements Disk {
  readonly format = 'gpt'

  get uuid(): string {
    return this.read.table.uuid
  }

  get orphans(): readonly Orphan[] {
    return tableVolumes(this.read.table).orphans
  }

  room(without: readonly WholeVolume[] = []): Room {
    return roomIn(this.#without(without).table)
  }

  async isUsed(volume: WholeVolume): Promise<boolean> {
    try {
      await this.place.users.refuseUsed(this.current(volume).extents)
      return false
    } catch (error) {
      if (error instanceof DdiError && error.code === 'ERR_DDI_BUSY') return true
      throw error
    }
  }

  async renameAll(heads: ReadonlyMap<WholeVolume, Partial<VolumeHead>>): Promise<void> {
    await this.inTurn(async () => {
      let next = this.read
      for (const [volume, head] of heads) next = gpt.rename(next, this.current(volume), head, {}).next
      await this.replace(next)
    })
  }

  async removeAll(volumes: readonly WholeVolume[]): Promise<void> {
    await this.inTurn(async () => {
      for (const volume of volumes) await this.place.users.refuseUsed(this.current(volume).extents)
      await this.replace(this.#without(volumes))
    })
  }

  #without(volumes: readonly WholeVolume[]): DiskTable {
    return volumes.reduce((read, volume) => gpt.remove(read, this.current(volume)), this.read)
  }

  get table(): Gpt {
    return this.read.table
  }

  async repartition(next: Gpt, fill?: (free: FreeRuns) => Promise<void>): Promise<void> {
    await this.inTurn(async () => {
      const { partitions } = this.read.table
      const later = new Map(next.partitions.map((one) => [one.number, one]))
      const gone = partitions.filter(({ number }) => !later.has(number))
      for (const { number, start, length } of partitions) {
        const kept = later.get(number)
        if (kept && (kept.start !== start || kept.length < length))
          throw new DdiError('ERR_DDI_USAGE', `partition ${number} would be moved or cut`)
      }
      await this.place.users.refuseUsed(gone)
      await fill?.((runs) => {
        const taken = partitions.find((one) =>
          runs.some((run) => run.start < one.start + one.length && one.start < run.start + run.length),
        )
        if (taken) throw new DdiError('ERR_DDI_USAGE', `partition ${taken.number} has this space`)
        return this.freeSpace(linear(runs))
      })
      if (isDeepStrictEqual(next, this.read.table)) return
      await this.replace({ ...this.read, table: next })
      for (const { number, length } of partitions)
        if ((later.get(number)?.length ?? length) > length) await this.#growUsed(number)
    })
  }

  /** Lets the device that offers a partition grow with it. */
  async #growUsed(number: number): Promise<void> {
    const isIt = ({ origin }: Volume) => origin.kind === 'partition' && origin.number === number
    const volume = this.volumes.find(isIt)
    if (volume?.state === 'whole') await this.place.users.grown?.(volume)
  }

  unnamed(size?: number): UnnamedVolume {
    const { read } = this
    const space = spaceForVolume(read.table, size)
    const refuseTaken = () => {
      if (this.read.table !== read.table && !isDeepStrictEqual(this.read.table, read.table))
        throw new DdiError('ERR_DDI_BUSY', 'the volumes of the disk changed since this space was free')
    }
    const free = this.freeSpace(linear(space), () => this.inTurn(() => this.makeRoom()))
    const target = guardTarget(free, async () => refuseTaken())
    const named = (head: VolumeHead, length: number) =>
      changed(read, nameSpace(read.table, nameable(read.table, head, {}), space, length))
    return {
      ...target,
      preview: (head, length) => named(head, length).volume,
      name: (head, length) =>
        this.inTurn(async () => {
          refuseTaken()
          const change = named(head, length)
          await target.flush()
          return await this.commit(change)
        }),
    }
  }

  /** On a disk that has grown, the backup lies where there may be data soon. */
  protected override async makeRoom(): Promise<void> {
    if (movesBackup(this.read, this.size)) await this.replace(this.read)
    else await super.makeRoom()
  }

  async discard(volume: BrokenVolume): Promise<void> {
    await this.inTurn(() => this.#replaceBroken(volume, (chain) => removeChain(this.read.table, chain)))
  }

  async separate(volume: BrokenVolume, uuid: string): Promise<BrokenVolume> {
    const own = uuid.toLowerCase()
    return await this.inTurn(async () => {
      await this.#replaceBroken(volume, ([head]) => separateHead(this.read.table, head, own))
      return this.#requireBroken({ ...volume, uuid: own })
    })
  }

  /** @param change undefined if it does not apply */
  async #replaceBroken(volume: BrokenVolume, change: (chain: Chain) => Gpt | undefined): Promise<void> {
    const current = this.#requireBroken(volume)
    const chain = chainOf(this.read, current)
    const table = change(chain)
    if (!table) throw current.defect
    await this.place.users.refuseUsed(chain)
    await this.replace({ ...this.read, table })
  }

  #requireBroken(volume: BrokenVolume): BrokenVolume {
    const found = this.present(volume)
    if (found.state === 'broken') return found
    throw new DdiError('ERR_DDI_USAGE', `volume ${JSON.stringify(found.label || found.uuid)} is not broken`)
  }

  async defragment(work: Work = {}): Promise<readonly WholeVolume<LinearExtent>[]> {
    checkOptions(work, workNames, 'defragment')
    return await this.inTurn(() => this.#compactAll(work))
  }

  async #compactAll(work: Work): Promise<readonly WholeVolume<LinearExtent>[]> {
    const moved: WholeVolume<LinearExtent>[] = []
    for (const volume of this.volumes) {
      if (volume.state === 'broken') continue
      const compacted = await this.#compact(volume, work)
      if (compacted !== volume) moved.push(compacted)
    }
    return moved
  }

  async #compact(volume: WholeVolume<LinearExtent>, work: Work): Promise<WholeVolume<LinearExtent>> {
    let current = volume
    for (;;) {
      const next = compactChain(this.read.table, chainOf(this.read, current))
      if (!next) return current
      const change = changed(this.read, next)
      await this.place.users.refuseUsed(current.extents)
      // The new place is free until the commit: after a power cut the volume is where it was.
      if (!this.dryRun)
        await moveExtents(
          this.place.target,
          this.freeSpace(change.volume.extents),
          [current.extents, change.volume.extents],
          { ...work, part: volume.label || volume.uuid! },
        )
      current = await this.commit(change)
    }
  }
}

/**
 * Copies what will lie elsewhere of a volume.
 * @param moved the volume in its new place
 * @param places its extents until now, and its new ones, of the same length
 */
async function moveExtents(
  disk: Source,
  moved: Target,
  [from, to]: readonly [readonly LinearExtent[], readonly LinearExtent[]],
  { part, ...work }: Work & { readonly part: string },
): Promise<void> {
  let offset = 0
  const total = totalLength(to)
  for (const extent of from) {
    const shift = extent.start - offset
    for (const { start, length } of sliceExtents(to, offset, extent.length)) {
      const before = offset
      const source: Run = { start: before + shift, length }
      const onProgress = ({ done }: Progress) => work.onProgress?.({ done: before + done, total, part })
      if (start !== source.start)
        await copy(extentSource(disk, linear([source])), extentTarget(moved, linear([{ start: before, length }])), {
          ...work,
          onProgress,
        })
      offset += length
    }
  }
}

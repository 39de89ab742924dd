// Changes of volumes as pure functions from table to table; lib/volume/disk.ts commits what they return.
import { linear, sliceExtents, totalLength } from '../bytes/extents.js'
import { allocate, mergeRuns } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { freeRuns, segmentUnit } from '../gpt/allocate.js'
import type { Gpt, Partition } from '../gpt/table.js'
import { type Chain, chainPartitions, findChains, type VolumeHead } from './extension.js'
import { findByName } from './volume.js'

export interface Change {
  readonly table: Gpt
  /** The whole volume after the change, in order; empty where it is gone. */
  readonly extents: readonly Run[]
}

/**
 * Finds a chain by the head's UUID, or by a label that only one head has.
 * @throws ERR_DDI_NO_VOLUME, or the chain's own defect
 */
export function findVolume(table: Gpt, name: string): Chain {
  const heads = findChains(table).chains.map((chain) => ({
    ...chain,
    uuid: chain.segments[0].uuid,
    label: chain.segments[0].label,
  }))
  const { segments, defect } = findByName(heads, name, 'the disk')
  if (defect) throw defect
  return { segments }
}

/** Bytes as whole segment units, rounded up. */
function wholeUnits(bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw new DdiError('ERR_DDI_USAGE', `${bytes} is no size: a whole number of bytes above 0`)
  return Math.ceil(bytes / segmentUnit) * segmentUnit
}

function extentsOf(segments: readonly Run[]): Run[] {
  return segments.map(({ start, length }) => ({ start, length }))
}

/**
 * A table in which the partitions of one chain are replaced by a segment for each run of `pieces`: entries keep their numbers as far as they go, and what is
 * more takes the lowest free ones.
 */
function withSegments(table: Gpt, old: readonly Partition[], head: VolumeHead, pieces: readonly Run[]): Change {
  const extents = mergeRuns(pieces)
  const others = table.partitions.filter((partition) => !old.includes(partition))
  const taken = new Set(others.map(({ number }) => number))
  const numbers = old.map(({ number }) => number)
  for (let number = 1; number <= table.entryCount && numbers.length < extents.length; number++)
    if (!taken.has(number) && !numbers.includes(number)) numbers.push(number)
  if (numbers.length < extents.length)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `the volume would have ${extents.length} segments, and the table has room for ${numbers.length} of its ${table.entryCount} entries: defragment, or remove a volume`,
    )
  const segments = chainPartitions(head, extents, numbers)
  const uuids = new Set(others.map(({ uuid }) => uuid))
  const clash = segments.find(({ uuid }) => uuids.has(uuid))
  if (clash) throw new DdiError('ERR_DDI_VOLUME_EXISTS', `the disk has a partition of UUID ${clash.uuid} already`)
  const partitions = [...others, ...segments].sort((a, b) => a.number - b.number)
  return { table: { ...table, partitions }, extents: extentsOf(segments) }
}

/** Makes a volume of at least `size` bytes. @throws ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
export function createVolume(table: Gpt, head: VolumeHead, size: number, alignment?: number): Change {
  return nameVolume(table, head, spaceForVolume(table, size, alignment), size)
}

/**
 * The space for a volume whose size is not known yet, largest run first; any beginning of it is what a volume of that size gets.
 * @param size in bytes, where it is known after all
 * @throws ERR_DDI_NO_SPACE
 */
export function spaceForVolume(table: Gpt, size?: number, alignment?: number): Run[] {
  const runs = freeRuns(table, alignment)
  return size === undefined ? runs.sort((a, b) => b.length - a.length) : allocate(runs, wholeUnits(size))
}

/** Names a beginning of free space as a volume. @throws ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
export function nameVolume(table: Gpt, head: VolumeHead, space: readonly Run[], size: number): Change {
  return withSegments(table, [], head, sliceExtents(linear(space), 0, wholeUnits(size)))
}

/**
 * Appends at least `by` bytes: in place as far as free space follows, then in new extensions.
 * @throws ERR_DDI_NO_VOLUME, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL
 */
export function growVolume(table: Gpt, name: string, by: number, alignment?: number): Change {
  const { segments } = findVolume(table, name)
  const last = segments.at(-1)!
  const end = last.start + last.length
  const wanted = wholeUnits(by)
  const following = Math.min(
    table.usableEnd,
    ...table.partitions.map(({ start }) => start).filter((start) => start >= end),
  )
  const crooked = end % segmentUnit !== 0
  const inPlace = crooked ? 0 : Math.min(wanted, Math.floor((following - end) / segmentUnit) * segmentUnit)
  const grown = [...segments.slice(0, -1), { ...last, length: last.length + inPlace }]
  const left = wanted - inPlace
  const occupied = {
    ...table,
    partitions: table.partitions.map((one) => (one === last ? { ...one, ...grown.at(-1)! } : one)),
  }
  const more = left > 0 ? allocateLargest(freeRuns(occupied, alignment), left) : []
  return withSegments(table, segments, segments[0], [...extentsOf(grown), ...more])
}

/** For growing, the largest free run comes first: what a chain gets should keep it short. */
function allocateLargest(runs: readonly Run[], size: number): Run[] {
  return allocate(
    [...runs].sort((a, b) => b.length - a.length),
    size,
  )
}

/** Cuts `by` bytes, at most, off the end. @throws ERR_DDI_NO_VOLUME, ERR_DDI_USAGE where nothing would be left */
export function shrinkVolume(table: Gpt, name: string, by: number): Change {
  const { segments } = findVolume(table, name)
  const size = totalLength(segments)
  const kept = wholeUnits(Math.max(1, size - by))
  if (by >= size) throw new DdiError('ERR_DDI_USAGE', `the volume has ${size} bytes: to give up all of them, remove it`)
  const extents: Run[] = []
  let left = Math.min(kept, size)
  for (const { start, length } of segments) {
    if (left === 0) break
    const part = Math.min(length, left)
    extents.push({ start, length: part })
    left -= part
  }
  return withSegments(table, segments, segments[0], extents)
}

/** Removes a volume with all its extensions. @throws ERR_DDI_NO_VOLUME */
export function removeVolume(table: Gpt, name: string): Change {
  return withSegments(table, findVolume(table, name).segments, headless, [])
}

const headless: VolumeHead = { typeUuid: '', uuid: '', label: '', attributes: 0n }

/**
 * Gives a volume another label, UUID or type; its extensions follow in the same table.
 * @throws ERR_DDI_NO_VOLUME, ERR_DDI_VOLUME_EXISTS
 */
export function renameVolume(table: Gpt, name: string, head: Partial<VolumeHead>): Change {
  const { segments } = findVolume(table, name)
  return withSegments(table, segments, { ...segments[0], ...head }, extentsOf(segments))
}

/**
 * One step towards fewer segments: all of the volume in other free space, else as much of a segment as fits into the free
 * space behind its predecessor, until none of it is left. What moves goes to space that is free now, so that a copy harms nothing.
 * @returns undefined where no step is left
 */
export function compactVolume(table: Gpt, name: string, alignment?: number): Change | undefined {
  const { segments } = findVolume(table, name)
  if (segments.length === 1) return undefined
  const size = totalLength(segments)
  const runs = freeRuns(table, alignment)
  const elsewhere = totalLength(runs) < size ? segments : allocate(runs, size)
  if (elsewhere.length < segments.length) return withSegments(table, segments, segments[0], elsewhere)
  const gaps = freeRuns(table, segmentUnit)
  for (const [n, segment] of segments.entries()) {
    const previous = segments[n - 1]
    const end = previous && previous.start + previous.length
    const gap = gaps.find(({ start }) => start === end)
    // Each step is a commit: a gap of a few sectors is not worth its thousands.
    if (!gap || gap.length < Math.min(segment.length, smallestStep)) continue
    const length = Math.min(gap.length, segment.length)
    const rest = { start: segment.start + length, length: segment.length - length }
    const pieces = [...segments.slice(0, n), { start: gap.start, length }, ...(rest.length > 0 ? [rest] : [])]
    return withSegments(table, segments, segments[0], [...pieces, ...segments.slice(n + 1)])
  }
  return undefined
}

const smallestStep = 1024 * 1024

/** Frees the extensions that no chain reaches. Nothing is freed while a chain is broken: they may be what it misses. */
export function reclaimOrphans(table: Gpt): Gpt {
  const { chains, orphans } = findChains(table)
  const broken = chains.find(({ defect }) => defect)?.defect
  if (broken) throw broken
  return { ...table, partitions: table.partitions.filter((one) => !orphans.includes(one)) }
}

// Changes of chains as pure functions from table to table; lib/disk/disk.ts commits what they return.
import { linear, sliceExtents, totalLength } from '../bytes/extents.js'
import { allocate, mergeRuns } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import type { Gpt, Partition } from '../gpt/table.js'
import { freeRuns, segmentUnit } from './allocation.js'
import { type Chain, chainPartitions, findChains, isContinued, mayContinue, type VolumeHead } from './chain.js'

/** A table with a change, and the chain that was changed. */
export interface ChainChange {
  readonly table: Gpt
  readonly chain: Chain
}

/** Bytes as whole segment units, rounded up. @throws ERR_DDI_USAGE */
function wholeUnits(bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw new DdiError('ERR_DDI_USAGE', `invalid size ${bytes}: a whole number of bytes above 0 is needed`)
  return Math.ceil(bytes / segmentUnit) * segmentUnit
}

/**
 * A table in which a segment for each run of `pieces` replaces the partitions of one chain: entries keep their numbers,
 * further segments take the lowest free ones.
 */
function withSegments(
  table: Gpt,
  old: readonly Partition[],
  head: VolumeHead,
  pieces: readonly [Run, ...Run[]],
): ChainChange {
  const runs = mergeRuns(pieces)
  if (runs.length > 1 && !mayContinue(head.typeUuid))
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${totalLength(runs)} bytes are not free in one run, and volumes of type ${head.typeUuid} do not continue in extensions`,
      { needed: totalLength(runs) },
    )
  const replaced = new Set(old)
  const others = table.partitions.filter((partition) => !replaced.has(partition))
  const taken = new Set(table.partitions.map(({ number }) => number))
  const numbers = old.map(({ number }) => number)
  for (let number = 1; number <= table.entryCount && numbers.length < runs.length; number++)
    if (!taken.has(number)) numbers.push(number)
  if (numbers.length < runs.length)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `the volume would have ${runs.length} segments, and only ${numbers.length} of the table's ${table.entryCount} entries are free for it: defragment, or remove a volume`,
    )
  const [first, ...more] = chainPartitions(head, runs, numbers)
  const chain: Chain = [first!, ...more]
  const uuids = new Set(others.map(({ uuid }) => uuid))
  const own = new Set(old.map(({ uuid }) => uuid))
  const clash = chain.find(({ uuid }) => uuids.has(uuid) && !own.has(uuid))
  if (clash) throw new DdiError('ERR_DDI_VOLUME_EXISTS', `the disk already has a partition of UUID ${clash.uuid}`)
  const partitions = [...others, ...chain].sort((a, b) => a.number - b.number)
  return { table: { ...table, partitions }, chain }
}

/** Makes a volume of at least `size` bytes. @throws ERR_DDI_USAGE, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
export function createChain(table: Gpt, head: VolumeHead, size: number, alignment?: number): ChainChange {
  return nameSpace(table, head, spaceForVolume(table, size, alignment), size)
}

/**
 * The space for a volume whose size may not be known yet, largest run first; a volume gets as much of its beginning as it needs.
 * @param size in bytes, if known
 * @throws ERR_DDI_USAGE, ERR_DDI_NO_SPACE
 */
export function spaceForVolume(table: Gpt, size?: number, alignment?: number): Run[] {
  const runs = freeRuns(table, alignment)
  return size === undefined ? runs.sort((a, b) => b.length - a.length) : allocate(runs, wholeUnits(size))
}

/** What a table has for further volumes. */
export interface Room {
  /** In runs that a volume may start at, in bytes. */
  readonly free: readonly Run[]
  /** How many more partitions the table can name: a volume takes one for each of its segments. */
  readonly entries: number
}

export function roomIn(table: Gpt): Room {
  return { free: freeRuns(table), entries: table.entryCount - table.partitions.length }
}

/** Makes a volume of the beginning of free space. @throws ERR_DDI_USAGE, ERR_DDI_TABLE_FULL, ERR_DDI_VOLUME_EXISTS */
export function nameSpace(table: Gpt, head: VolumeHead, space: readonly Run[], size: number): ChainChange {
  const [first, ...more] = sliceExtents(linear(space), 0, wholeUnits(size))
  if (!first)
    throw new DdiError('ERR_DDI_NO_SPACE', `${size} bytes are needed, and none are free`, { needed: size, free: 0 })
  return withSegments(table, [], head, [first, ...more])
}

/**
 * Gives a volume another size: appends what is missing, in place as far as free space follows, then in new extensions; or
 * cuts from the end.
 * @param size in bytes; the difference is rounded up when growing, the rest when shrinking
 * @throws ERR_DDI_USAGE, ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL
 */
export function resizeChain(table: Gpt, chain: Chain, size: number): ChainChange {
  const current = totalLength(chain)
  if (!Number.isSafeInteger(size)) throw new DdiError('ERR_DDI_USAGE', `invalid size ${size}`)
  return size > current ? grow(table, chain, size - current) : shrink(table, chain, size)
}

function grow(table: Gpt, chain: Chain, by: number): ChainChange {
  const last = chain.at(-1)!
  const end = last.start + last.length
  const wanted = wholeUnits(by)
  const following = Math.min(
    table.usableEnd,
    ...table.partitions.map(({ start }) => start).filter((start) => start >= end),
  )
  const whole = Math.floor(following / segmentUnit) * segmentUnit - end
  if (wanted > following - end && (last.start % segmentUnit !== 0 || whole < 0))
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `only ${following - end} free bytes follow the volume, and it cannot continue elsewhere: partition ${last.number} has ${last.length} bytes from ${last.start}, not multiples of ${segmentUnit}`,
      { needed: wanted, free: following - end },
    )
  const inPlace = wanted > following - end ? whole : wanted
  const grown: Run = { start: last.start, length: last.length + inPlace }
  const occupied = {
    ...table,
    partitions: table.partitions.map((one) => (one === last ? { ...one, ...grown } : one)),
  }
  const left = wanted - inPlace
  const more = left > 0 ? allocateLargest(freeRuns(occupied), wholeUnits(left)) : []
  return withSegments(table, chain, chain[0], [...chain.slice(0, -1), grown, ...more] as [Run, ...Run[]])
}

/** The largest free run first, so that a chain that grows stays short. */
function allocateLargest(runs: readonly Run[], size: number): Run[] {
  return allocate(
    [...runs].sort((a, b) => b.length - a.length),
    size,
  )
}

function shrink(table: Gpt, chain: Chain, size: number): ChainChange {
  const current = totalLength(chain)
  if (size <= 0)
    throw new DdiError('ERR_DDI_USAGE', `the volume has ${current} bytes: to give up all of them, remove it`)
  const [first, ...more] = sliceExtents(linear(chain), 0, Math.min(wholeUnits(size), current))
  return withSegments(table, chain, chain[0], [first!, ...more])
}

/** Removes a volume with all its extensions. */
export function removeChain(table: Gpt, chain: Chain): Gpt {
  const gone = new Set(chain)
  return { ...table, partitions: table.partitions.filter((one) => !gone.has(one)) }
}

/** Gives a volume another label, UUID, type or attributes; its extensions follow in the same table. @throws ERR_DDI_VOLUME_EXISTS */
export function renameChain(table: Gpt, chain: Chain, head: Partial<VolumeHead>): ChainChange {
  return withSegments(table, chain, { ...chain[0], ...head }, chain)
}

/**
 * Gives one of several heads that would share extensions a UUID of its own: the extensions are not its own then.
 * @returns undefined if no other head has its UUID
 * @throws ERR_DDI_VOLUME_EXISTS
 */
export function separateHead(table: Gpt, head: Partition, uuid: string): Gpt | undefined {
  const isTwin = (one: Partition) => one !== head && one.uuid === head.uuid && isContinued(one)
  if (!table.partitions.some(isTwin)) return undefined
  if (table.partitions.some((one) => one.uuid === uuid))
    throw new DdiError('ERR_DDI_VOLUME_EXISTS', `the disk already has a partition of UUID ${uuid}`)
  return { ...table, partitions: table.partitions.map((one) => (one === head ? { ...head, uuid } : one)) }
}

/**
 * One step towards fewer segments: all of the volume in other free space; else as much of a segment as fits into the free
 * space behind its predecessor. What moves goes to space that is free now, so that copying it destroys nothing.
 * @returns undefined if no step is left
 */
export function compactChain(table: Gpt, chain: Chain): ChainChange | undefined {
  if (chain.length === 1) return undefined
  const size = totalLength(chain)
  const runs = freeRuns(table)
  const [first, ...more] = totalLength(runs) < size ? [] : allocate(runs, size)
  if (first && more.length + 1 < chain.length) return withSegments(table, chain, chain[0], [first, ...more])
  const gaps = freeRuns(table, segmentUnit)
  for (const [n, segment] of chain.entries()) {
    const previous = chain[n - 1]
    const end = previous && previous.start + previous.length
    const gap = gaps.find(({ start }) => start === end)
    // Each step is a commit: a gap of a few sectors is not worth thousands of them.
    if (!gap || gap.length < Math.min(segment.length, smallestStep)) continue
    const length = Math.min(gap.length, segment.length)
    const rest = { start: segment.start + length, length: segment.length - length }
    const pieces = [...chain.slice(0, n), { start: gap.start, length }, ...(rest.length > 0 ? [rest] : [])]
    return withSegments(table, chain, chain[0], [...pieces, ...chain.slice(n + 1)] as [Run, ...Run[]])
  }
  return undefined
}

const smallestStep = 1024 * 1024

/** Frees the extensions that no chain reaches, unless they may be what a broken chain misses. */
export function reclaimOrphans(table: Gpt): Gpt {
  const { chains, orphans } = findChains(table)
  if (chains.some(({ defect }) => defect)) return table
  const gone = new Set(orphans)
  return { ...table, partitions: table.partitions.filter((one) => !gone.has(one)) }
}

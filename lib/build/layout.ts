// Sizes and places of partitions: pure, from what each of them needs.
import { alignUp } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { isContinued } from '../disk/chain.js'
import { DdiError } from '../errors.js'
import { backupLength } from '../gpt/create.js'
import type { Gpt, Partition } from '../gpt/table.js'
import { type Allotment, allot, foreignSlot, type Slot, type There, type Usable } from './areas.js'
import type { Contents } from './contents.js'
import type { Draft } from './draft.js'
import { alignDown } from './shares.js'
import { paddingWish, sizeWish, treeWish } from './wishes.js'

/** A draft that has its size and its place in the image. */
export interface PlacedDraft<Holds extends Contents = Contents> extends Draft<Holds> {
  /** In bytes. */
  readonly size: number
  /** Bytes that stay free behind it. */
  readonly padding: number
  /** Where its segments lie: one run, or several for `Dynamic=yes`. */
  readonly runs: readonly Run[]
  /** Of its segments in the table. */
  readonly numbers: readonly number[]
}

/** What partitions are laid out on. */
export interface Ground {
  /** The table that is there, or a new one without partitions. Undefined: a new image, as small as possible. */
  readonly table: Gpt | undefined
  readonly sectorSize: number
  /** What sizes and starts are multiples of, in bytes. */
  readonly grain: number
}

const firstPartition = 1024 * 1024
/** Images are whole pages, and whole sectors of any size with them. */
const page = 4096
const defaultSegment = 1024 * 1024 * 1024

/**
 * Gives each partition its size and place. A hash tree is as large as its data requires, which is known only when the data
 * has its size: so sizes are shared out until they no longer change.
 * @returns the partitions that have a place, in their order, and the size of the image, or of what the table covers
 * @throws ERR_DDI_NO_SPACE
 */
export function layOut(
  drafts: readonly Draft[],
  ground: Ground,
): { readonly placed: readonly PlacedDraft[]; readonly size: number } {
  const behind = alignUp(backupLength(ground.sectorSize), ground.sectorSize)
  const others = foreignSlots(drafts, ground)
  let sizes = drafts.map((draft) => sizeWish(draft, ground.grain).min)
  for (let round = 0; round < 8; round++) {
    const own = drafts.map((draft, index) => slotOf(draft, ground, treeWish(drafts, index, sizes, ground.grain)))
    const usable = usableOf(own, ground)
    const allotments = allot([...own, ...others], usable)
    const settled = drafts.map((_, index) => allotments[index]?.size ?? 0)
    const isSettled = settled.every((size, index) => size === sizes[index])
    sizes = settled
    if (isSettled)
      return {
        placed: place(drafts, allotments, ground),
        size: alignUp(usable.end + behind, page),
      }
  }
  throw new DdiError(
    'ERR_DDI_NO_SPACE',
    'no sizes fit both the hash trees and their data: set SizeMaxBytes= for the data',
  )
}

function usableOf(slots: readonly Slot[], { table, grain }: Ground): Usable {
  if (table) return { start: table.usableStart, end: alignDown(table.usableEnd, grain), grain }
  const start = alignUp(firstPartition, grain)
  const needed = slots.reduce((sum, { size, padding }) => sum + alignUp(size.min + padding.min, grain), 0)
  return { start, end: start + needed, grain }
}

function foreignSlots(drafts: readonly Draft[], { table, grain }: Ground): readonly Slot[] {
  if (!table) return []
  const ours = new Set(drafts.flatMap(({ there }) => there?.number ?? []))
  return table.partitions
    .filter(({ number }) => !ours.has(number))
    .map((one) => foreignSlot(placeOf(one, table, grain)))
}

function placeOf({ start, length }: Partition, { partitions, usableEnd }: Gpt, grain: number): There {
  const end = start + length
  const next = Math.min(usableEnd, ...partitions.map((one) => one.start).filter((other) => other >= end))
  return { start, length, free: Math.max(0, alignDown(next, grain) - alignUp(end, grain)) }
}

function slotOf(draft: Draft, { table, grain }: Ground, tree: number): Slot {
  const { definition, there } = draft
  const place = there && table ? placeOf(there, table, grain) : null
  // What a volume continues with lies elsewhere: its head cannot grow in place.
  if (place && there && isContinued(there)) return foreignSlot(place)
  const own = sizeWish(draft, grain)
  const min = Math.max(own.min, alignUp(tree, grain))
  if (definition.sizeMax !== null && tree > definition.sizeMax)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${definition.path}: the hash tree takes ${tree} bytes, and SizeMaxBytes= is ${definition.sizeMax}`,
    )
  return {
    size: { ...own, min, max: Math.max(min, own.max) },
    padding: paddingWish(definition, grain),
    there: place,
    isForeign: false,
    priority: definition.priority,
  }
}

function place(
  drafts: readonly Draft[],
  allotments: readonly (Allotment | null)[],
  { table, grain }: Ground,
): readonly PlacedDraft[] {
  const placed = drafts.flatMap((draft, index) => {
    const allotment = allotments[index]
    if (!allotment) return []
    const { start, size, padding, order, isForeign } = allotment
    const runs = segments({ start, length: size }, draft, grain)
    const { label, uuid } = (isForeign && draft.there) || draft
    return [{ ...draft, label, uuid, size, padding, runs, order }]
  })
  const taken = new Set((table?.partitions ?? []).map(({ number }) => number))
  const free = (function* () {
    for (let number = 1; ; number++) if (!taken.has(number)) yield number
  })()
  const numbers = new Map<number, readonly number[]>()
  for (const { order, runs } of [...placed].sort((a, b) => (a.order ?? 0) - (b.order ?? 0)))
    if (order !== null)
      numbers.set(
        order,
        runs.map(() => free.next().value!),
      )
  return placed.map(({ order, ...draft }) => ({
    ...draft,
    numbers: order === null ? [draft.there!.number] : numbers.get(order)!,
  }))
}

function segments(run: Run, { definition: { dynamic, maxSegment }, there }: Draft, grain: number): readonly Run[] {
  if (!dynamic || there) return [run]
  const step = alignUp(maxSegment ?? defaultSegment, grain)
  const count = Math.ceil(run.length / step)
  return Array.from({ length: count }, (_, n) => ({
    start: run.start + n * step,
    length: Math.min(step, run.length - n * step),
  }))
}

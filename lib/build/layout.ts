// Sizes and places of partitions: pure, from what each of them needs.
import { alignUp } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { isContinued } from '../disk/chain.js'
import { DdiError } from '../errors.js'
import { backupLength } from '../gpt/create.js'
import type { Gpt, Partition } from '../gpt/table.js'
import { newSuperblock } from '../verity/format.js'
import { layoutTree } from '../verity/tree.js'
import { type Allotment, allot, foreignSlot, type Slot, type There, type Usable } from './areas.js'
import { type Contents, type Draft, verityPartner } from './draft.js'
import type { PartitionDefinition } from './partition-definition.js'
import { alignDown, grain, type Wish, wholeGrains } from './shares.js'

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
}

const firstPartition = 1024 * 1024
const defaultSize = 10 * 1024 * 1024
const signatureSize = 16 * 1024
const defaultSegment = 1024 * 1024 * 1024
const unlimited = Number.MAX_SAFE_INTEGER

/** What the header of LUKS2 takes, as cryptsetup makes it by default. */
export const luksHeaderSize = 16 * 1024 * 1024

/** How many bytes of a partition its contents cannot have. */
export function overhead({ encrypt }: PartitionDefinition): number {
  return encrypt ? luksHeaderSize : 0
}

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
  const others = foreignSlots(drafts, ground.table)
  let sizes = drafts.map((draft) => ownWish(draft, ground.table).min)
  for (let round = 0; round < 8; round++) {
    const own = drafts.map((draft, index) => slotOf(draft, ground.table, treeWish(drafts, index, sizes)))
    const usable = usableOf(own, ground.table)
    const allotments = allot([...own, ...others], usable)
    const settled = drafts.map((_, index) => allotments[index]?.size ?? 0)
    const isSettled = settled.every((size, index) => size === sizes[index])
    sizes = settled
    if (isSettled)
      return {
        placed: place(drafts, allotments, ground.table),
        size: alignUp(usable.end + behind, Math.max(grain, ground.sectorSize)),
      }
  }
  throw new DdiError(
    'ERR_DDI_NO_SPACE',
    'no sizes fit both the hash trees and their data: set SizeMaxBytes= for the data',
  )
}

function usableOf(slots: readonly Slot[], table: Gpt | undefined): Usable {
  if (table) return { start: table.usableStart, end: alignDown(table.usableEnd) }
  const needed = slots.reduce((sum, { size, padding }) => sum + wholeGrains(size.min + padding.min), 0)
  return { start: firstPartition, end: firstPartition + needed }
}

function foreignSlots(drafts: readonly Draft[], table: Gpt | undefined): readonly Slot[] {
  if (!table) return []
  const ours = new Set(drafts.flatMap(({ there }) => there?.number ?? []))
  return table.partitions.filter(({ number }) => !ours.has(number)).map((one) => foreignSlot(placeOf(one, table)))
}

function placeOf({ start, length }: Partition, { partitions, usableEnd }: Gpt): There {
  const end = start + length
  const next = Math.min(usableEnd, ...partitions.map((one) => one.start).filter((other) => other >= end))
  return { start, length, free: Math.max(0, alignDown(next) - wholeGrains(end)) }
}

function slotOf(draft: Draft, table: Gpt | undefined, tree: number): Slot {
  const { definition, there } = draft
  const place = there && table ? placeOf(there, table) : null
  // What a volume continues with lies elsewhere: its head cannot grow in place.
  if (place && there && isContinued(there)) return foreignSlot(place)
  const own = ownWish(draft, table)
  const min = Math.max(own.min, wholeGrains(tree))
  if (definition.sizeMax !== null && tree > definition.sizeMax)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${definition.path}: the hash tree takes ${tree} bytes, and SizeMaxBytes= is ${definition.sizeMax}`,
    )
  return {
    size: { ...own, min, max: Math.max(min, own.max) },
    padding: paddingWish(definition),
    there: place,
    isForeign: false,
    priority: definition.priority,
  }
}

function paddingWish({ paddingMin, paddingMax, paddingWeight }: PartitionDefinition): Wish {
  const max = paddingMax === null ? unlimited : alignDown(paddingMax)
  return { min: wholeGrains(paddingMin), max, weight: paddingWeight }
}

function ownWish({ definition, contents, there }: Draft, table: Gpt | undefined): Wish {
  const { sizeMin, sizeMax, verity, weight, minimize, path, format, copyBlocks } = definition
  const most = sizeMax === null ? unlimited : alignDown(sizeMax)
  if (there && table) {
    // What was made as large as its contents stays so.
    const isFilled = format !== null || copyBlocks !== null || verity !== 'off'
    const min = Math.max(there.length, wholeGrains(sizeMin ?? (isFilled ? 0 : defaultSize)))
    return { min, max: Math.max(min, most), weight }
  }
  const min = wholeGrains(leastSize(definition, contents))
  if (verity === 'signature') return { min, max: min, weight }
  if (verity === 'hash') return { min, max: Math.max(min, sizeMax === null ? min : most), weight }
  if (contents.kind === 'file' && min > most)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${path}: the contents of the partition take ${min} bytes, and SizeMaxBytes= is ${sizeMax}`,
    )
  return { min, max: minimize && sizeMax === null ? min : Math.max(min, most), weight }
}

function leastSize(definition: PartitionDefinition, contents: Contents): number {
  const { sizeMin, verity } = definition
  const more = overhead(definition)
  if (verity === 'signature') return Math.max(sizeMin ?? 0, signatureSize)
  if (verity === 'hash') return Math.max(sizeMin ?? 0, grain)
  switch (contents.kind) {
    case 'file':
      return Math.max(sizeMin ?? 0, contents.size + more, grain)
    case 'file-system':
      return more > 0
        ? Math.max(sizeMin ?? 0, contents.needed + more)
        : (sizeMin ?? Math.max(contents.needed, defaultSize))
    case 'none':
      return sizeMin === null ? defaultSize : Math.max(sizeMin, grain)
  }
}

/**
 * What the tree over the data takes, if the partition is for one: bytes. Where the definition leaves its size open, the trees of later data,
 * as large as these may become, have room too.
 */
function treeWish(drafts: readonly Draft[], index: number, sizes: readonly number[]): number {
  const draft = drafts[index]!
  const { verity, minimize, sizeMin, sizeMax, verityDataBlockSize, verityHashBlockSize } = draft.definition
  if (verity !== 'hash' || draft.there) return 0
  const data = verityPartner(drafts, draft, 'data')!
  const most = minimize || sizeMin !== null || sizeMax !== null ? 0 : (data.definition.sizeMax ?? 0)
  const size = Math.max(sizes[drafts.indexOf(data)]!, alignDown(most))
  return layoutTree(newSuperblock(size, { dataBlockSize: verityDataBlockSize, hashBlockSize: verityHashBlockSize })).end
}

function place(
  drafts: readonly Draft[],
  allotments: readonly (Allotment | null)[],
  table: Gpt | undefined,
): readonly PlacedDraft[] {
  const placed = drafts.flatMap((draft, index) => {
    const allotment = allotments[index]
    if (!allotment) return []
    const { start, size, padding, order, isForeign } = allotment
    const runs = segments({ start, length: size }, draft)
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

function segments(run: Run, { definition: { dynamic, maxSegment }, there }: Draft): readonly Run[] {
  if (!dynamic || there) return [run]
  const step = wholeGrains(maxSegment ?? defaultSegment)
  const count = Math.ceil(run.length / step)
  return Array.from({ length: count }, (_, n) => ({
    start: run.start + n * step,
    length: Math.min(step, run.length - n * step),
  }))
}

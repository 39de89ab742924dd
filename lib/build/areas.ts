// Which partition goes into which free area of a disk, and how they share it: pure.
import { alignUp } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { alignDown, type Claim, distribute, type Share, type Wish } from './shares.js'

/** A partition that has a place, or is to get one. Bytes. */
export interface Slot {
  readonly size: Wish
  readonly padding: Wish
  /** Where it is already; null: it is new. */
  readonly there: There | null
  /** Nobody's definition, or one that cannot be grown: it stays as it is. */
  readonly isForeign: boolean
  /** Those above 0 may be left out where there is no room, the highest first. */
  readonly priority: number
}

/** Where a partition is already. */
export interface There extends Run {
  /** How much of the space behind it can be used. */
  readonly free: number
}

export interface Allotment extends Share {
  readonly start: number
  /** Counts the new partitions as they are numbered; null: it is there already. */
  readonly order: number | null
  /** It is left alone, whatever its definition says. */
  readonly isForeign: boolean
}

/** The part of a disk that partitions may use. */
export interface Usable {
  readonly start: number
  readonly end: number
  /** What sizes and starts are multiples of, in bytes. */
  readonly grain: number
}

interface Area {
  /** Before it; undefined: it is the first on the disk. */
  readonly after: Slot | undefined
  readonly size: number
  readonly taken: Slot[]
}

/**
 * Gives each partition a place, as systemd-repart does (src/partition/repart.c): the smallest free area that has room takes a new one,
 * and those in an area, with the one before it, share it.
 * @returns in the order of the slots; null for those that were left out
 * @throws ERR_DDI_NO_SPACE
 */
export function allot(slots: readonly Slot[], usable: Usable): readonly (Allotment | null)[] {
  const current = [...slots]
  const dropped = new Set<number>()
  for (;;) {
    const kept = current.filter((_, index) => !dropped.has(index))
    const areas = fit(kept, usable)
    if (areas) {
      const places = place(kept, areas, usable)
      return current.map((slot) => places.get(slot) ?? null)
    }
    const highest = Math.max(0, ...current.map(({ priority }, index) => (dropped.has(index) ? 0 : priority)))
    if (highest === 0) throw noSpace(current, usable)
    for (const [index, slot] of current.entries())
      if (slot.priority === highest) {
        if (slot.there) current[index] = foreignSlot(slot.there)
        else dropped.add(index)
      }
  }
}

function noSpace(slots: readonly Slot[], usable: Usable): DdiError {
  const needed = slots.reduce((sum, slot) => sum + (slot.there ? 0 : needs(slot, usable.grain)), 0)
  const free = freeAreas(slots, usable).map((area) => available(area, usable.grain))
  const room = free.reduce((sum, one) => sum + one, 0)
  return new DdiError(
    'ERR_DDI_NO_SPACE',
    `the partitions need at least ${needed} bytes, and there is room for ${room}`,
    { needed, free: room },
  )
}

/** A partition that stays as it is. */
export function foreignSlot(there: There): Slot {
  const size: Wish = { min: there.length, max: there.length, weight: 1000 }
  const padding: Wish = { min: 0, max: Number.MAX_SAFE_INTEGER, weight: 0 }
  return { size, padding, there, isForeign: true, priority: 0 }
}

/** The areas with their new partitions; undefined if there is no room. */
function fit(slots: readonly Slot[], usable: Usable): readonly Area[] | undefined {
  const { grain } = usable
  const areas = freeAreas(slots, usable).sort((a, b) => available(a, grain) - available(b, grain))
  if (areas.some((area) => endOf(area, grain) < leastEnd(area, grain))) return undefined
  for (const slot of slots) {
    if (slot.there) continue
    const area = areas.find((one) => available(one, grain) >= needs(slot, grain))
    if (!area) return undefined
    area.taken.push(slot)
  }
  return areas
}

function freeAreas(slots: readonly Slot[], { start, end, grain }: Usable): Area[] {
  const first = Math.min(end, ...slots.flatMap(({ there }) => there?.start ?? []))
  const initial = alignDown(first, grain) - alignUp(start, grain)
  const behind = slots.filter(({ there }) => there && there.free > 0)
  return [
    ...behind.map((after): Area => ({ after, size: after.there!.free, taken: [] })),
    ...(initial > 0 ? [{ after: undefined, size: initial, taken: [] }] : []),
  ]
}

/** What a partition takes at least, with its padding, and what aligns the next one. */
function needs({ size, padding, there }: Slot, grain: number): number {
  const least = size.min + padding.min
  return there ? alignUp(there.start + least, grain) - there.start : alignUp(least, grain)
}

function endOf({ after, size, taken }: Area, grain: number): number {
  const begin = after?.there ? alignUp(after.there.start + after.there.length, grain) : 0
  return begin + size - taken.reduce((sum, slot) => sum + needs(slot, grain), 0)
}

function leastEnd({ after }: Area, grain: number): number {
  return after?.there ? alignUp(after.there.start + needs(after, grain), grain) : 0
}

function available(area: Area, grain: number): number {
  return Math.max(0, endOf(area, grain) - leastEnd(area, grain))
}

/** Where the partitions of each area go: in the order of the slots. */
function place(slots: readonly Slot[], areas: readonly Area[], usable: Usable): ReadonlyMap<Slot, Allotment> {
  const { grain } = usable
  const places = new Map<Slot, Allotment>()
  let order = 0
  for (const { after, size, taken } of areas) {
    const sharing = slots.filter((slot) => slot === after || taken.includes(slot))
    const begin = after?.there ? after.there.start : alignUp(usable.start, grain)
    const span = after?.there ? alignUp(begin + after.there.length, grain) - begin + size : size
    const { shares, left } = distribute(span, sharing.map(claim), grain)
    const own = after && shares[sharing.indexOf(after)]!
    if (after && own)
      places.set(after, {
        start: begin,
        size: own.size,
        padding: own.padding + left,
        order: null,
        isForeign: after.isForeign,
      })
    let at = own ? alignUp(begin + own.size + own.padding + left, grain) : begin
    for (const [index, slot] of sharing.entries()) {
      if (slot === after) continue
      const share = shares[index]!
      places.set(slot, { start: at, ...share, order: order++, isForeign: false })
      at += share.size + share.padding
    }
  }
  for (const slot of slots)
    if (slot.there && !places.has(slot))
      places.set(slot, {
        start: slot.there.start,
        size: slot.there.length,
        padding: slot.there.free,
        order: null,
        isForeign: slot.isForeign,
      })
  return places
}

function claim({ size, padding, there, isForeign }: Slot): Claim {
  return { size, padding, isFixed: isForeign, takesRest: there === null }
}

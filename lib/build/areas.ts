// Which partition goes into which free area of a disk, and how they share it: pure.
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { alignDown, type Claim, distribute, type Share, type Wish, wholeGrains } from './shares.js'

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
  const needed = slots.reduce((sum, slot) => sum + (slot.there ? 0 : needs(slot)), 0)
  const free = freeAreas(slots, usable).map((area) => available(area))
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
  const areas = freeAreas(slots, usable).sort((a, b) => available(a) - available(b))
  if (areas.some((area) => endOf(area) < leastEnd(area))) return undefined
  for (const slot of slots) {
    if (slot.there) continue
    const area = areas.find((one) => available(one) >= needs(slot))
    if (!area) return undefined
    area.taken.push(slot)
  }
  return areas
}

function freeAreas(slots: readonly Slot[], usable: Usable): Area[] {
  const first = Math.min(usable.end, ...slots.flatMap(({ there }) => there?.start ?? []))
  const initial = alignDown(first) - wholeGrains(usable.start)
  const behind = slots.filter(({ there }) => there && there.free > 0)
  return [
    ...behind.map((after): Area => ({ after, size: after.there!.free, taken: [] })),
    ...(initial > 0 ? [{ after: undefined, size: initial, taken: [] }] : []),
  ]
}

/** What a partition takes at least, with its padding, and what aligns the next one. */
function needs({ size, padding, there }: Slot): number {
  const least = size.min + padding.min
  return there ? wholeGrains(there.start + least) - there.start : wholeGrains(least)
}

function endOf({ after, size, taken }: Area): number {
  const begin = after?.there ? wholeGrains(after.there.start + after.there.length) : 0
  return begin + size - taken.reduce((sum, slot) => sum + needs(slot), 0)
}

function leastEnd({ after }: Area): number {
  return after?.there ? wholeGrains(after.there.start + needs(after)) : 0
}

function available(area: Area): number {
  return Math.max(0, endOf(area) - leastEnd(area))
}

/** Where the partitions of each area go: in the order of the slots. */
function place(slots: readonly Slot[], areas: readonly Area[], usable: Usable): ReadonlyMap<Slot, Allotment> {
  const places = new Map<Slot, Allotment>()
  let order = 0
  for (const { after, size, taken } of areas) {
    const sharing = slots.filter((slot) => slot === after || taken.includes(slot))
    const begin = after?.there ? after.there.start : wholeGrains(usable.start)
    const span = after?.there ? wholeGrains(begin + after.there.length) - begin + size : size
    const { shares, left } = distribute(span, sharing.map(claim))
    const own = after && shares[sharing.indexOf(after)]!
    if (after && own)
      places.set(after, {
        start: begin,
        size: own.size,
        padding: own.padding + left,
        order: null,
        isForeign: after.isForeign,
      })
    let at = own ? wholeGrains(begin + own.size + own.padding + left) : begin
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

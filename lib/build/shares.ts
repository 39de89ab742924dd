import { alignUp } from '../bytes/runs.js'

/** How much space a partition, or the padding behind it, needs and may take. In bytes. */
export interface Wish {
  readonly min: number
  /** Not less than the minimum. */
  readonly max: number
  /** Its share of what is left when all have their minimum. */
  readonly weight: number
}

/** What a partition wants of a free area. */
export interface Claim {
  readonly size: Wish
  readonly padding: Wish
  /** Not ours: its size is what it is, whatever the weights say. */
  readonly isFixed: boolean
  /** Whether it takes what nobody wants by weight: a partition that is there already does not. */
  readonly takesRest: boolean
}

export interface Share {
  readonly size: number
  readonly padding: number
}

/** What a wish gets in a round of sharing, if that settles it. @param share by weight */
type Settle = (wish: Wish, share: number) => number | undefined

// A weight may promise less than a minimum, or more than a maximum: these are served first, as what they get changes the shares of all
// others. The order of the rounds, and what is rounded where, are those of systemd-repart (src/partition/repart.c).
const tooLittle: Settle = ({ min }, share) => (min > share ? min : undefined)
const tooMuch: Settle = ({ max }, share) => (max < share ? max : undefined)
const byWeight =
  (grain: number): Settle =>
  ({ min, max }, share) =>
    Math.min(Math.max(alignDown(share, grain), min), max)

/**
 * Shares out a free area: each gets at least its minimum and at most its maximum, and between them what the weights say.
 * @param span in bytes; at least the sum of all minima, rounded up to grains
 * @param grain what sizes and starts are multiples of, in bytes
 * @returns a share for each claim, and what nobody wants
 */
export function distribute(
  span: number,
  claims: readonly Claim[],
  grain: number,
): { readonly shares: readonly Share[]; readonly left: number } {
  const items = claims.flatMap(({ size, padding, isFixed }) => [
    { wish: size, isFixed },
    { wish: padding, isFixed: false },
  ])
  const granted = new Map<(typeof items)[number], number>()
  let left = span
  let weights = items.reduce((sum, { wish }) => sum + wish.weight, 0)
  const round = (settle: Settle, among = items) => {
    const before = granted.size
    for (const item of among.filter((one) => !granted.has(one))) {
      const size = settle(item.wish, scale(left, item.wish.weight, weights))
      if (size === undefined) continue
      granted.set(item, size)
      left = charge(left, size, grain)
      weights -= item.wish.weight
    }
    return granted.size > before
  }
  round(
    ({ min }) => min,
    items.filter(({ isFixed }) => isFixed),
  )
  while (round(tooLittle));
  while (round(tooMuch));
  round(byWeight(grain))
  const sizes = items.map((item) => granted.get(item)!)
  const shares = claims.map(({ size: { max }, takesRest }, index): Share => {
    const size = sizes[2 * index]!
    const taken = takesRest ? Math.min(Math.max(alignDown(size + left, grain), size), max) : size
    left = charge(left, taken - size, grain)
    return { size: taken, padding: sizes[2 * index + 1]! }
  })
  return { shares, left }
}

function scale(span: number, weight: number, weights: number): number {
  return weight === 0 ? 0 : Number((BigInt(span) * BigInt(weight)) / BigInt(weights))
}

function charge(left: number, size: number, grain: number): number {
  return Math.max(0, left - alignUp(size, grain))
}

/** Rounds down to whole grains. */
export function alignDown(bytes: number, grain: number): number {
  return Math.floor(bytes / grain) * grain
}

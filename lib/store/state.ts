import { partitionAttributes } from '../gpt/table.js'

// docs/image-store.md, "State": bits of the attributes of an image's head partition, where ChromeOS has them.

const priorityAt = 48n
const triesAt = 52n
const fourBits = 0xfn
const goodBit = 1n << 56n
const keepBit = 1n << 57n

/** How often an image may be tried before it is good, and the priorities that changes give. */
export const defaultTries = 3
export const mostTries = 15
const installedPriority = 8
const preferredPriority = 15

/** How an image of a store fared so far. */
export type ImageState = 'new' | 'good' | 'bad' | 'off'

/** What the attributes of an image say. */
export interface ImageMarks {
  /** 0 to 15; 0: it is never booted. */
  readonly priority: number
  /** 0 to 15. */
  readonly tries: number
  readonly good: boolean
  readonly keep: boolean
}

/** @param attributes all 64 bits */
export function marksOf(attributes: bigint): ImageMarks {
  return {
    priority: Number((attributes >> priorityAt) & fourBits),
    tries: Number((attributes >> triesAt) & fourBits),
    good: (attributes & goodBit) !== 0n,
    keep: (attributes & keepBit) !== 0n,
  }
}

/** The state of an image of a store. @param attributes of its head partition: all 64 bits */
export function stateOf(attributes: bigint): ImageState {
  const { priority, tries, good } = marksOf(attributes)
  if (priority === 0) return 'off'
  if (good) return 'good'
  return tries > 0 ? 'new' : 'bad'
}

/** The same attributes with some marks changed; all other bits stay. */
export function withMarks(attributes: bigint, marks: Partial<ImageMarks>): bigint {
  const { priority, tries, good, keep } = { ...marksOf(attributes), ...marks }
  const others = attributes & ~((fourBits << priorityAt) | (fourBits << triesAt) | goodBit | keepBit)
  const numbers = (BigInt(priority) << priorityAt) | (BigInt(tries) << triesAt)
  return others | numbers | (good ? goodBit : 0n) | (keep ? keepBit : 0n)
}

/** Of an image as it is installed. */
export function newAttributes(tries: number): bigint {
  return withMarks(partitionAttributes.readOnly, { priority: installedPriority, tries })
}

/** Before an image is handed the machine: a new one has one boot less, a good one as many as it wants. */
export function afterTry(attributes: bigint): bigint {
  return stateOf(attributes) === 'new' ? withMarks(attributes, { tries: marksOf(attributes).tries - 1 }) : attributes
}

/** Of an image that was refused before it had the machine: a new one becomes bad, a good one stays good. */
export function afterRefusal(attributes: bigint): bigint {
  return stateOf(attributes) === 'new' ? withMarks(attributes, { tries: 0 }) : attributes
}

/** What people and services say of an image. */
export const marks = {
  good: { good: true, tries: 0 },
  bad: { good: false, tries: 0 },
  prefer: { priority: preferredPriority },
  off: { priority: 0 },
  on: { priority: installedPriority },
  keep: { keep: true },
  release: { keep: false },
} as const satisfies Record<string, Partial<ImageMarks>>
/** What {@link Store.mark} says of an image. */
export type Mark = keyof typeof marks

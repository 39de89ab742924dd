// Sizes and places of partitions: pure, from what each of them needs.
import { alignUp } from '../bytes/runs.js'
import type { Run } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { backupLength } from '../gpt/create.js'
import { newSuperblock } from '../verity/format.js'
import { layoutTree } from '../verity/tree.js'
import type { PartitionDefinition } from './definitions.js'
import { type Contents, type Draft, verityPartner } from './draft.js'
import { distribute, grain, type Wish, wholeGrains } from './shares.js'

/** A draft that has its size and its place in the image. */
export interface PlacedDraft<Holds extends Contents = Contents> extends Draft<Holds> {
  /** In bytes. */
  readonly size: number
  /** Where its segments lie: one run, or several for `Dynamic=yes`. */
  readonly runs: readonly Run[]
}

const start = 1024 * 1024
const defaultSize = 10 * 1024 * 1024
const signatureSize = 16 * 1024
const defaultSegment = 1024 * 1024 * 1024

interface Share {
  readonly draft: Draft
  /** What it wants whatever the others get. */
  readonly own: Wish
  readonly size: number
  readonly padding: number
}

/**
 * Gives each partition its size and place. A hash tree is as large as its data requires, which is known only when the data
 * has its size: so sizes are shared out until they no longer change.
 * @param options `size` of the image in bytes; undefined: as small as possible
 * @returns the partitions in their order, and the size of the image
 * @throws ERR_DDI_NO_SPACE
 */
export function layOut(
  drafts: readonly Draft[],
  { size, sectorSize }: { readonly size: number | undefined; readonly sectorSize: number },
): { readonly placed: readonly PlacedDraft[]; readonly size: number } {
  const behind = alignUp(backupLength(sectorSize), sectorSize)
  const room = size === undefined ? undefined : size - start - behind
  let shares = drafts.map((draft): Share => {
    const own = ownWish(draft)
    return { draft, own, size: own.min, padding: 0 }
  })
  for (let round = 0; round < 8; round++) {
    const { shared, span } = shareOut(shares, room)
    const isSettled = shared.every((one, index) => one.size === shares[index]!.size)
    shares = shared
    if (isSettled)
      return { placed: place(shares), size: size ?? alignUp(start + span + behind, Math.max(4096, sectorSize)) }
  }
  throw new DdiError(
    'ERR_DDI_NO_SPACE',
    'no sizes fit both the hash trees and their data: set SizeMaxBytes= for the data',
  )
}

/** One round: shares by the sizes of the round before. @param room undefined: just what is needed */
function shareOut(
  before: readonly Share[],
  room: number | undefined,
): { readonly shared: Share[]; readonly span: number } {
  const wishes = before.flatMap(({ draft, own }) => [withTree(own, draft, before), paddingWish(draft.definition)])
  const span = room ?? wishes.reduce((sum, { min }) => sum + min, 0)
  const sizes = distribute(span, wishes)
  const shared = before.map((one, index) => ({ ...one, size: sizes[2 * index]!, padding: sizes[2 * index + 1]! }))
  return { shared, span }
}

function place(shares: readonly Share[]): readonly PlacedDraft[] {
  let at = start
  return shares.map(({ draft, size, padding }) => {
    const runs = segments({ start: at, length: size }, draft.definition)
    at += size + padding
    return { ...draft, size, runs }
  })
}

function paddingWish({ paddingMin, paddingMax, paddingWeight }: PartitionDefinition): Wish {
  return { min: wholeGrains(paddingMin), max: paddingMax ?? Number.MAX_SAFE_INTEGER, weight: paddingWeight }
}

function ownWish({ definition, contents }: Draft): Wish {
  const { sizeMax, verity, weight, minimize, path } = definition
  const min = wholeGrains(leastSize(definition, contents))
  const max = verity === 'signature' ? min : (sizeMax ?? (minimize ? min : Number.MAX_SAFE_INTEGER))
  if (min > max)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${path}: the contents of the partition take ${min} bytes, and SizeMaxBytes= is ${max}`,
    )
  return { min, max, weight }
}

function leastSize({ sizeMin, verity }: PartitionDefinition, contents: Contents): number {
  if (verity === 'signature') return Math.max(sizeMin ?? 0, signatureSize)
  if (verity === 'hash') return Math.max(sizeMin ?? 0, grain)
  switch (contents.kind) {
    case 'file':
      return Math.max(sizeMin ?? 0, contents.size, grain)
    case 'file-system':
      return sizeMin ?? Math.max(contents.needed, defaultSize)
    case 'none':
      return sizeMin === null ? defaultSize : Math.max(sizeMin, grain)
  }
}

/** For a hash partition, at least what the tree over its data takes. */
function withTree(wish: Wish, draft: Draft, shares: readonly Share[]): Wish {
  const { verity, sizeMax, path } = draft.definition
  if (verity !== 'hash') return wish
  const drafts = shares.map((share) => share.draft)
  const data = shares[drafts.indexOf(verityPartner(drafts, draft, 'data')!)]!
  const { end } = layoutTree(newSuperblock(data.size))
  const min = Math.max(wish.min, wholeGrains(end))
  if (sizeMax !== null && min > sizeMax)
    throw new DdiError('ERR_DDI_NO_SPACE', `${path}: the hash tree takes ${end} bytes, and SizeMaxBytes= is ${sizeMax}`)
  return { min, max: Math.max(min, sizeMax ?? min), weight: wish.weight }
}

function segments(run: Run, { dynamic, maxSegment }: PartitionDefinition): readonly Run[] {
  if (!dynamic) return [run]
  const step = wholeGrains(maxSegment ?? defaultSegment)
  const count = Math.ceil(run.length / step)
  return Array.from({ length: count }, (_, n) => ({
    start: run.start + n * step,
    length: Math.min(step, run.length - n * step),
  }))
}

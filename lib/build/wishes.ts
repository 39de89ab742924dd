// How much space each partition wants, by its definition and what it holds: pure.
import { alignUp } from '../bytes/runs.js'
import { DdiError } from '../errors.js'
import { newSuperblock } from '../verity/format.js'
import { layoutTree } from '../verity/tree.js'
import type { Contents } from './contents.js'
import { type Draft, verityPartner } from './draft.js'
import type { PartitionDefinition } from './partition-definition.js'
import { alignDown, type Wish } from './shares.js'

const defaultSize = 10 * 1024 * 1024
const signatureSize = 16 * 1024
/** What no partition is smaller than. */
const smallest = 4096
const unlimited = Number.MAX_SAFE_INTEGER

/** What the header of LUKS2 takes, as cryptsetup makes it by default. */
export const luksHeaderSize = 16 * 1024 * 1024

/** How many bytes of a partition its contents cannot have. */
export function overhead({ encrypt }: PartitionDefinition): number {
  return encrypt ? luksHeaderSize : 0
}

/** What it wants behind it. @param grain in bytes, as of all sizes here */
export function paddingWish({ paddingMin, paddingMax, paddingWeight }: PartitionDefinition, grain: number): Wish {
  const max = paddingMax === null ? unlimited : alignDown(paddingMax, grain)
  return { min: alignUp(paddingMin, grain), max, weight: paddingWeight }
}

/** What size it wants, by its definition and what it holds. @throws ERR_DDI_NO_SPACE */
export function sizeWish({ definition, contents, there }: Draft, grain: number): Wish {
  const { sizeMin, sizeMax, verity, weight, minimize, path, format, copyBlocks } = definition
  const most = sizeMax === null ? unlimited : alignDown(sizeMax, grain)
  if (there) {
    // What was made as large as its contents stays so.
    const isFilled = format !== null || copyBlocks !== null || verity !== 'off'
    const min = Math.max(there.length, alignUp(sizeMin ?? (isFilled ? 0 : defaultSize), grain))
    return { min, max: Math.max(min, most), weight }
  }
  const min = alignUp(leastSize(definition, contents), grain)
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
  if (verity === 'hash') return Math.max(sizeMin ?? 0, smallest)
  switch (contents.kind) {
    case 'file':
      return Math.max(sizeMin ?? 0, contents.size + more, smallest)
    case 'file-system':
      return more > 0
        ? Math.max(sizeMin ?? 0, contents.needed + more)
        : (sizeMin ?? Math.max(contents.needed, defaultSize))
    case 'stream':
    case 'none':
      return sizeMin === null ? defaultSize : Math.max(sizeMin, smallest)
  }
}

/**
 * What the tree over the data takes, if the partition is for one: bytes. Where the definition leaves its size open, the trees of later data,
 * as large as these may become, have room too.
 */
export function treeWish(drafts: readonly Draft[], index: number, sizes: readonly number[], grain: number): number {
  const draft = drafts[index]!
  const { verity, minimize, sizeMin, sizeMax, verityDataBlockSize, verityHashBlockSize } = draft.definition
  if (verity !== 'hash' || draft.there) return 0
  const data = verityPartner(drafts, draft, 'data')!
  const most = minimize || sizeMin !== null || sizeMax !== null ? 0 : (data.definition.sizeMax ?? 0)
  const size = Math.max(sizes[drafts.indexOf(data)]!, alignDown(most, grain))
  return layoutTree(newSuperblock(size, { dataBlockSize: verityDataBlockSize, hashBlockSize: verityHashBlockSize })).end
}

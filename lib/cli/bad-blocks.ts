import { counted } from './output.js'

/** A run of blocks that do not match the tree. */
export interface BadBlocks {
  /** `data`, or the level of hash blocks. */
  readonly level: 'data' | number
  readonly first: number
  readonly count: number
}

/** @param size of them, as it is to be read @param rootHash as it is to be called */
export function nameMatching(of: string, blocks: number, size: string, rootHash: string): string {
  return `${of}: ${counted(blocks, 'block')} (${size}) ${blocks === 1 ? 'matches' : 'match'} ${rootHash}`
}

/** @param of the designator or file that they are in */
export function nameBlocks(of: string, { level, first, count }: BadBlocks): string {
  const blocks = count === 1 ? `block ${first}` : `blocks ${first}-${first + count - 1}`
  return level === 'data' ? `${of}: data ${blocks}` : `${of}: hash ${blocks} (level ${level})`
}

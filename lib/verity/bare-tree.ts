import { concatSources } from '../bytes/concat.js'
import { zeroSource } from '../bytes/repeat.js'
import type { Source, Target } from '../bytes/source.js'
import type { Superblock } from './superblock.js'
import { layoutTree } from './tree.js'

// A tree without a superblock is laid out as with one, of which nobody stores the first blocks.

/** How much of a tree is its superblock, in whole hash blocks. */
function superblockArea(superblock: Superblock): number {
  return layoutTree(superblock).hashStartBlock * superblock.hashBlockSize
}

/** A tree as it would be with its superblock, of hash blocks that are stored alone. */
export function bareTreeSource(superblock: Superblock, stored: Source): Source {
  return concatSources([zeroSource(superblockArea(superblock)), stored])
}

/** The same to be written. */
export function bareTreeTarget(superblock: Superblock, stored: Target): Target {
  const area = superblockArea(superblock)
  const source = bareTreeSource(superblock, stored)
  return {
    size: source.size,
    read: (offset, length) => source.read(offset, length),
    where: (offset, length) => source.where?.(offset, length),
    async write(offset, bytes) {
      if (offset >= area) await stored.write(offset - area, bytes)
    },
    flush: () => stored.flush(),
  }
}

import { DdiError } from '../errors.js'
import { throwIfAborted } from '../work.js'

/** An image alone decides neither how long we read it, nor how much memory that takes. */
const most = { names: 1_000_000, characters: 256 * 1024 * 1024 }

/**
 * What every walk of a tree keeps to, whatever reads the tree. What it has counted is all that bounds it: an image of a few
 * kilobytes can have any number of paths.
 */
export interface Bounds {
  /** Counts a path. @throws ERR_DDI_FILE_SYSTEM if there are too many or they are too long, ERR_DDI_ABORTED */
  count(path: string): void
  /**
   * Has to be asked before what is in a directory is read, or waits to be: each level of directories with two names would
   * double the paths below.
   * @param inode tells it from all others of the walk
   * @throws ERR_DDI_FILE_SYSTEM if it was entered before
   */
  enter(inode: string | number, path: string): void
}

export function walkBounds(signal?: AbortSignal): Bounds {
  const entered = new Set<string | number>()
  let names = 0
  let characters = 0
  return {
    count(path) {
      throwIfAborted(signal)
      names++
      characters += path.length
      if (names > most.names || characters > most.characters)
        throw new DdiError(
          'ERR_DDI_FILE_SYSTEM',
          `the file system has more than ${most.names} files, or too long paths to them: that is more than is read`,
        )
    },
    enter(inode, path) {
      if (entered.has(inode))
        throw new DdiError(
          'ERR_DDI_FILE_SYSTEM',
          `the file system is damaged: ${JSON.stringify(`/${path}`)} is a directory with two names`,
        )
      entered.add(inode)
    },
  }
}

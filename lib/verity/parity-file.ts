import { openFile } from '../bytes/file.js'
import { sliceSource } from '../bytes/slice.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkRoots, coveredBlocks, parityLength } from './error-correction.js'
import type { TreeFile } from './tree-file.js'

/** Where the parity of error correction lies. */
export interface ParityPlace {
  /** File or block device. */
  readonly path: string
  /** Where the parity begins in it, in bytes: a multiple of the block size. */
  readonly offset: number
  /** Bytes of parity of each code, 2 to 24. */
  readonly roots: number
}

/**
 * The parity over data and tree, in an open file.
 * @returns close its file
 * @throws ERR_DDI_USAGE if it begins within a block, or is cut off; as {@link openFile}
 */
export async function openParityFile({ path, offset, roots }: ParityPlace, data: Source, tree: TreeFile) {
  checkRoots(roots)
  const correction = { blockSize: tree.superblock.dataBlockSize, roots }
  const file = await openFile(path)
  try {
    const end = tree.source.size - (file.identity === tree.file.identity ? tree.file.size - offset : 0)
    const covered = coveredBlocks(tree.superblock, data, tree.source, end)
    const length = parityLength(covered, correction)
    if (offset % correction.blockSize !== 0 || offset + length > file.size)
      throw new DdiError(
        'ERR_DDI_USAGE',
        `parity at byte ${offset}: ${path} has ${file.size} bytes; ${length} are needed from a multiple of ${correction.blockSize}`,
      )
    return {
      covered,
      parity: sliceSource(file, { start: offset, length }),
      ...correction,
      /** As the kernel counts. */
      inBlocks: {
        source: file,
        start: offset / correction.blockSize,
        blocks: covered.size / correction.blockSize,
        roots,
      },
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

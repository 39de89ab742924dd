import { openFile } from '../bytes/file.js'
import { sliceSource } from '../bytes/slice.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkRoots, coveredBlocks, fewestRoots, mostRoots, parityLength } from '../verity/error-correction.js'
import type { Superblock } from '../verity/superblock.js'
import { sizeOrZero, text, wholeNumber } from './values.js'
import { option, type ValuesOf } from './verb.js'

export const parityOptions = {
  fecDevice: option('--fec-device <file>', 'file or block device with the parity of error correction', text),
  fecOffset: option('--fec-offset <bytes>', 'where the parity begins in it', sizeOrZero, '0'),
  fecRoots: option('--fec-roots <count>', 'bytes of parity of each code', wholeNumber(fewestRoots, mostRoots), '2'),
}

/** What an opened tree is of. */
interface Covered {
  readonly superblock: Superblock
  readonly data: Source
  readonly tree: { readonly file: { readonly identity: string; readonly size: number }; readonly source: Source }
}

/**
 * The parity that options name, over data and tree.
 * @returns undefined if they name none; close its file
 * @throws ERR_DDI_USAGE if it begins within a block, or is cut off
 */
export async function openParity({ fecDevice, fecOffset, fecRoots }: ValuesOf<typeof parityOptions>, covered: Covered) {
  if (fecDevice === undefined) return undefined
  checkRoots(fecRoots)
  const { superblock, data, tree } = covered
  const file = await openFile(fecDevice)
  const correction = { blockSize: superblock.dataBlockSize, roots: fecRoots }
  try {
    const end = tree.source.size - (file.identity === tree.file.identity ? tree.file.size - fecOffset : 0)
    const bytes = coveredBlocks(superblock, data, tree.source, end)
    const length = parityLength(bytes, correction)
    if (fecOffset % correction.blockSize !== 0 || fecOffset + length > file.size)
      throw new DdiError(
        'ERR_DDI_USAGE',
        `--fec-offset: ${fecDevice} has ${file.size} bytes; ${length} are needed from a multiple of ${correction.blockSize}, not from ${fecOffset}`,
      )
    return {
      covered: bytes,
      parity: sliceSource(file, { start: fecOffset, length }),
      ...correction,
      /** As the kernel counts. */
      inBlocks: {
        source: file,
        start: fecOffset / correction.blockSize,
        blocks: bytes.size / correction.blockSize,
        roots: fecRoots,
      },
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

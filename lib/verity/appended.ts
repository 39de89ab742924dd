import { digestLengths, type HashAlgorithm } from './superblock.js'
import { layoutTree } from './tree.js'

/** Every block size that a superblock may give, the usual one first. */
const blockSizes = [4096, ...Array.from({ length: 11 }, (_, n) => 512 * 2 ** n).filter((size) => size !== 4096)]

/**
 * Where the superblock of a hash tree may lie that covers all before it and ends with its file: one place for each algorithm and pair
 * of block sizes, as the length of a tree follows from that of its data.
 * @param size of the file, in bytes
 */
export function appendedPlaces(size: number): readonly number[] {
  const places = new Set<number>()
  for (const dataBlockSize of blockSizes)
    for (const hashBlockSize of blockSizes)
      for (const algorithm of Object.keys(digestLengths) as HashAlgorithm[]) {
        if (size % hashBlockSize !== 0) continue
        const end = (dataBlocks: number) => layoutTree({ algorithm, hashBlockSize, dataBlocks }).end
        const dataBlocks = most(Math.floor(size / dataBlockSize), (count) => count * dataBlockSize + end(count) <= size)
        if (dataBlocks > 0) places.add(size - end(dataBlocks))
      }
  return [...places]
}

/** The largest count up to a limit that fits, if all smaller ones do; 0 if none. */
function most(limit: number, fits: (count: number) => boolean): number {
  let [fitting, beyond] = [0, limit + 1]
  while (beyond - fitting > 1) {
    const middle = Math.floor((fitting + beyond) / 2)
    if (fits(middle)) fitting = middle
    else beyond = middle
  }
  return fitting
}

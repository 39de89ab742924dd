import { guardSource } from '../bytes/guard.js'
import { equalOctets } from '../bytes/native.js'
import { checkRange, type Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { hashBlocks } from './hashing.js'
import { digestLengths, type Superblock } from './superblock.js'
import { checkRootHash, checkTreeFits, layoutTree } from './tree.js'

/** Hash blocks that are kept once they are verified: a level above covers many of them. */
const mostHashBlocks = 1024

/**
 * The bytes of a volume that a hash tree covers, each block verified as it is read, up to the root hash: dm-verity in user
 * space. It has no `where`: read in place, bytes would not be verified.
 * @param data the volume @param hash the hash volume, superblock included
 * @throws ERR_DDI_VERITY_SUPERBLOCK if the tree does not fit its volumes, ERR_DDI_ROOT_HASH_FORMAT, ERR_DDI_ROOT_HASH_WRONG; reading
 *   throws ERR_DDI_VERITY_CORRUPT at a bad block
 */
export async function checkedSource(
  superblock: Superblock,
  data: Source,
  hash: Source,
  rootHash: Uint8Array,
): Promise<Source> {
  const [guardedData, guardedHash] = [guardSource(data), guardSource(hash)]
  checkTreeFits(superblock, data.size, hash.size)
  await checkRootHash(superblock, guardedData, guardedHash, rootHash)
  return new Checked(superblock, guardedData, guardedHash, rootHash)
}

class Checked implements Source {
  readonly size: number
  readonly #superblock: Superblock
  readonly #data: Source
  readonly #hash: Source
  readonly #rootHash: Uint8Array
  readonly #layout: ReturnType<typeof layoutTree>
  /** Verified hash blocks by their byte offset, the least recently used first. */
  readonly #verified = new Map<number, Uint8Array>()

  constructor(superblock: Superblock, data: Source, hash: Source, rootHash: Uint8Array) {
    this.#superblock = superblock
    this.#data = data
    this.#hash = hash
    this.#rootHash = rootHash
    this.#layout = layoutTree(superblock)
    this.size = superblock.dataBlocks * superblock.dataBlockSize
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this.size, offset, length)
    if (length === 0) return new Uint8Array()
    const { dataBlockSize: blockSize } = this.#superblock
    const first = Math.floor(offset / blockSize)
    const count = Math.ceil((offset + length) / blockSize) - first
    // Hashed and handed out are the same bytes in memory: read twice, the second time could differ.
    const bytes = await this.#data.read(first * blockSize, count * blockSize)
    const digests = await this.#digests(bytes, blockSize)
    const digestLength = digestLengths[this.#superblock.algorithm]
    for (let index = 0; index < count; index++) {
      const actual = digests.subarray(index * digestLength, (index + 1) * digestLength)
      if (!equalOctets(actual, await this.#expected(0, first + index)))
        throw new DdiError(
          'ERR_DDI_VERITY_CORRUPT',
          `data block ${first + index} does not match the hash tree: the image was changed or damaged`,
          { block: first + index },
        )
    }
    return bytes.subarray(offset - first * blockSize, offset - first * blockSize + length)
  }

  async #digests(bytes: Uint8Array, blockSize: number): Promise<Uint8Array> {
    const { algorithm, salt } = this.#superblock
    return await hashBlocks(bytes, blockSize, { algorithm, salt })
  }

  /** The verified digest of a block of the level below `level`, the data below level 0. */
  async #expected(level: number, block: number): Promise<Uint8Array> {
    const { levels, digestsPerBlock } = this.#layout
    if (level === levels.length) return this.#rootHash
    const digestLength = digestLengths[this.#superblock.algorithm]
    const bytes = await this.#hashBlock(level, Math.floor(block / digestsPerBlock))
    const at = (block % digestsPerBlock) * digestLength
    return bytes.subarray(at, at + digestLength)
  }

  async #hashBlock(level: number, block: number): Promise<Uint8Array> {
    const { hashBlockSize } = this.#superblock
    const at = this.#layout.levels[level]!.offset + block * hashBlockSize
    let bytes = this.#verified.get(at)
    if (bytes) this.#verified.delete(at)
    else {
      bytes = await this.#hash.read(at, hashBlockSize)
      if (!equalOctets(await this.#digests(bytes, hashBlockSize), await this.#expected(level + 1, block)))
        throw new DdiError(
          'ERR_DDI_VERITY_CORRUPT',
          `hash block ${at / hashBlockSize} does not match the level above it: the hash tree was changed or damaged`,
          { block: at / hashBlockSize },
        )
    }
    this.#verified.set(at, bytes)
    if (this.#verified.size > mostHashBlocks) this.#verified.delete(this.#verified.keys().next().value!)
    return bytes
  }
}

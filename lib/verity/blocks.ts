import type { HashOptions } from '../../bindings/addon.js'
import { equalOctets } from '../bytes/native.js'
import { locate, type Source } from '../bytes/source.js'
import { type DdiError, systemError } from '../errors.js'
import { compareLocated, hashBlocks, hashLocated } from './hashing.js'
import { digestLengths } from './superblock.js'
import type { BlockRun } from './tasks.js'

/** Consecutive blocks of one size within a source: the data, or a level of the tree. */
export interface Blocks {
  readonly source: Source
  /** In bytes. */
  readonly blockSize: number
  /** Where block 0 lies in the source, in bytes. */
  readonly offset: number
}

/** The digests of blocks, packed into hash blocks. */
export interface DigestBlocks extends Blocks {
  readonly digestsPerBlock: number
}

/**
 * The salted digests of a run of blocks, one after the other. Bytes that lie in files are hashed there, by a thread;
 * others are read first.
 * @throws ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_ADDON_MISSING
 */
export async function digestBlocks(
  { source, blockSize, offset }: Blocks,
  run: BlockRun,
  hash: HashOptions,
): Promise<Uint8Array> {
  const start = offset + run.first * blockSize
  const length = run.count * blockSize
  const blocks = locate(source, start, length)
  try {
    if (!blocks) return await hashBlocks(await source.read(start, length), blockSize, hash)
    return await hashLocated({ ...hash, blocks, blockSize, count: run.count })
  } catch (error) {
    throw readError(error)
  }
}

/**
 * Compares a run of blocks with their digests.
 * @returns the numbers of the blocks that differ, ascending
 * @throws as {@link digestBlocks}
 */
export async function checkBlocks(
  of: Blocks,
  run: BlockRun,
  digests: DigestBlocks,
  hash: HashOptions,
): Promise<readonly number[]> {
  const { source, blockSize, offset } = of
  const firstHashBlock = Math.floor(run.first / digests.digestsPerBlock)
  const lastHashBlock = Math.floor((run.first + run.count - 1) / digests.digestsPerBlock)
  const start = digests.offset + firstHashBlock * digests.blockSize
  const length = (lastHashBlock + 1 - firstHashBlock) * digests.blockSize
  /** Index of the run's first digest within the hash blocks. */
  const firstDigest = run.first - firstHashBlock * digests.digestsPerBlock
  const blocks = locate(source, offset + run.first * blockSize, run.count * blockSize)
  const expected = locate(digests.source, start, length)
  if (blocks && expected) {
    const digestBlockSize = digests.blockSize
    const located = { blocks, blockSize, count: run.count, digests: expected, digestBlockSize, firstDigest }
    const bad = await compareLocated({ ...hash, ...located }).catch((error: unknown) => {
      throw readError(error)
    })
    return Array.from(bad, (index) => run.first + index)
  }
  const digestLength = digestLengths[hash.algorithm]
  const actual = await digestBlocks(of, run, hash)
  const known = await digests.source.read(start, length)
  const bad: number[] = []
  for (let index = 0; index < run.count; index++) {
    const at = digestPosition(firstDigest + index, digests, digestLength)
    const digest = actual.subarray(index * digestLength, (index + 1) * digestLength)
    if (!equalOctets(digest, known.subarray(at, at + digestLength))) bad.push(run.first + index)
  }
  return bad
}

/** Where a digest lies in consecutive hash blocks, in bytes. */
function digestPosition(index: number, { blockSize, digestsPerBlock }: DigestBlocks, digestLength: number): number {
  return Math.floor(index / digestsPerBlock) * blockSize + (index % digestsPerBlock) * digestLength
}

/** A thread that hashes bytes in place reports what it could not read. */
function readError(error: unknown): DdiError {
  const { path = 'the volume' } = error as { path?: string }
  return systemError(error, `cannot read ${path}`, { ENODATA: 'ERR_DDI_SHORT_READ' })
}

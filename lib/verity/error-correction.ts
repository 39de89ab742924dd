import { concatSources } from '../bytes/concat.js'
import { equalOctets } from '../bytes/native.js'
import { joinOctets } from '../bytes/octets.js'
import { alignUp } from '../bytes/runs.js'
import { sliceSource } from '../bytes/slice.js'
import type { Source, Target } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions } from '../options.js'
import { throwIfAborted, type Work, workNames } from '../work.js'
import { codeLength, correct, parityOf } from './reed-solomon.js'
import type { Superblock } from './superblock.js'
import { layoutTree } from './tree.js'

// Forward error correction of dm-verity (verity.rst, "Construction Parameters"; cryptsetup's lib/verity/verity_fec.c): the data and the
// hash blocks, one after the other, are divided into 255 − roots parts of consecutive blocks; the n-th bytes of all parts make one code.

/** How many bytes of parity a code may have, by the kernel's rules. */
export const fewestRoots = 2
export const mostRoots = 24

/** How parity is laid out. */
export interface ErrorCorrection {
  /** In bytes, of data and hash blocks alike. */
  readonly blockSize: number
  /** Bytes of parity of each code. */
  readonly roots: number
}

/**
 * The bytes that codes are over: the data, and all that is stored from the first hash block on.
 * @param hash the hash volume, superblock included
 * @param end where in it the parity begins, if that lies behind the tree; else its size
 * @throws ERR_DDI_USAGE if data and hash blocks have different sizes
 */
export function coveredBlocks(superblock: Superblock, data: Source, hash: Source, end = hash.size): Source {
  const { dataBlocks, dataBlockSize, hashBlockSize } = superblock
  if (dataBlockSize !== hashBlockSize)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `error correction needs data and hash blocks of one size, not of ${dataBlockSize} and ${hashBlockSize} bytes`,
    )
  const start = layoutTree(superblock).hashStartBlock * hashBlockSize
  const length = Math.floor((end - start) / hashBlockSize) * hashBlockSize
  return concatSources([
    sliceSource(data, { start: 0, length: dataBlocks * dataBlockSize }),
    ...(length > 0 ? [sliceSource(hash, { start, length })] : []),
  ])
}

/** @throws ERR_DDI_USAGE for a number of roots that no code has */
export function checkRoots(roots: number): void {
  if (!Number.isInteger(roots) || roots < fewestRoots || roots > mostRoots)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `error correction: ${roots} bytes of parity, not ${fewestRoots} to ${mostRoots}`,
    )
}

/** How long the parts are, in blocks: as many as there are rounds of codes. */
function roundsOf(covered: Source, { blockSize, roots }: ErrorCorrection): number {
  return Math.ceil(covered.size / blockSize / (codeLength - roots))
}

/** How many bytes the parity takes. @param covered the data and the hash blocks */
export function parityLength(covered: Source, correction: ErrorCorrection): number {
  return roundsOf(covered, correction) * correction.blockSize * correction.roots
}

/** How much of all parts is worked on at once. */
const bytesAtOnce = 32 * 1024 * 1024

/** Rounds that are worked on together, and the runs of blocks, one of each part, that they are over. */
async function* batches(covered: Source, correction: ErrorCorrection, signal: AbortSignal | undefined) {
  const { blockSize, roots } = correction
  const rounds = roundsOf(covered, correction)
  const parts = codeLength - roots
  const step = Math.max(1, Math.floor(bytesAtOnce / parts / blockSize))
  for (let first = 0; first < rounds; first += step) {
    throwIfAborted(signal)
    const count = Math.min(step, rounds - first)
    const starts = Array.from({ length: parts }, (_, part) => (first + part * rounds) * blockSize)
    const blocks = await Promise.all(starts.map((start) => readPadded(covered, start, count * blockSize)))
    yield { parityStart: first * blockSize * roots, parityLength: count * blockSize * roots, starts, blocks }
  }
}

/** Beyond the end, there are zeroes. */
async function readPadded(source: Source, start: number, length: number): Promise<Uint8Array> {
  const there = Math.max(0, Math.min(length, source.size - start))
  if (there === length) return await source.read(start, length)
  return joinOctets(there > 0 ? [await source.read(start, there)] : [], length)
}

/**
 * Writes the parity of data and hash blocks, and flushes it.
 * @param covered the data and the hash blocks, one after the other: whole blocks
 * @param target `parityLength` bytes
 * @throws ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED
 */
export async function writeParity(
  covered: Source,
  target: Target,
  correction: ErrorCorrection,
  work: Work = {},
): Promise<void> {
  checkOptions(work, workNames, 'writeParity')
  const { signal, onProgress } = work
  for await (const { parityStart, blocks } of batches(covered, correction, signal)) {
    const parity = parityOf(blocks, correction.roots)
    await target.write(parityStart, parity)
    onProgress?.({ done: parityStart + parity.length, total: target.size })
  }
  await target.flush()
}

/** Blocks as they were, as far as the codes tell. */
export interface Corrected {
  /** Blocks that differ from what is stored, by their byte offsets in what is covered. */
  readonly blocks: ReadonlyMap<number, Uint8Array>
  /** How many bytes in them differ. */
  readonly bytes: number
  /** How many codes have more errors than they can correct. */
  readonly failedCodes: number
}

/** More damage than fits in memory is no damage to be corrected here. */
const mostCorrected = 64 * 1024 * 1024

/**
 * Corrects what is covered as its codes say: nobody has verified that yet, and a tree has to.
 * @param parity `parityLength` bytes
 * @throws ERR_DDI_VERITY_CORRUPT if more than 64 MiB of blocks would change; ERR_DDI_SHORT_READ, ERR_DDI_IO, ERR_DDI_ABORTED
 */
export async function correctBlocks(
  covered: Source,
  parity: Source,
  correction: ErrorCorrection,
  work: Work = {},
): Promise<Corrected> {
  checkOptions(work, workNames, 'correctBlocks')
  const { signal, onProgress } = work
  const { blockSize, roots } = correction
  const changed = new Map<number, Uint8Array>()
  let [bytes, failedCodes] = [0, 0]
  for await (const batch of batches(covered, correction, signal)) {
    const after = batch.blocks.map((block) => Uint8Array.from(block))
    const codes = await parity.read(batch.parityStart, batch.parityLength)
    const { corrected, failed } = correct(after, codes, roots)
    bytes += corrected
    failedCodes += failed
    onProgress?.({ done: batch.parityStart + batch.parityLength, total: parity.size })
    if (corrected === 0) continue
    for (const [part, block] of after.entries())
      for (let at = 0; at < block.length; at += blockSize) {
        const one = block.subarray(at, at + blockSize)
        const start = batch.starts[part]! + at
        const isChanged = !equalOctets(one, batch.blocks[part]!.subarray(at, at + blockSize))
        if (isChanged && start < alignUp(covered.size, blockSize)) changed.set(start, one)
      }
    if (changed.size * blockSize > mostCorrected)
      throw new DdiError('ERR_DDI_VERITY_CORRUPT', `error correction would change over ${mostCorrected} bytes`)
  }
  return { blocks: changed, bytes, failedCodes }
}

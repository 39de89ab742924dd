import type { FormattedTree } from '../build/tree.js'
import { extentSource, linear } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { nilUuid } from '../uuid.js'
import { bareTreeSource } from '../verity/bare-tree.js'
import { encodeSuperblock, readSuperblock, type Superblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { choice } from './choice.js'
import { describeRun } from './extents.js'
import { hexadecimal, powerOfTwo, sizeOrZero, wholeNumber } from './values.js'
import { flag, option, type ValuesOf } from './verb.js'

const blockSize = powerOfTwo(512, 512 * 1024)

export const hashOffset = {
  hashOffset: option('--hash-offset <bytes>', 'where the tree begins in the hash file', sizeOrZero, '0'),
}

/** What a superblock says of a tree, and else the command line. */
export const treeParameters = {
  hash: option('--hash <algorithm>', 'hash algorithm (default: sha256)', choice('sha256', 'sha512')),
  dataBlockSize: option('--data-block-size <size>', 'a power of two from 512 (default: 4096)', blockSize),
  hashBlockSize: option('--hash-block-size <size>', 'a power of two from 512 (default: 4096)', blockSize),
  dataBlocks: option(
    '--data-blocks <count>',
    'how many blocks the tree covers (default: all that are whole)',
    wholeNumber(1, 999_999_999_999_999),
  ),
  noSuperblock: flag('--no-superblock', 'no superblock lies before the tree'),
}

/** Of verbs that read a tree. */
export const treeOptions = {
  ...hashOffset,
  ...treeParameters,
  salt: option('--salt <hex>', 'without a superblock: the salt (default: none)', hexadecimal),
}

/**
 * The hash tree in a file, with its superblock, or what the command line says in its place.
 * @param dataSize of what it covers, in bytes
 * @throws ERR_DDI_USAGE for parameters beside a superblock, or that none could say
 */
export async function openTree(path: string, options: ValuesOf<typeof treeOptions>, dataSize: number) {
  const { hashOffset: start, noSuperblock, hash, salt, dataBlockSize, hashBlockSize, dataBlocks } = options
  const given = Object.entries({ hash, salt, dataBlockSize, hashBlockSize, dataBlocks }).filter(
    ([, one]) => one !== undefined,
  )
  if (!noSuperblock) {
    if (given.length > 0)
      throw new DdiError(
        'ERR_DDI_USAGE',
        'the superblock says how the tree is made: give parameters only with --no-superblock',
      )
    return await openStoredTree(path, start)
  }
  const superblock: Superblock = {
    uuid: nilUuid,
    algorithm: hash ?? 'sha256',
    salt: salt ?? new Uint8Array(),
    dataBlockSize: dataBlockSize ?? 4096,
    hashBlockSize: hashBlockSize ?? 4096,
    dataBlocks: dataBlocks ?? Math.floor(dataSize / (dataBlockSize ?? 4096)),
  }
  encodeSuperblock(superblock)
  const tree = await openRun(path, start)
  requireAligned(start, superblock)
  return { ...tree, superblock, source: bareTreeSource(superblock, tree.source) }
}

/** The superblock in a hash file, and where its tree lies. @param start of the superblock, in bytes */
export async function openStoredTree(path: string, start: number) {
  const tree = await openRun(path, start)
  try {
    const superblock = await readSuperblock(tree.source)
    requireAligned(start, superblock)
    return { ...tree, superblock }
  } catch (error) {
    await tree.file.close()
    throw error
  }
}

async function openRun(path: string, start: number) {
  const file = await openFile(path)
  if (start >= file.size) {
    await file.close()
    throw new DdiError('ERR_DDI_USAGE', `--hash-offset: ${path} has only ${file.size} bytes`)
  }
  const run = { start, length: file.size - start }
  return { file, run, source: extentSource(file, linear([run])), [Symbol.asyncDispose]: () => file.close() }
}

/** The kernel counts from the beginning of the device, in hash blocks. @throws ERR_DDI_USAGE */
function requireAligned(start: number, { hashBlockSize }: Superblock): void {
  if (start % hashBlockSize !== 0)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `--hash-offset: ${start} is not a multiple of the hash block size ${hashBlockSize}`,
    )
}

export function describeTree({ superblock, hash }: Pick<FormattedTree, 'superblock' | 'hash'>) {
  const { uuid, algorithm, salt, dataBlockSize, hashBlockSize, dataBlocks } = superblock
  const { hashStartBlock, levels } = layoutTree(superblock)
  return {
    uuid,
    algorithm,
    salt: Buffer.from(salt).toString('hex'),
    dataBlockSize,
    hashBlockSize,
    dataBlocks,
    hashStartBlock,
    levels: levels.length,
    hash: describeRun(hash),
  }
}

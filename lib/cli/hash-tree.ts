import type { FormattedTree } from '../build/tree.js'
import { layoutTree } from '../verity/tree.js'
import type { TreeFileOptions } from '../verity/tree-file.js'
import { choice } from './choice.js'
import { describeRun } from './extents.js'
import { given } from './given.js'
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

/** Where the tree of a verb lies, and how it is made. */
export function treeFileOf(
  options: ValuesOf<typeof treeParameters> & {
    readonly hashOffset: number | undefined
    readonly salt: Uint8Array | undefined
  },
): TreeFileOptions {
  const { hashOffset, noSuperblock, hash, salt, dataBlockSize, hashBlockSize, dataBlocks } = options
  const dataSize = dataBlocks === undefined ? undefined : dataBlocks * (dataBlockSize ?? 4096)
  return {
    superblock: !noSuperblock,
    ...given({ hashOffset, algorithm: hash, salt, dataBlockSize, hashBlockSize, dataSize }),
  }
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

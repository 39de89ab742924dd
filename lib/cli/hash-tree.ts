import type { FormattedTree } from '../build/tree.js'
import { extentSource, linear } from '../bytes/extents.js'
import { openFile } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import { readSuperblock, type Superblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { sizeOrZero } from './values.js'
import { option } from './verb.js'

export const hashOffset = {
  hashOffset: option('--hash-offset <bytes>', 'where the superblock lies in the hash file', sizeOrZero, '0'),
}

/** The superblock in a hash file, and where its tree lies. @param start of the superblock, in bytes */
export async function openTree(path: string, start: number) {
  const file = await openFile(path)
  try {
    if (start >= file.size) throw new DdiError('ERR_DDI_USAGE', `--hash-offset: ${path} has only ${file.size} bytes`)
    const run = { start, length: file.size - start }
    const source = extentSource(file, linear([run]))
    const superblock: Superblock = await readSuperblock(source)
    return { file, run, source, superblock, [Symbol.asyncDispose]: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
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
    hash,
  }
}

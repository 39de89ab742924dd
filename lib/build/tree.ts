import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { extentTarget, linear } from '../bytes/extents.js'
import { type FileSource, type FileTarget, openFile, openFileForWriting } from '../bytes/file.js'
import { writeNewFile } from '../bytes/new-file.js'
import { alignUp } from '../bytes/runs.js'
import { sliceSource } from '../bytes/slice.js'
import type { Run } from '../bytes/source.js'
import { heldBy } from '../disk/held.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import { type Place, placeOf } from '../kernel/places.js'
import { checkOptions, type OptionNames, pickOptions } from '../options.js'
import { newSuperblock, type TreeOptions, treeOptionNames, writeTree } from '../verity/format.js'
import type { Superblock } from '../verity/superblock.js'
import { layoutTree } from '../verity/tree.js'
import { type Work, workNames } from '../work.js'

export interface FormatFileOptions extends TreeOptions, Work {
  /** How many bytes of the data file count. Default: all. */
  readonly dataSize?: number
  /** Replaces a hash file that exists, and what a block device for the tree holds. Default: false. */
  readonly replace?: boolean
}

const formatFileOptionNames: OptionNames<FormatFileOptions> = {
  ...treeOptionNames,
  ...workNames,
  dataSize: true,
  replace: true,
}

export interface FormattedTree {
  readonly rootHash: Uint8Array
  readonly superblock: Superblock
  /** Where the tree lies in its file, in bytes. */
  readonly hash: Run
}

/**
 * Makes the hash tree of a file or block device: in a new file, on another block device, or after the data in the same file.
 * @param hashPath where the tree goes; null appends it to the data file, at the next multiple of the hash block size
 * @throws ERR_DDI_USAGE for an unknown option, for more bytes than there are, and for a tree that would overwrite its data; what `newSuperblock` and `writeTree`
 *   throw; ERR_DDI_EXISTS for a file that exists or a block device that holds data; ERR_DDI_NO_SPACE if one is too small
 */
export async function formatFile(
  dataPath: string,
  hashPath: string | null,
  options: FormatFileOptions = {},
): Promise<FormattedTree> {
  checkOptions(options, formatFileOptionNames, 'formatFile')
  const { hashBlockSize = 4096, replace = false } = options
  await using data = hashPath === null ? await openFileForWriting(dataPath) : await openFile(dataPath)
  const size = options.dataSize ?? data.size
  if (size > data.size)
    throw new DdiError('ERR_DDI_USAGE', `${dataPath} has ${data.size} bytes: a tree cannot cover ${size} of it`)
  const superblock = newSuperblock(size, { ...pickOptions(options, treeOptionNames), hashBlockSize })
  const { end } = layoutTree(superblock)
  const source = sliceSource(data, { start: 0, length: size })
  const write = async (target: FileTarget, run: Run): Promise<FormattedTree> => {
    const rootHash = await writeTree(
      superblock,
      source,
      extentTarget(target, linear([run])),
      pickOptions(options, workNames),
    )
    return { rootHash, superblock, hash: run }
  }
  if (hashPath === null) {
    if (data.kind !== 'file')
      throw new DdiError(
        'ERR_DDI_USAGE',
        `${dataPath} is a block device, to which nothing can be appended: give a file or device for the tree`,
      )
    const file = data as FileTarget
    try {
      return await write(file, { start: alignUp(file.size, hashBlockSize), length: end })
    } catch (error) {
      // By now, its path may lead to another file.
      await file.truncate(file.size)
      throw error
    }
  }
  const run = { start: 0, length: end }
  const there = await statIfAny(hashPath)
  if (!there?.isBlockDevice()) {
    if (there) await refuseOverlap(data, hashPath, { ground: `file ${there.dev}:${there.ino}`, start: 0 })
    return await writeNewFile(hashPath, end, (target) => write(target, run), { replace })
  }
  await using device = await openFileForWriting(hashPath)
  if (device.size < end)
    throw new DdiError('ERR_DDI_NO_SPACE', `${hashPath} has ${device.size} bytes, and the tree needs ${end}`)
  await refuseOverlap(data, hashPath, await placeOf(device), end)
  const held = replace ? undefined : await heldBy(device)
  if (held !== undefined)
    throw new DdiError(
      'ERR_DDI_EXISTS',
      `${hashPath} holds data already, and a tree would destroy it: ${held} exists on it`,
    )
  return await write(device, run)
}

/** Refuses to write a tree where its data lie, whatever the names of both. @param length of what would be lost, in bytes; default: all */
async function refuseOverlap(
  data: FileSource,
  hashPath: string,
  { ground, start }: Place,
  length = Infinity,
): Promise<void> {
  const place = await placeOf(data)
  if (place.ground === ground && start < place.start + data.size && place.start < start + length)
    throw new DdiError('ERR_DDI_USAGE', `the tree would overwrite its data: ${hashPath} lies where ${data.path} does`)
}

async function statIfAny(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot stat ${path}`)
  }
}

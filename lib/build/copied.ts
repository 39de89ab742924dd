// Definitions of copies: the partitions of other images, as they are there.
import { stat } from 'node:fs/promises'
import { openFile } from '../bytes/file.js'
import { alignUp } from '../bytes/runs.js'
import { readDiskTable } from '../disk/disk.js'
import { DdiError } from '../errors.js'
import type { Gpt, Partition } from '../gpt/table.js'
import { type PartitionDefinition, unset } from './partition-definition.js'
import { alignDown } from './shares.js'

/**
 * Defines a copy of each partition of images: of the same size, type, UUID, label and flags, and as far from the next one.
 * @param images paths of disk images or block devices
 * @param output path of the image that is built
 * @param grain what sizes will be multiples of, in bytes
 * @throws ERR_DDI_USAGE, ERR_DDI_NO_TABLE and the `ERR_DDI_GPT_…` codes, ERR_DDI_NOT_FOUND, ERR_DDI_PERMISSION
 */
export async function copiedDefinitions(
  images: readonly string[],
  output: string,
  grain: number,
): Promise<readonly PartitionDefinition[]> {
  const copies: PartitionDefinition[] = []
  for (const path of images) {
    if (await isSame(path, output)) throw new DdiError('ERR_DDI_USAGE', `${path} cannot be copied into itself`)
    await using image = await openFile(path)
    const { table } = await readDiskTable(image)
    copies.push(...table.partitions.map((one) => copyOf(one, table, path, grain)))
  }
  return copies
}

async function isSame(path: string, output: string): Promise<boolean> {
  const [from, to] = await Promise.all([path, output].map((one) => stat(one).catch(() => undefined)))
  if (!from || !to) return false
  return from.isBlockDevice() ? from.rdev === to.rdev : from.ino === to.ino && from.dev === to.dev
}

function copyOf(
  { typeUuid, uuid, label, attributes, start, length }: Partition,
  { partitions }: Gpt,
  path: string,
  grain: number,
): PartitionDefinition {
  const size = alignUp(length, grain)
  const next = Math.min(...partitions.map((one) => one.start).filter((other) => other > start))
  const padding = Number.isFinite(next) ? alignDown(Math.max(0, next - start - size), grain) : 0
  return {
    ...unset,
    ...{ path, dropIns: [], typeUuid, uuid, label },
    ...{ sizeMin: size, sizeMax: size, paddingMin: padding, paddingMax: padding },
    ...{ flags: attributes, readOnly: false, noAuto: false, growFileSystem: false },
    copied: { path, start, length },
    splitName: null,
  }
}

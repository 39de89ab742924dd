// What each partition is: its name, its UUID and what it holds, before anything has a place.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openFile } from '../bytes/file.js'
import { systemError } from '../errors.js'
import { partitionTypeName } from '../gpt/dps-types.js'
import { resolveInRoot } from '../mount/root.js'
import type { BuildContext } from './context.js'
import type { BuildFormat, PartitionDefinition } from './definitions.js'
import { makeFileSystem, type NewFileSystem, shrinkFileSystem, smallestSize } from './file-system.js'
import { derivedUuid, partitionUuid } from './identifiers.js'
import { wholeGrains } from './shares.js'
import { refuseUnfitFiles, stageTree, treeSize } from './staging.js'

/** A partition as it comes to be: each step of a build gives it more. */
export interface Draft<Holds extends Contents = Contents> {
  readonly definition: PartitionDefinition
  readonly label: string
  /** From the definition or the seed; a root hash may replace the latter. */
  readonly uuid: string
  /** Where a file that is made for its contents goes. */
  readonly contentsPath: string
  readonly contents: Holds
}

export type Contents = Bytes | PendingFileSystem

/** Contents as they will be in the image. */
export type Bytes = { readonly kind: 'none' } | FileContents

/** The partition begins with all bytes of a file; the rest is zeroes. */
export interface FileContents {
  readonly kind: 'file'
  readonly path: string
  /** In bytes. */
  readonly size: number
  /** Made by this build, which may do with it what it likes. */
  readonly isTemporary: boolean
}

/** A file system as large as its partition, made when that has its size. */
export interface PendingFileSystem {
  readonly kind: 'file-system'
  readonly fileSystem: NewFileSystem
  /** How much its contents are expected to take, in bytes. */
  readonly needed: number
}

/**
 * Names the partitions, and makes the file systems whose size follows from their contents.
 * @throws ERR_DDI_DEFINITION, ERR_DDI_NOT_FOUND, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function draftPartitions(
  definitions: readonly PartitionDefinition[],
  context: BuildContext,
): Promise<readonly Draft[]> {
  const drafts: Draft[] = []
  for (const definition of definitions) drafts.push(await draftPartition(definition, drafts, context))
  return drafts
}

async function draftPartition(
  definition: PartitionDefinition,
  earlier: readonly Draft[],
  context: BuildContext,
): Promise<Draft> {
  const { typeUuid, format } = definition
  const sameType = earlier.filter((one) => one.definition.typeUuid === typeUuid).length
  const uuid = definition.uuid ?? partitionUuid(context.seed, typeUuid, sameType)
  const label = definition.label ?? freeLabel(partitionTypeName(typeUuid) ?? 'linux-generic', earlier)
  const prefix = `${context.prefix}.${earlier.length}`
  const contentsPath = `${prefix}.contents`
  const tree = await stageTree(definition, `${prefix}.tree`, context)
  if (format === 'vfat' && tree !== null) await refuseUnfitFiles(tree, definition.path)
  const identity = { label, uuid: derivedUuid(uuid, 'file-system-uuid'), epoch: context.epoch }
  const contents =
    format === null
      ? await copiedContents(definition, context)
      : await draftFileSystem({ path: contentsPath, format, tree, ...identity }, definition, context)
  return { definition, label, uuid, contentsPath, contents }
}

async function copiedContents({ copyBlocks }: PartitionDefinition, { root }: BuildContext): Promise<Bytes> {
  if (copyBlocks === null) return { kind: 'none' }
  const path = await resolveInRoot(root, copyBlocks).catch((error: unknown) => {
    throw systemError(error, `cannot open ${join(root, copyBlocks)}`)
  })
  await using file = await openFile(path)
  return { kind: 'file', path: file.path, size: file.size, isTemporary: false }
}

/** Makes a file system now if its size follows from its contents. */
async function draftFileSystem(
  fileSystem: NewFileSystem,
  { minimize }: PartitionDefinition,
  { signal }: BuildContext,
): Promise<Contents> {
  const { path, tree } = fileSystem
  const room = await leastRoom(fileSystem.format, tree)
  if (room !== null && !minimize)
    return { kind: 'file-system', fileSystem, needed: Math.max(room.smallest, room.filled * 1.2) }
  const size = room === null ? 0 : wholeGrains(Math.max(room.smallest, room.filled * 2))
  await makeFileSystem(fileSystem, size, signal)
  if (minimize) await shrinkFileSystem(fileSystem, signal)
  return { kind: 'file', path, size: (await stat(path)).size, isTemporary: true }
}

/** What bounds the size of a file system, in bytes; null for those that fit their contents by themselves. */
async function leastRoom(
  format: BuildFormat,
  tree: string | null,
): Promise<{ readonly smallest: number; readonly filled: number } | null> {
  const smallest = smallestSize(format)
  return smallest === null ? null : { smallest, filled: tree === null ? 0 : await treeSize(tree) }
}

/** As systemd-repart labels what has no label: by the type, and by a number if that is taken. */
export function freeLabel(name: string, others: readonly Pick<Draft, 'label'>[]): string {
  const taken = new Set(others.map(({ label }) => label))
  for (let number = 1; ; number++) {
    const label = number === 1 ? name : `${name}-${number}`
    if (!taken.has(label)) return label
  }
}

/** The partition of a kind that shares the match key of another one. */
export function verityPartner<One extends Draft>(
  drafts: readonly One[],
  { definition: { verityMatchKey } }: Draft,
  kind: PartitionDefinition['verity'],
): One | undefined {
  return drafts.find(({ definition }) => definition.verity === kind && definition.verityMatchKey === verityMatchKey)
}

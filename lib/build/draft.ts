// What each partition is: its name, its UUID and what it holds, before anything has a place.
import { randomBytes, randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openFile } from '../bytes/file.js'
import { alignUp } from '../bytes/runs.js'
import { DdiError, systemError } from '../errors.js'
import { partitionTypeName } from '../gpt/dps-types.js'
import type { Partition } from '../gpt/table.js'
import { resolveInRoot } from '../mount/root.js'
import { nilUuid } from '../uuid.js'
import type { Contents } from './contents.js'
import type { BuildContext } from './context.js'
import { refuseUnfitNames } from './fat.js'
import { makeFileSystem, type NewFileSystem, shrinkFileSystem, smallestSize } from './file-system.js'
import { fileSystemUuid, partitionUuid } from './identifiers.js'
import type { BuildFormat, PartitionDefinition } from './partition-definition.js'
import { runningPartition } from './running.js'
import { stageTree, treeSize } from './staging.js'

/** A partition as it comes to be: each step of a build gives it more. */
export interface Draft<Holds extends Contents = Contents> {
  readonly definition: PartitionDefinition
  /** The partition of the disk that it is already, which keeps what it holds; null: it is new. */
  readonly there: Partition | null
  readonly label: string
  /** From the definition or the seed; a root hash may replace the latter. */
  readonly uuid: string
  /** Of LUKS2; null for what is not encrypted, or was before. */
  readonly volumeKey: Uint8Array | null
  /** Where a file that is made for its contents goes. */
  readonly contentsPath: string
  readonly contents: Holds
  /** Files that its file system cannot have, and that were left out: for people. */
  readonly skipped: readonly string[]
}

/** A definition, and the partition of the disk that it is for, if that is there. */
export interface MatchedDefinition {
  readonly definition: PartitionDefinition
  readonly there: Partition | null
}

/** Existing partitions go to the definitions of their type, both in their order: repart.d(5). */
export function matchDefinitions(
  definitions: readonly PartitionDefinition[],
  partitions: readonly Partition[],
): readonly MatchedDefinition[] {
  const left = [...partitions]
  return definitions.map((definition) => {
    const at = left.findIndex(({ typeUuid }) => typeUuid === definition.typeUuid)
    return { definition, there: at === -1 ? null : left.splice(at, 1)[0]! }
  })
}

/**
 * Names the partitions.
 * @param taken UUIDs of partitions that stay
 * @throws ERR_DDI_DEFINITION for a UUID that another partition has
 */
export function namePartitions(
  matched: readonly MatchedDefinition[],
  taken: ReadonlySet<string>,
  context: BuildContext,
): readonly Named[] {
  const named: Named[] = []
  for (const one of matched) named.push(namePartition(one, named, taken, context))
  return named
}

/**
 * Makes the file systems whose size follows from their contents.
 * @throws ERR_DDI_DEFINITION, ERR_DDI_NOT_FOUND, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_ABORTED
 */
export async function draftPartitions(named: readonly Named[], context: BuildContext): Promise<readonly Draft[]> {
  const drafts: Draft[] = []
  for (const one of named) drafts.push(await draftPartition(one, context))
  return drafts
}

/** A partition that has its name, and nothing yet. */
export type Named = Omit<Draft, 'contents' | 'skipped'>

/** As systemd-repart does: what a partition is called already stays. */
function namePartition(
  { definition, there }: MatchedDefinition,
  earlier: readonly Named[],
  taken: ReadonlySet<string>,
  { seed, prefix }: BuildContext,
): Named {
  const { typeUuid } = definition
  const sameType = earlier.filter((one) => one.definition.typeUuid === typeUuid).length
  const derived = partitionUuid(seed, typeUuid, sameType)
  const isTaken = (one: string) => one !== nilUuid && (taken.has(one) || earlier.some((other) => other.uuid === one))
  const clashes = definition.uuid !== null && !there && isTaken(definition.uuid)
  if (clashes && !definition.copied)
    throw new DdiError('ERR_DDI_DEFINITION', `${definition.path}: UUID=${definition.uuid} is that of another partition`)
  const given = clashes ? null : definition.uuid
  const own = there && there.uuid !== nilUuid ? there.uuid : given
  const uuid = own ?? (isTaken(derived) ? randomUUID() : derived)
  const label = there?.label || (definition.label ?? freeLabel(partitionTypeName(typeUuid) ?? 'linux', earlier))
  const volumeKey = definition.encrypt && !there ? randomBytes(64) : null
  return { definition, there, label, uuid, volumeKey, contentsPath: `${prefix}.${earlier.length}.contents` }
}

async function draftPartition(named: Named, context: BuildContext): Promise<Draft> {
  const { definition, there, label, uuid, contentsPath } = named
  const { format } = definition
  if (there) return { ...named, contents: { kind: 'none' }, skipped: [] }
  if (format === null) return { ...named, contents: await copiedContents(definition, context), skipped: [] }
  const { copySource, ...options } = context
  const stage = await stageTree(definition, contentsPath.replace(/contents$/, 'tree'), { ...options, root: copySource })
  const tree = stage?.directory ?? null
  if (format === 'vfat' && tree !== null) await refuseUnfitNames(tree, definition.path)
  const { compression, compressionLevel, subvolumes, defaultSubvolume, fileSystemSectorSize } = definition
  const contents = await draftFileSystem(
    {
      ...{ path: contentsPath, format, tree, label, epoch: context.epoch },
      ...{ compression, compressionLevel, subvolumes, defaultSubvolume },
      sectorSize: fileSystemSectorSize ?? context.sectorSize,
      ...{ uuid: fileSystemUuid(uuid), excluded: stage?.excluded ?? [] },
    },
    definition,
    context,
  )
  return { ...named, contents, skipped: stage?.skipped ?? [] }
}

async function copiedContents(
  { copied, copyBlocks, typeUuid }: PartitionDefinition,
  { root }: BuildContext,
): Promise<Contents> {
  if (copied) return { kind: 'file', path: copied.path, start: copied.start, size: copied.length, isTemporary: false }
  if (copyBlocks === null) return { kind: 'none' }
  const path =
    copyBlocks === 'auto'
      ? await runningPartition(typeUuid, root)
      : await resolveInRoot(root, copyBlocks).catch((error: unknown) => {
          throw systemError(error, `cannot open ${join(root, copyBlocks)}`)
        })
  if ((await stat(path)).isCharacterDevice()) return { kind: 'stream', path }
  await using file = await openFile(path)
  return { kind: 'file', path: file.path, size: file.size, isTemporary: false }
}

/** Of file systems, in bytes. */
const block = 4096

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
  // FAT does not shrink: its clusters are no larger than the blocks that are counted, its tables take less than a twentieth.
  const ample = fileSystem.format === 'vfat' ? room && room.filled * 1.05 + 1024 * 1024 : room && room.filled * 2
  const size = room === null ? 0 : alignUp(Math.max(room.smallest, ample ?? 0), block)
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

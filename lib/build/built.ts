// What all builds have in common: what is made before anything is written, and what is said of it then.
import { rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { refuseNewFile } from '../bytes/new-file.js'
import { openScratch } from '../bytes/scratch.js'
import type { Run } from '../bytes/source.js'
import { systemError } from '../errors.js'
import { aborted } from '../work.js'
import { splitPaths } from './assemble.js'
import { deferred } from './choice.js'
import type { BuildContext, BuildSettings } from './context.js'
import { fill } from './fill.js'
import type { PlacedDraft } from './layout.js'
import type { PartitionDefinition } from './partition-definition.js'
import { coveredPlaces, type Plan } from './plan.js'
import { type ProtectedDraft, protect } from './protect.js'

/** A partition of a built image, and the definition that it is made by. */
export interface BuiltPartition {
  /** Path of its definition. */
  readonly definition: string
  /** Paths of the files that change it. */
  readonly dropIns: readonly string[]
  /** `create`: it is new; `grow`: it was there, and is larger now; `keep`: it was there; `defer`: it just has its place. */
  readonly activity: 'create' | 'grow' | 'keep' | 'defer'
  /** In the table, of the first segment. */
  readonly number: number
  readonly typeUuid: string
  readonly uuid: string
  readonly label: string
  /** In bytes; 0 for a new one. */
  readonly oldSize: number
  /** In bytes. */
  readonly size: number
  /** Bytes that stay free behind it. */
  readonly padding: number
  /** More than one for those with `Dynamic=yes`. */
  readonly extents: readonly Run[]
  /** In hexadecimal, if a hash tree covers the partition, or it is part of what does; else null. */
  readonly rootHash: string | null
  /** The file that `split` wrote; null if none. */
  readonly splitPath: string | null
}

/** An image as it was built, or as it would be. */
export interface BuiltImage {
  readonly path: string
  /** In bytes. */
  readonly size: number
  readonly uuid: string
  readonly seed: string
  readonly partitions: readonly BuiltPartition[]
  /** What else a disk has, which stays as it is. */
  readonly others: readonly (Run & { readonly number: number; readonly label: string })[]
  /** Files that were left out, for people. */
  readonly warnings: readonly string[]
}

/** Runs a build with a place for what is temporary. @throws what `work` throws */
export async function withContext<Result>(
  definitions: readonly PartitionDefinition[],
  settings: BuildSettings,
  work: (context: BuildContext) => Promise<Result>,
): Promise<Result> {
  const { signal, output } = settings
  await using scratch = await openScratch(await scratchPlace(settings))
  const added = new Set<string>()
  try {
    return await work({ ...settings, prefix: scratch.prefix, added, covered: coveredPlaces(definitions) })
  } catch (error) {
    for (const path of added) await rm(path, { force: true })
    throw signal?.aborted ? aborted(signal) : systemError(error, `cannot build ${output}`)
  }
}

/** Beside the image; beside a device, all would be in memory, and nothing is left of a dry run that belongs there. */
async function scratchPlace({ output, dryRun }: BuildSettings): Promise<string> {
  const stats = await stat(output).catch(() => undefined)
  return dryRun || stats?.isBlockDevice() ? join(process.env['TMPDIR'] ?? '/var/tmp', basename(output)) : output
}

/** What was made of a plan. */
export interface Made {
  /** What gets into the table: all but what is deferred. */
  readonly partitions: readonly ProtectedDraft[]
  /** Of the files that these are split off into; null for those with none. */
  readonly paths: readonly (string | null)[]
}

/** Makes everything that partitions hold. @throws as the steps of a build; ERR_DDI_EXISTS if a file is in the way of one that is split off */
export async function makeContents({ placed }: Plan, context: BuildContext): Promise<Made> {
  const { split, output, replace } = context
  const partitions = await protect(await fill(placed.filter(isWanted(context)), context), context)
  const paths = split ? splitPaths(partitions, output) : partitions.map(() => null)
  // Before the image is written: their names may have the UUIDs that root hashes give.
  for (const path of paths) if (path !== null) await refuseNewFile(path, { replace, from: [output] })
  return { partitions, paths }
}

/** Whether a partition gets an entry in the table: those that are deferred just have their place. */
function isWanted(settings: BuildSettings): (draft: PlacedDraft) => boolean {
  const isDeferred = deferred(settings)
  return ({ there, definition }) => there !== null || !isDeferred(definition)
}

/** What is said of the partitions of a build. @param made undefined: nothing, as it was a dry run */
export function describePartitions(
  { placed }: Plan,
  settings: BuildSettings,
  made: Made = { partitions: [], paths: [] },
): readonly BuiltPartition[] {
  return placed.map((planned) => {
    const index = made.partitions.findIndex(({ definition }) => definition === planned.definition)
    const one = made.partitions[index]
    const { definition, there, numbers, uuid, label, size, padding, runs } = one ?? planned
    const { path, dropIns, typeUuid } = definition
    const oldSize = there?.length ?? 0
    const kept = size > oldSize ? 'grow' : 'keep'
    const activity = isWanted(settings)(planned) ? 'create' : 'defer'
    return {
      ...{ definition: path, dropIns, activity: there ? kept : activity, number: numbers[0]!, typeUuid, uuid, label },
      ...{ oldSize, size, padding, extents: runs },
      rootHash: one?.rootHash ?? null,
      splitPath: made.paths[index] ?? null,
    }
  })
}

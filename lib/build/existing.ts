// A disk that is there: partitions are added to its table, and grow.
import { truncate } from 'node:fs/promises'
import { openDisk } from '../attach/disk.js'
import { initDisk, sectorSizeOf } from '../attach/init-disk.js'
import { concatSources } from '../bytes/concat.js'
import { openFile } from '../bytes/file.js'
import { zeroSource } from '../bytes/repeat.js'
import { type Disk, readDiskTable } from '../disk/disk.js'
import { DdiError } from '../errors.js'
import { newGpt } from '../gpt/create.js'
import type { Gpt } from '../gpt/table.js'
import { checkOptions, type OptionNames } from '../options.js'
import { fillFree, splitOff } from './assemble.js'
import { type BuiltImage, describePartitions, makeContents, withContext } from './built.js'
import { type BuildSettings, buildSettings, type SharedOptions, sharedOptionNames } from './context.js'
import { matchDefinitions } from './draft.js'
import { derivedUuid } from './identifiers.js'
import type { PartitionDefinition } from './partition-definition.js'
import { planPartitions, wantedDefinitions } from './plan.js'
import { withPartitions } from './table.js'

/** What is done with a disk that has a table, or has none. */
export type EmptyMode = 'refuse' | 'allow' | 'require' | 'force'

/** Options of {@link partitionDisk}. */
export interface PartitionDiskOptions extends SharedOptions {
  /**
   * `refuse` a disk without a table; `allow` both; `require` one without table; `force`: a new table, whatever there is. Default:
   * `refuse`.
   */
  readonly empty?: EmptyMode
  /** First removes the partitions whose definitions say `FactoryReset=yes`. Default: false. */
  readonly factoryReset?: boolean
}

const partitionDiskOptionNames: OptionNames<PartitionDiskOptions> = {
  ...sharedOptionNames,
  empty: true,
  factoryReset: true,
}

/**
 * Adds the partitions of definitions that a disk does not have yet, and grows those that it has: repart.d(5). Nothing else on the disk
 * changes, and what a partition holds is on the disk before the table names it.
 * @param disk path of a disk image or block device
 * @throws as {@link buildImage}; ERR_DDI_NO_TABLE for a disk without a table, and ERR_DDI_EXISTS for one that is not empty, as `empty`
 *   says; and as `openDisk`
 */
export async function partitionDisk(
  directories: string | readonly string[],
  disk: string,
  options: PartitionDiskOptions = {},
): Promise<BuiltImage> {
  checkOptions(options, partitionDiskOptionNames, 'partitionDisk')
  const { empty = 'refuse', factoryReset = false, ...more } = options
  const settings = buildSettings(disk, more)
  const definitions = await wantedDefinitions([directories].flat(), settings)
  return await withContext(definitions, settings, async (context) => {
    const found = await tableOf(context, empty)
    const reset = factoryReset ? resetTable(found.table, definitions) : found.table
    const withSector = { ...context, sectorSize: reset.sectorSize }
    const plan = await planPartitions(definitions, reset, withSector)
    const ours = new Set(plan.placed.flatMap(({ numbers }) => numbers))
    const others = reset.partitions.filter(({ number }) => !ours.has(number))
    const { seed } = context
    const facts = {
      ...{ path: disk, size: found.size, uuid: reset.uuid, seed, warnings: plan.warnings },
      others: others.map(({ number, label, start, length }) => ({ number, label, start, length })),
    }
    if (context.dryRun) return { ...facts, partitions: describePartitions(plan, context) }
    const made = await makeContents(plan, withSector)
    const { partitions } = made
    await using target = await openGrown(found, disk)
    if (reset !== found.table) await target.repartition(reset)
    await target.repartition(withPartitions(reset, partitions), (free) => fillFree(partitions, free, withSector))
    await splitOff(made, withSector)
    return { ...facts, partitions: describePartitions(plan, context, made) }
  })
}

/** The table that a disk has, or would get, and its size. */
interface FoundTable {
  readonly table: Gpt
  readonly empty: EmptyMode
  readonly isNew: boolean
  /** Bytes that the disk will have. */
  readonly size: number
  /** Bytes that it has. */
  readonly oldSize: number
}

async function tableOf({ output, size, seed }: BuildSettings, empty: EmptyMode): Promise<FoundTable> {
  await using file = await openFile(output)
  const sizes = { size: size ?? file.size, oldSize: file.size }
  if (sizes.size < file.size || (sizes.size > file.size && file.kind === 'block-device'))
    throw new DdiError(
      'ERR_DDI_USAGE',
      `${output} has ${file.size} bytes: only a file can become larger, and none smaller`,
    )
  const sectorSize = await sectorSizeOf(file)
  const fresh = newGpt(sizes.size, sectorSize, derivedUuid(seed, 'disk-uuid'))
  if (empty === 'force') return { table: fresh, empty, isNew: true, ...sizes }
  const grown = concatSources([file, zeroSource(sizes.size - file.size)])
  const table = await readDiskTable(grown).catch((error: unknown) => {
    if (empty !== 'refuse' && error instanceof DdiError && error.code === 'ERR_DDI_NO_TABLE') return undefined
    throw error
  })
  if (table && empty === 'require') throw new DdiError('ERR_DDI_EXISTS', `${output} has a partition table already`)
  return { table: table?.table ?? fresh, empty, isNew: table === undefined, ...sizes }
}

/** The disk, as large as it is to be. */
async function openGrown({ table, empty, isNew, size, oldSize }: FoundTable, path: string): Promise<Disk> {
  if (size > oldSize) await truncate(path, size)
  try {
    return isNew ? await initDisk(path, { force: empty === 'force', uuid: table.uuid }) : await openDisk(path)
  } catch (error) {
    if (size > oldSize) await truncate(path, oldSize)
    throw error
  }
}

/** A table without the partitions that a factory reset makes anew. */
function resetTable(table: Gpt, definitions: readonly PartitionDefinition[]): Gpt {
  const matched = matchDefinitions(definitions, table.partitions)
  const gone = new Set(matched.flatMap(({ definition, there }) => (definition.factoryReset && there ? [there] : [])))
  return gone.size === 0 ? table : { ...table, partitions: table.partitions.filter((one) => !gone.has(one)) }
}

import { withSlotSuffixes } from '../android/metadata.js'
import { readSuper } from '../android/super.js'
import { composeExtents, extentSource } from '../bytes/extents.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { checkOptions, type OptionNames } from '../options.js'
import { nestedTypeUuid } from './chain.js'
import { readDisk } from './contents.js'
import { logicalVolumes } from './logical.js'
import { holdsSuper } from './scan.js'
import { ownOrigin, type Volume, type WholeVolume } from './volume.js'

/** What Android labels the partition that its logical partitions lie in. */
const superLabel = 'super'

/** No deeper tables are looked for, no more, and none after so many volumes: an image alone does not decide how long we read it. */
const deepest = 4
const mostTables = 256
/** As many as the largest GPT has. */
const mostVolumes = 32768

/** Options of {@link nestedVolumes}. */
export interface NestedOptions {
  /** Looks for tables in every volume, not only in those of {@link nestedTypeUuid} and Android's `super`. Default: false. */
  readonly anyType?: boolean
  /** Of a super partition: which slot's metadata counts, 0 for a. Default: 0. */
  readonly slot?: number
}
const nestedOptionNames: OptionNames<NestedOptions> = { anyType: true, slot: true }

/** The volumes of nested tables, and what keeps further ones from being read. */
export interface NestedVolumes {
  /** In extents of the base, as if there were one table only. */
  readonly volumes: readonly Volume[]
  readonly defects: readonly NestedDefect[]
}

/** A volume whose nested table cannot be used, and why. */
export interface NestedDefect {
  readonly volume: WholeVolume
  readonly error: DdiError
}

/**
 * Finds the volumes of tables that lie in volumes, as volumes of the base device. A nested table keeps to its volume: its
 * reader sees no other bytes, and refuses a table that claims more.
 * @param base what the extents of `volumes` are of
 * @throws what `base.read` throws
 */
export async function nestedVolumes(
  base: Source,
  volumes: readonly Volume[],
  options: NestedOptions = {},
): Promise<NestedVolumes> {
  checkOptions(options, nestedOptionNames, 'nestedVolumes')
  const { anyType = false, slot = 0 } = options
  const search: Search = { base, anyType, slot, volumes: [], defects: [], tablesLeft: mostTables }
  await searchIn(search, volumes, 1)
  return search
}

interface Search extends Required<NestedOptions> {
  readonly base: Source
  readonly volumes: Volume[]
  readonly defects: NestedDefect[]
  tablesLeft: number
}

async function searchIn(search: Search, volumes: readonly Volume[], depth: number): Promise<void> {
  for (const volume of volumes) {
    if (search.tablesLeft === 0 || search.volumes.length >= mostVolumes) return
    if (volume.state === 'broken' || !(search.anyType || isTyped(volume))) continue
    const inner = await volumesIn(volume, search)
    if (!inner) continue
    search.tablesLeft--
    search.volumes.push(...inner)
    if (depth < deepest) await searchIn(search, inner, depth + 1)
  }
}

function isTyped({ typeUuid, label }: Volume): boolean {
  return typeUuid === nestedTypeUuid || label === superLabel
}

/** The volumes of the table in a volume; undefined if there is none that can be used. */
async function volumesIn(volume: WholeVolume, search: Search): Promise<readonly Volume[] | undefined> {
  try {
    const inner = await readVolumes(extentSource(search.base, volume.extents), search.slot)
    return inner.map((one) => nestedIn(volume, one))
  } catch (error) {
    if (!(error instanceof DdiError) || error.kind !== 'image') throw error
    // Most volumes of other types hold no table, and nothing is wrong with them.
    if (isTyped(volume)) search.defects.push({ volume, error })
    return undefined
  }
}

function nestedIn(within: WholeVolume, volume: Volume): Volume {
  if (volume.state === 'broken') return { ...volume, origin: { kind: 'nested', within, origin: ownOrigin(volume) } }
  return {
    ...volume,
    origin: { kind: 'nested', within, origin: ownOrigin(volume) },
    extents: composeExtents(within.extents, volume.extents),
  }
}

/** The volumes of the GPT or super partition that a source is. */
async function readVolumes(source: Source, slot: number): Promise<readonly Volume[]> {
  if (!(await holdsSuper(source))) return (await readDisk(source)).volumes
  const metadata = withSlotSuffixes((await readSuper(source, slot)).metadata, slot)
  const [, other] = metadata.devices
  if (other)
    throw new DdiError(
      'ERR_DDI_SUPER_DEVICE',
      `its logical partitions lie on ${other.name} too: open the devices themselves`,
    )
  return logicalVolumes(metadata, [{ path: 'the volume', size: source.size }])
}

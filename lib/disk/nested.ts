import { withSlotSuffixes } from '../android/metadata.js'
import { isSuper, readSuper } from '../android/super.js'
import { composeExtents, extentSource } from '../bytes/extents.js'
import type { Source } from '../bytes/source.js'
import { DdiError } from '../errors.js'
import { readGpt } from '../gpt/read.js'
import { logicalVolumes } from './logical.js'
import { tableVolumes } from './partition.js'
import { ownOrigin, type Volume, type WholeVolume } from './volume.js'

/** The partition type of a partition that holds a GPT of its own (docs/nested-tables.md). */
export const nestedTypeUuid = '546aa983-5c4a-4c3f-9f80-ecf5ed9983d9'

/** What Android labels the partition that its logical partitions lie in. */
export const superLabel = 'super'

/** Tables deeper than this are not looked for, nor more of them: an image alone does not decide how long we read it. */
const deepest = 4
const mostTables = 256

/** A volume whose nested table cannot be used, and why. */
export interface NestedDefect {
  readonly volume: WholeVolume
  readonly error: DdiError
}

export interface NestedVolumes {
  /** In extents of the base, as if there were one table only. */
  readonly volumes: readonly Volume[]
  readonly defects: readonly NestedDefect[]
}

/**
 * Finds the volumes of tables that lie in volumes, and puts them straight onto the base device. A nested table keeps to
 * its volume: its reader sees no other bytes, and refuses a table that claims more.
 * @param base what the extents of `volumes` are of
 * @param which `typed`: only volumes of {@link nestedTypeUuid}, and Android's `super`; `any`: every volume that holds a table
 * @param slot of the metadata of a super partition
 * @throws what `base.read` throws
 */
export async function nestedVolumes(
  base: Source,
  volumes: readonly Volume[],
  which: 'typed' | 'any',
  slot = 0,
  depth = 1,
  budget = { tables: mostTables },
): Promise<NestedVolumes> {
  const found: Volume[] = []
  const defects: NestedDefect[] = []
  for (const volume of volumes) {
    const typed = volume.typeUuid === nestedTypeUuid || volume.label === superLabel
    if (volume.state === 'broken' || (which === 'typed' && !typed)) continue
    if (budget.tables === 0) break
    let within: readonly Volume[]
    try {
      within = await volumesWithin(extentSource(base, volume.extents), slot)
    } catch (error) {
      if (!(error instanceof DdiError) || error.kind !== 'image') throw error
      // Without its type or name, what holds no table, or a broken one, is what most volumes are.
      if (typed) defects.push({ volume, error })
      continue
    }
    budget.tables--
    const inner = within.map((one) => nestedIn(volume, one))
    found.push(...inner)
    if (depth === deepest) continue
    const deeper = await nestedVolumes(base, inner, which, slot, depth + 1, budget)
    found.push(...deeper.volumes)
    defects.push(...deeper.defects)
  }
  return { volumes: found, defects }
}

function nestedIn(within: WholeVolume, volume: Volume): Volume {
  if (volume.state === 'broken') return { ...volume, origin: { kind: 'nested', within, origin: ownOrigin(volume) } }
  return {
    ...volume,
    origin: { kind: 'nested', within, origin: ownOrigin(volume) },
    extents: composeExtents(within.extents, volume.extents),
  }
}

/** The volumes of the GPT or the super partition that a volume is. */
async function volumesWithin(source: Source, slot: number): Promise<readonly Volume[]> {
  if (!(await isSuper(source))) return tableVolumes((await readGpt(source)).table).volumes
  const metadata = withSlotSuffixes((await readSuper(source, slot)).metadata, slot)
  const [, other] = metadata.devices
  if (other)
    throw new DdiError(
      'ERR_DDI_SUPER_DEVICE',
      `its logical partitions lie on ${other.name} too: open the devices themselves`,
    )
  return logicalVolumes(metadata, [source.size])
}

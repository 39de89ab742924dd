import { composeExtents, extentSource } from '../block/extents.js'
import type { Source } from '../block/source.js'
import type { DdiError } from '../errors.js'
import { problemError } from '../gpt/read.js'
import { scanGpt } from '../gpt/scan.js'
import { tableVolumes } from './extension.js'
import type { Volume } from './volume.js'

/** The partition type of a partition that holds a GPT of its own (docs/nested-tables.md). */
export const nestedTypeUuid = '546aa983-5c4a-4c3f-9f80-ecf5ed9983d9'

/** Tables deeper than this are not looked for, nor more of them: an image alone does not decide how long we read it. */
const deepest = 4
const mostTables = 256

/** A volume whose nested table cannot be used, and why. */
export interface NestedDefect {
  readonly volume: Volume
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
 * @param which `typed`: only volumes of {@link nestedTypeUuid}; `any`: every volume that holds a table
 * @throws what `base.read` throws
 */
export async function nestedVolumes(
  base: Source,
  volumes: readonly Volume[],
  which: 'typed' | 'any',
  depth = 1,
  budget = { tables: mostTables },
): Promise<NestedVolumes> {
  const found: Volume[] = []
  const defects: NestedDefect[] = []
  for (const volume of volumes) {
    const typed = volume.typeUuid === nestedTypeUuid
    if (volume.defect || (which === 'typed' && !typed)) continue
    if (budget.tables === 0) break
    const scan = await scanGpt(extentSource(base, volume.extents))
    if ('code' in scan) {
      // Without its type, what holds no table, or a broken one, is what most volumes are.
      if (typed) defects.push({ volume, error: problemError(scan) })
      continue
    }
    budget.tables--
    const inner = tableVolumes(scan.table).volumes.map((one) => ({
      ...one,
      extents: composeExtents(volume.extents, one.extents),
    }))
    found.push(...inner)
    if (depth === deepest) continue
    const deeper = await nestedVolumes(base, inner, which, depth + 1, budget)
    found.push(...deeper.volumes)
    defects.push(...deeper.defects)
  }
  return { volumes: found, defects }
}

import { chainPartitions } from '../disk/chain.js'
import { DdiError } from '../errors.js'
import { newGpt } from '../gpt/create.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { type Gpt, type Partition, partitionAttributes } from '../gpt/table.js'
import type { PartitionDefinition } from './definitions.js'
import type { ProtectedDraft } from './protect.js'

/** How many entries a table has. */
const most = 128

/**
 * The partition table of an image.
 * @throws ERR_DDI_TABLE_FULL
 */
export function imageTable(
  drafts: readonly ProtectedDraft[],
  { size, sectorSize, uuid }: { readonly size: number; readonly sectorSize: number; readonly uuid: string },
): Gpt {
  let number = 1
  const partitions = drafts.flatMap(({ definition, uuid, label, runs }): readonly Partition[] => {
    const head = { typeUuid: definition.typeUuid, uuid, label, attributes: attributesOf(definition) }
    const numbers = runs.map(() => number++)
    return chainPartitions(head, runs, numbers)
  })
  if (partitions.length > most)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `the image would have ${partitions.length} partitions, and a table has room for ${most}: raise MaxSegmentBytes=`,
    )
  return newGpt(size, sectorSize, uuid, partitions)
}

/** Designators whose partitions have the flags of the specification. */
const flagged = new Set(['root', 'usr', 'home', 'srv', 'var', 'tmp', 'xbootldr'])

/** As systemd-repart sets them: what verity covers is read-only and everything else grows, unless the definition differs. */
function attributesOf({ typeUuid, flags, readOnly, noAuto, growFileSystem, verity }: PartitionDefinition): bigint {
  const designator = dpsTypes.get(typeUuid)?.designator ?? ''
  const isTree = /-verity$/.test(designator)
  const isReadOnly = readOnly ?? (isTree || verity === 'data')
  const grows = growFileSystem ?? (flagged.has(designator) && !isReadOnly)
  const bits: readonly (readonly [boolean | null, bigint])[] = [
    [isReadOnly, partitionAttributes.readOnly],
    [noAuto, partitionAttributes.noAuto],
    [grows, partitionAttributes.growFileSystem],
  ]
  return bits.reduce((sum, [set, bit]) => (set ? sum | bit : sum), flags ?? 0n)
}

import { chainPartitions } from '../disk/chain.js'
import { DdiError } from '../errors.js'
import { dpsTypes } from '../gpt/dps-types.js'
import { type Gpt, type Partition, partitionAttributes } from '../gpt/table.js'
import type { PartitionDefinition } from './partition-definition.js'
import type { ProtectedDraft } from './protect.js'

/**
 * A table with the partitions of an image: those that are there keep what they have, and grow.
 * @param table as it is, or a new one
 * @throws ERR_DDI_TABLE_FULL
 */
export function withPartitions(table: Gpt, drafts: readonly ProtectedDraft[]): Gpt {
  const added = drafts.flatMap(({ definition, there, uuid, label, runs, numbers }): readonly Partition[] => {
    if (there) return [{ ...there, uuid, label, length: runs[0]!.length }]
    const head = { typeUuid: definition.typeUuid, uuid, label, attributes: attributesOf(definition) }
    return chainPartitions(head, runs, numbers)
  })
  const last = Math.max(0, ...added.map(({ number }) => number))
  if (last > table.entryCount)
    throw new DdiError(
      'ERR_DDI_TABLE_FULL',
      `the image would have ${last} partitions, and its table has room for ${table.entryCount}: raise MaxSegmentBytes=`,
    )
  const ours = new Set(added.map(({ number }) => number))
  const others = table.partitions.filter(({ number }) => !ours.has(number))
  return { ...table, partitions: [...others, ...added].sort((a, b) => a.number - b.number) }
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

// SupplementFor= of repart.d(5): a partition that is made only where another one cannot have its size and contents.
import type { Gpt } from '../gpt/table.js'
import { supplemented } from './definition-checks.js'
import { matchDefinitions } from './draft.js'
import type { PartitionDefinition } from './partition-definition.js'

/** Whether supplements are part of what they supplement. */
export type Merging = 'merged' | 'apart'

/**
 * Merges supplements into their targets, unless a partition is there already, or cannot grow to what both want.
 * @param table of the disk; undefined: there is none
 */
export function mergeSupplements(
  definitions: readonly PartitionDefinition[],
  table: Gpt | undefined,
  merging: Merging,
): readonly PartitionDefinition[] {
  if (merging === 'apart') return definitions
  const partitions = table?.partitions ?? []
  const there = new Map(matchDefinitions(definitions, partitions).map((one) => [one.definition, one.there]))
  const merged = new Map<PartitionDefinition, PartitionDefinition>()
  const gone = new Set<PartitionDefinition>()
  for (const supplement of definitions) {
    const target = supplemented(supplement, definitions)
    if (!target || there.get(supplement)) continue
    const both = withSupplement(target, supplement)
    const present = there.get(target)
    const next = present && partitions.some(({ start }) => start === present.start + present.length)
    if (present && next && present.length < (both.sizeMin ?? 0)) continue
    merged.set(target, both)
    gone.add(supplement)
  }
  return definitions.filter((one) => !gone.has(one)).map((one) => merged.get(one) ?? one)
}

function withSupplement(target: PartitionDefinition, supplement: PartitionDefinition): PartitionDefinition {
  return {
    ...target,
    weight: supplement.weight,
    paddingWeight: supplement.paddingWeight,
    sizeMin: largest(target.sizeMin, supplement.sizeMin),
    sizeMax: smallest(target.sizeMax, supplement.sizeMax),
    paddingMin: Math.max(target.paddingMin, supplement.paddingMin),
    paddingMax: smallest(target.paddingMax, supplement.paddingMax),
    copyFiles: [...target.copyFiles, ...supplement.copyFiles],
    excludeFiles: [...target.excludeFiles, ...supplement.excludeFiles],
    excludeTargets: [...target.excludeTargets, ...supplement.excludeTargets],
    makeDirectories: [...target.makeDirectories, ...supplement.makeDirectories],
    makeSymlinks: [...target.makeSymlinks, ...supplement.makeSymlinks],
    subvolumes: [...target.subvolumes, ...supplement.subvolumes],
  }
}

function largest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}

function smallest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other)
}

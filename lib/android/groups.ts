// Groups of logical partitions, as pure functions of metadata.
import { totalLength } from '../bytes/extents.js'
import { DdiError } from '../errors.js'
import type { Metadata, PartitionGroup } from './metadata.js'

/** The group that every super partition has, of any size. */
export const defaultGroup = 'default'

/** Groups whose partitions take more than the group may, with how much they take, in bytes. */
export function overfullGroups({
  groups,
  partitions,
}: Metadata): readonly (PartitionGroup & { readonly size: number })[] {
  return groups
    .map((group) => ({
      ...group,
      size: totalLength(partitions.filter((one) => one.group === group.name).flatMap(({ extents }) => extents)),
    }))
    .filter(({ size, maximumSize }) => maximumSize > 0 && size > maximumSize)
}

/**
 * Gives a group another maximum size. What its partitions take already is checked when the metadata is encoded.
 * @param maximumSize in bytes; 0: no limit
 * @throws ERR_DDI_NO_VOLUME for an unknown group, ERR_DDI_USAGE for the default one, which has no limit
 */
export function resizeGroup(metadata: Metadata, name: string, maximumSize: number): Metadata {
  requireGroup(metadata, name)
  if (name === defaultGroup)
    throw new DdiError(
      'ERR_DDI_USAGE',
      `the group ${defaultGroup} has no limit, and cannot get one: groups of other names can`,
    )
  return { ...metadata, groups: metadata.groups.map((one) => (one.name === name ? { ...one, maximumSize } : one)) }
}

/** @throws ERR_DDI_NO_VOLUME for an unknown group */
export function requireGroup({ groups }: Metadata, group: string): void {
  if (!groups.some((one) => one.name === group))
    throw new DdiError(
      'ERR_DDI_NO_VOLUME',
      `there is no group ${JSON.stringify(group)}; there are ${groups.map((one) => one.name).join(', ')}`,
    )
}

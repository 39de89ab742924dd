import { findByName, ownOrigin, requireWhole, type Volume, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'

/**
 * The logical partitions of these names, else all that have bytes and are not disabled.
 * @param volumes of an open image of a super partition
 * @param where the image, for errors
 * @throws ERR_DDI_NO_VOLUME, and ERR_DDI_NOTHING_TO_ATTACH if there is none
 */
export function logicalPartitions(
  volumes: readonly Volume[],
  names: readonly string[],
  where: string,
): readonly WholeVolume[] {
  const logical = volumes.filter((volume) => ownOrigin(volume).kind === 'logical').map(requireWhole)
  const found =
    names.length > 0
      ? names.map((name) => findByName(logical, name, where))
      : logical.filter(({ size, flags }) => size > 0 && !flags.noAuto)
  if (found.length === 0)
    throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${where} has no logical partition that has bytes`)
  return found
}

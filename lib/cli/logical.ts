import { findByName, ownOrigin, requireWhole, type Volume, type WholeVolume } from '../disk/volume.js'
import { DdiError } from '../errors.js'
import { type Image, openImage } from '../image/open.js'
import { json } from './options.js'
import { slotOption } from './super.js'
import { pair } from './values.js'
import { repeatable, type ValuesOf } from './verb.js'

/** Of verbs that read logical partitions, whose extents may lie on several devices. */
export const logicalOptions = {
  device: repeatable(
    '--device <name=path>',
    'path of another device of the super partition (default: NAME.img or NAME beside the image)',
    pair('NAME=PATH'),
  ),
  ...slotOption,
  ...json,
}

export function openLogical(path: string, { slot, device }: ValuesOf<typeof logicalOptions>): Promise<Image> {
  return openImage(path, { slot, devices: Object.fromEntries(device) })
}

/** The logical partitions with the given names, else all that have bytes and are not disabled. */
export function chosenLogical(
  volumes: readonly Volume[],
  names: readonly string[],
  path: string,
): readonly WholeVolume[] {
  const logical = volumes.filter((volume) => ownOrigin(volume).kind === 'logical').map(requireWhole)
  const found =
    names.length > 0
      ? names.map((name) => findByName(logical, name, path))
      : logical.filter(({ size, flags }) => size > 0 && !flags.noAuto)
  if (found.length === 0)
    throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${path} has no logical partition that has bytes`)
  return found
}

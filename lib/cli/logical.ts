import { type Image, openImage } from '../image/open.js'
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
}

export function openLogical(path: string, { slot, device }: ValuesOf<typeof logicalOptions>): Promise<Image> {
  return openImage(path, { slot, devices: Object.fromEntries(device) })
}

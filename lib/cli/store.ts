import type { StoreImage } from '../store/image.js'
import { describeExtents } from './extents.js'
import { suggesting } from './parser.js'
import { argument } from './verb.js'

export const imageArgument = argument(
  '<image>',
  'label (PRODUCT_VERSION), UUID or partition number of the image',
  suggesting('images'),
)

/** What JSON says of an image. */
export function describeImage({ volume, attributes, ...image }: StoreImage) {
  return {
    ...image,
    attributes: `0x${attributes.toString(16).padStart(16, '0')}`,
    size: volume.size,
    extents: describeExtents(volume.extents),
  }
}

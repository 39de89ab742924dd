import type { LinearExtent } from '../bytes/source.js'
import { nestedTypeUuid } from '../disk/chain.js'
import { headAttributes, type Volume, type WholeVolume } from '../disk/volume.js'
import { parseLabel } from './names.js'
import type { ImageEntry } from './select.js'
import { type ImageMarks, type ImageState, marksOf, stateOf } from './state.js'

/** An image of a store (docs/image-store.md). */
export interface StoreImage extends ImageEntry, ImageMarks {
  /** `PRODUCT_VERSION`. */
  readonly label: string
  /** Of its head partition. */
  readonly uuid: string
  readonly state: ImageState
  readonly volume: WholeVolume<LinearExtent>
}

/** The images among the volumes of a disk, in the order of its table. */
export function imagesAmong(volumes: readonly Volume<LinearExtent>[]): readonly StoreImage[] {
  return volumes.flatMap((volume) => {
    if (volume.state === 'broken' || volume.typeUuid !== nestedTypeUuid) return []
    const { label, uuid } = volume
    const name = parseLabel(label!)
    if (!name) return []
    const attributes = headAttributes(volume)
    return [
      { ...name, label: label!, uuid: uuid!, attributes, ...marksOf(attributes), state: stateOf(attributes), volume },
    ]
  })
}

import { compareVersions } from '../version.js'
import type { ImageName } from './names.js'
import { marksOf, stateOf } from './state.js'

/** What a table says of an image. */
export interface ImageEntry extends ImageName {
  /** All 64 attribute bits of its head partition. */
  readonly attributes: bigint
}

/**
 * The images of a product that a boot may choose, in the order in which it tries them (docs/image-store.md, "Which image boots").
 * @param writable whether a try can be counted on the disk. Default: true
 */
export function candidates<I extends ImageEntry>(images: readonly I[], product: string, writable = true): I[] {
  const chosen = images.filter((one) => {
    const state = stateOf(one.attributes)
    return one.product === product && (state === 'good' || (state === 'new' && writable))
  })
  const priority = ({ attributes }: I) => marksOf(attributes).priority
  return chosen.sort((a, b) => priority(b) - priority(a) || compareVersions(b.version, a.version))
}

import { DdiError } from '../errors.js'
import type { ImageEntry } from './select.js'
import { type Mark, marks, marksOf, stateOf, withMarks } from './state.js'

/** What the attributes of some images become, in one write of the table. */
export type AttributeChanges<I> = ReadonlyMap<I, bigint>

/**
 * What marking an image makes of a table (docs/image-store.md, "Changes"); images that stay as they are, are not in it.
 * @param image one of `images`
 * @throws ERR_DDI_STORE_LAST_GOOD for the last good image of a product, unless forced
 */
export function marked<I extends ImageEntry>(
  images: readonly I[],
  image: I,
  mark: Mark,
  force = false,
): AttributeChanges<I> {
  if ((mark === 'bad' || mark === 'off') && !force) refuseLastGood(images, image)
  const changes = new Map([[image, withMarks(image.attributes, marks[mark])]])
  if (mark === 'prefer')
    for (const other of images)
      if (other !== image && other.product === image.product && isPreferred(other))
        changes.set(other, withMarks(other.attributes, marks.on))
  return new Map([...changes].filter(([{ attributes }, next]) => next !== attributes))
}

function isPreferred({ attributes }: ImageEntry): boolean {
  return marksOf(attributes).priority === marks.prefer.priority
}

/** @throws ERR_DDI_STORE_LAST_GOOD if no other image of its product is good */
export function refuseLastGood<I extends ImageEntry>(images: readonly I[], image: I): void {
  const good = images.filter(({ product, attributes }) => product === image.product && stateOf(attributes) === 'good')
  if (good.length === 1 && good[0] === image)
    throw new DdiError(
      'ERR_DDI_STORE_LAST_GOOD',
      `${image.product}_${image.version} is the only good image of ${image.product}: without it, nothing that is known to work would boot`,
    )
}

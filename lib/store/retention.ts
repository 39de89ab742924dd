import { compareVersions } from '../version.js'
import type { ImageEntry } from './select.js'
import { type ImageState, marksOf, stateOf } from './state.js'

/** Why an image is not removed to make room. */
export type Hold = 'in use' | 'newest good one' | 'kept' | 'protected'

/** What may be removed to make room, in this order, and what may not. */
export interface Retention<I> {
  readonly removable: readonly I[]
  readonly held: ReadonlyMap<I, Hold>
}

const order: readonly ImageState[] = ['bad', 'off', 'good', 'new']

/**
 * docs/image-store.md, "Who may be removed to make room".
 * @param others what holds images besides their marks: that they run, or are attached
 */
export function retention<I extends ImageEntry>(images: readonly I[], others: ReadonlyMap<I, Hold>): Retention<I> {
  const newest = newestGood(images)
  const held = new Map<I, Hold>()
  for (const image of images) {
    const other = others.get(image)
    if (other) held.set(image, other)
    else if (newest.has(image)) held.set(image, 'newest good one')
    else if (marksOf(image.attributes).keep) held.set(image, 'kept')
  }
  const rank = ({ attributes }: I) => order.indexOf(stateOf(attributes))
  const removable = images
    .filter((image) => !held.has(image))
    .sort((a, b) => rank(a) - rank(b) || compareVersions(a.version, b.version))
  return { removable, held }
}

function newestGood<I extends ImageEntry>(images: readonly I[]): ReadonlySet<I> {
  const newest = new Map<string, I>()
  for (const image of images) {
    if (stateOf(image.attributes) !== 'good') continue
    const other = newest.get(image.product)
    if (!other || compareVersions(image.version, other.version) > 0) newest.set(image.product, image)
  }
  return new Set(newest.values())
}

/**
 * The fewest of what may be removed, in its order, that make room.
 * @param fits whether there is room without these
 * @returns undefined if there would be none even without all
 */
export function toRemove<I>(
  removable: readonly I[],
  fits: (without: readonly I[]) => boolean,
): readonly I[] | undefined {
  for (let count = 0; count <= removable.length; count++) {
    const without = removable.slice(0, count)
    if (fits(without)) return without
  }
  return undefined
}

import type { StoreImage } from '../store/image.js'
import type { Mark } from '../store/state.js'
import { openStore, type Store } from '../store/store.js'
import { printable } from '../text.js'
import { describeExtents } from './extents.js'
import type { JsonValues } from './options.js'
import { print, printJson } from './output.js'
import { argument, flag } from './verb.js'

export const imageArgument = argument('<image>', 'label (PRODUCT_VERSION), UUID or partition number of the image')
export const forceLastGood = flag('--force', 'even if the product is left without a good image')

/** What JSON says of an image. */
export function describeImage({ volume, attributes, ...image }: StoreImage) {
  return {
    ...image,
    attributes: `0x${attributes.toString(16).padStart(16, '0')}`,
    size: volume.size,
    extents: describeExtents(volume.extents),
  }
}

/** Opens a store for one change, and prints the image as the change left it. */
export async function changeStore(
  path: string,
  { json }: JsonValues,
  change: (store: Store) => Promise<StoreImage>,
): Promise<void> {
  await using store = await openStore(path)
  const image = await change(store)
  if (json !== 'off') printJson(describeImage(image), json)
  else print(`${printable(image.label)}: ${describeState(image)}`)
}

/** Marks an image, as most verbs of stores do. */
export async function markImage(
  [path, name]: readonly [string, string],
  mark: Mark,
  options: JsonValues & { readonly force?: boolean },
): Promise<void> {
  const { force = false } = options
  await changeStore(path, options, (store) => store.mark(store.find(name), mark, { force }))
}

/** `new, 2 tries left, priority 15, kept` */
export function describeState({ state, priority, tries, keep }: StoreImage): string {
  const usual = 8
  return [
    state,
    ...(state === 'new' ? [`${tries} ${tries === 1 ? 'try' : 'tries'} left`] : []),
    ...(priority === usual || priority === 0 ? [] : [`priority ${priority}`]),
    ...(keep ? ['kept'] : []),
  ].join(', ')
}

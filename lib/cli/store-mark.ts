import type { StoreImage } from '../store/image.js'
import type { Mark } from '../store/state.js'
import { openStore } from '../store/store.js'
import { printable } from '../text.js'
import { counted, print, printJson } from './output.js'
import { object } from './schema.js'
import { dryRun, imageFields } from './shapes.js'
import { describeImage } from './store.js'
import type { JsonValues } from './verb.js'
import { flag } from './verb.js'

/** What JSON says of one that was marked. */
export const markedImage = object({ ...imageFields, dryRun })

export const forceLastGood = flag('--force', 'even if the product is left without a good image')

/** Marks an image, as most verbs of stores do, and prints it as that left it. */
export async function markImage(
  [path, name]: readonly [string, string],
  mark: Mark,
  { json, dryRun, force = false }: JsonValues & { readonly dryRun: boolean; readonly force?: boolean },
): Promise<void> {
  await using store = await openStore(path, { dryRun })
  const image = await store.mark(store.find(name), mark, { force })
  if (json !== 'off') printJson({ ...describeImage(image), dryRun }, json)
  else print(`${printable(image.label)}: ${dryRun ? 'would be ' : ''}${describeState(image)}`)
}

/** `new, 2 tries left, priority 15, kept` */
function describeState({ state, priority, tries, keep }: StoreImage): string {
  const usual = 8
  return [
    state,
    ...(state === 'new' ? [`${counted(tries, 'try', 'tries')} left`] : []),
    ...(priority === usual || priority === 0 ? [] : [`priority ${priority}`]),
    ...(keep ? ['kept'] : []),
  ].join(', ')
}

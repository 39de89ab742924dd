import { nestedTypeUuid } from '../disk/chain.js'
import { headAttributes, type Volume } from '../disk/volume.js'
import { marksOf } from '../store/state.js'

/** Types whose bits 48 to 56 say which of several systems boots: of ChromeOS, Flatcar, Bottlerocket, and of the images of our stores. */
const bootTypes: readonly (string | null)[] = [
  'fe3a2a5d-4f32-41a7-b725-accc3285a309',
  '5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6',
  '6b636168-7420-6568-2070-6c616e657421',
  nestedTypeUuid,
]

/** What the attribute bits of a volume say. */
export function flagNames(volume: Volume): string {
  const { readOnly, noAuto, growFileSystem } = volume.flags
  const { priority, tries, good, keep } = marksOf(bootTypes.includes(volume.typeUuid) ? headAttributes(volume) : 0n)
  return Object.entries({
    ro: readOnly,
    noauto: noAuto,
    grow: growFileSystem,
    [`priority=${priority}`]: priority > 0,
    [`tries=${tries}`]: tries > 0,
    good,
    // ChromeOS has no such bit.
    keep: keep && volume.typeUuid === nestedTypeUuid,
  })
    .flatMap(([name, set]) => (set ? [name] : []))
    .join(',')
}

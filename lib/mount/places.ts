import { constants } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DdiError, systemCode, systemError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { isMissing, openRoot, pathOnly, type Root } from './root.js'

/** Where volumes go, in the order of mounting; of several places the first that exists. */
const places: readonly (readonly [Designator, readonly string[]])[] = [
  ['root', ['/']],
  ['usr', ['/usr']],
  ['home', ['/home']],
  ['srv', ['/srv']],
  ['var', ['/var']],
  ['tmp', ['/var/tmp']],
  ['xbootldr', ['/boot']],
  ['esp', ['/efi', '/boot']],
]

/** Those whose volumes have a place in a tree. */
export const placedDesignators: readonly Designator[] = places.map(([designator]) => designator)

/** An image need not have a place for these. */
const optional: readonly Designator[] = ['xbootldr', 'esp']

/** A volume and the places that it may go to, from the root of the tree. */
export interface Placement<V> {
  readonly designator: Designator
  readonly places: readonly string[]
  readonly volume: V
}

/** A volume that is in the tree already. */
export interface Placed {
  readonly path: string
  readonly readOnly: boolean
}

/**
 * The volumes that have a place in a tree, in the order in which they go there.
 * @param of finds the volume of a designator
 * @param wanted only these. Default: all
 */
export function placements<V>(
  of: (designator: Designator) => V | undefined,
  wanted?: readonly Designator[],
): readonly Placement<V>[] {
  return places.flatMap(([designator, where]) => {
    const volume = !wanted || wanted.includes(designator) ? of(designator) : undefined
    return volume === undefined ? [] : [{ designator, places: where, volume }]
  })
}

/**
 * Finds where a volume goes within what is there already. Links in the image lead nowhere else.
 * @param target the directory that is the root of the tree, without links
 * @param placed what is in the tree already
 * @param image for messages
 * @returns undefined if there is no place, and need not be one
 * @throws ERR_DDI_MOUNT_POINT if there is no place
 */
export async function findPlace(
  target: string,
  { designator, places }: Placement<unknown>,
  placed: readonly Placed[],
  image: string,
): Promise<string | undefined> {
  if (designator === 'root') return target
  await using root = await openRoot(target)
  for (const place of places) {
    // The ESP goes to /boot only if nothing else does.
    if (placed.some(({ path }) => path === join(target, place))) continue
    const found = (await existing(root, place)) ?? (await created(root, place, placed))
    if (found !== undefined) return found
  }
  if (optional.includes(designator)) return undefined
  throw new DdiError(
    'ERR_DDI_MOUNT_POINT',
    `${image} has a ${designator} volume, but its root has no directory ${places.join(' or ')} to mount it on: create one in the image, or mount with an overlay in memory`,
  )
}

async function existing(root: Root, place: string): Promise<string | undefined> {
  try {
    await using opened = await root.open(place, pathOnly | constants.O_DIRECTORY)
    return await opened.realPath()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw systemError(error, `cannot look at ${place} of ${root.path}`)
  }
}

/** Creates the directory if its parent exists and is writable. */
async function created(root: Root, place: string, placed: readonly Placed[]): Promise<string | undefined> {
  const writable = placed.every(({ readOnly }) => !readOnly)
  const parent = writable ? await existing(root, dirname(place)) : undefined
  if (parent === undefined || (parent !== root.path && !parent.startsWith(`${root.path}/`))) return undefined
  const path = join(parent, basename(place))
  try {
    await mkdir(path, { mode: 0o755 })
    return path
  } catch (error) {
    if (systemCode(error) === 'EROFS') return undefined
    throw systemError(error, `cannot create ${path}`)
  }
}

import { constants } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { DdiError, systemCode, systemError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { isWithin } from './entries.js'
import { isMissing, type OpenedInRoot, openRoot, pathOnly, type Root } from './root.js'

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
  readonly designator: Designator
  readonly path: string
  readonly readOnly: boolean
}

/** What a volume may lie in besides the root. */
const holders: Readonly<Partial<Record<Designator, Designator>>> = { tmp: 'var' }

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
 * Finds where a volume goes within what is there already. Links in the image lead nowhere else, and not to where they would hide
 * another volume, or hide this one in it: what a root hash covers stays what is seen.
 * @param target the directory that is the root of the tree, without links
 * @param placed tells what is in the tree by now
 * @param image for messages
 * @returns the directory, opened: its path may lead elsewhere by the time that it is used; undefined if there is no place, and need
 *   not be one
 * @throws ERR_DDI_MOUNT_POINT if there is no place
 */
export async function findPlace(
  target: string,
  { designator, places }: Placement<unknown>,
  placed: () => Promise<readonly Placed[]>,
  image: string,
): Promise<OpenedInRoot | undefined> {
  await using root = await openRoot(target)
  if (designator === 'root') return await root.open('/')
  let why = `its root has no directory ${places.join(' or ')} to mount it on: create one in the image, or mount with an overlay in memory`
  for (const place of places) {
    const found = (await existing(root, place)) ?? (await created(root, place, designator, placed))
    if (!found) continue
    const path = await found.realPath()
    // To open it may have changed where others are.
    const other = inTheWay(path, designator, await placed())
    if (!other) return found
    await found[Symbol.asyncDispose]()
    const where = JSON.stringify(join('/', relative(target, path)))
    why = `${place} leads to ${where}, which is, lies in or holds the place of its ${other.designator} volume`
  }
  if (optional.includes(designator)) return undefined
  throw new DdiError('ERR_DDI_MOUNT_POINT', `${image} has a ${designator} volume, but ${why}`)
}

/**
 * Refuses a tree in which a place leads past its volume: by a link whose way was through the directory of a volume that was
 * placed later, and is through that volume now.
 * @param placed all that is in the tree
 * @throws ERR_DDI_MOUNT_POINT
 */
export async function refuseAstray(target: string, placed: readonly Placed[], image: string): Promise<void> {
  await using root = await openRoot(target)
  for (const { designator, path } of placed) {
    const leads: string[] = []
    for (const place of new Map(places).get(designator) ?? []) {
      await using found = await existing(root, place)
      if (found) leads.push(await found.realPath())
    }
    if (leads[0] === undefined || leads.includes(path)) continue
    const where = JSON.stringify(join('/', relative(target, leads[0])))
    throw new DdiError(
      'ERR_DDI_MOUNT_POINT',
      `${image}: with all its volumes in place, ${designator} leads to ${where}, and not to its ${designator} volume`,
    )
  }
}

/** The volume that a place is on, below or above, if the one of the designator has no business there. */
function inTheWay(place: string, designator: Designator, placed: readonly Placed[]): Placed | undefined {
  return placed.find((one) => {
    const mayHold = one.designator === 'root' || one.designator === holders[designator]
    return isWithin(one.path, place) || (isWithin(place, one.path) && !mayHold)
  })
}

async function existing(root: Root, place: string): Promise<OpenedInRoot | undefined> {
  try {
    return await root.open(place, pathOnly | constants.O_DIRECTORY)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw systemError(error, `cannot look at ${place} of ${root.path}`)
  }
}

/** Creates a directory, and those above it, if what they lie in is writable, or memory. */
async function created(
  root: Root,
  place: string,
  designator: Designator,
  placed: () => Promise<readonly Placed[]>,
): Promise<OpenedInRoot | undefined> {
  const above = dirname(place)
  await using parent = (await existing(root, above)) ?? (await created(root, above, designator, placed))
  if (!parent) return undefined
  const path = join(await parent.realPath(), basename(place))
  const volumes = await placed()
  // Volumes come after those that they lie in.
  const holder = volumes.findLast((one) => isWithin(path, one.path))
  if (holder?.readOnly || inTheWay(path, designator, volumes)) return undefined
  try {
    await mkdir(join(parent.path, basename(place)), { mode: 0o755 })
  } catch (error) {
    // A link that leads to nothing is there.
    if (['EROFS', 'EEXIST'].includes(systemCode(error) ?? '')) return undefined
    throw systemError(error, `cannot create ${path}`)
  }
  return await existing(root, place)
}

import { realpath, stat } from 'node:fs/promises'
import { type AttachedVolume, activate } from '../attach/activate.js'
import { DdiError, systemError } from '../errors.js'
import { dissect } from '../image/dissect.js'
import { openImage } from '../image/open.js'
import { type PlannedVolume, plan } from '../image/plan.js'
import { throwIfAborted } from '../work.js'
import { memoryRoot, mountName } from './names.js'
import type { MountOptions } from './options.js'
import { mountMemory } from './overlay.js'
import { findPlace, placements } from './places.js'
import { luks, requireCrypt } from './unlock.js'
import { unmountNamed } from './unmount.js'
import { type MountedVolume, type Mounting, mountVolume, refuseUnfit } from './volume.js'

/** A mounted image. `unmount` undoes it, devices included, as does leaving the scope of an `await using`. */
export interface MountedImage extends AsyncDisposable {
  /** Of the attachment. */
  readonly name: string
  readonly image: string
  readonly path: string
  readonly volumes: readonly MountedVolume[]
  unmount(): Promise<void>
}

/**
 * Attaches an image and mounts its volumes for this machine: read-only unless `writable` says otherwise, and what is
 * writable not executable.
 * @param path of an image file or block device
 * @param directory that exists
 * @throws what `attach` throws; ERR_DDI_NOT_FOUND for the directory, ERR_DDI_FILE_SYSTEM for what is not mounted from
 *   images, ERR_DDI_MOUNT_POINT if the image has no place for a volume, ERR_DDI_WRITABLE_EXECUTABLE, ERR_DDI_LOCKED,
 *   ERR_DDI_PASSPHRASE, ERR_DDI_TOOL if a check finds what it cannot repair; nothing is left then
 */
export async function mountImage(path: string, directory: string, options: MountOptions = {}): Promise<MountedImage> {
  const target = await mountPoint(directory)
  const name = options.name ?? mountName(path, target)
  await using image = await openImage(path, options)
  const planned = plan(await dissect(image, { probe: 'used', ...options }), { ...options, name })
  const onLoop = planned.nodes.some((node) => node.kind === 'base' && node.backing === 'file')
  const mounting: Mounting = { name, image: path, onLoop, options }
  const found = placed(planned.volumes, options)
  if (found.length === 0) throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${path} has nothing to mount here`)
  for (const { designator, volume } of found) refuseUnfit(mounting, designator, volume)
  if (found.some(({ volume }) => volume.fileSystem?.type === luks)) await requireCrypt(path)
  const attachment = await activate(planned, options)
  const unmount = () => unmountNamed(name)
  try {
    const volumes = await mountAll(mounting, attachment.volumes, target)
    return { name, image: path, path: target, volumes, unmount, [Symbol.asyncDispose]: unmount }
  } catch (error) {
    await unmount()
    throw error
  }
}

/** @returns the directory without links */
async function mountPoint(directory: string): Promise<string> {
  const target = await realpath(directory).catch((error: unknown) => {
    throw systemError(error, `cannot mount on ${directory}`, {
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
    })
  })
  if (!(await stat(target)).isDirectory()) throw new DdiError('ERR_DDI_MOUNT_POINT', `${directory} is not a directory`)
  return target
}

function placed<V extends PlannedVolume>(volumes: readonly V[], { designators }: MountOptions) {
  return placements((designator) => volumes.find((volume) => volume.designator === designator), designators)
}

async function mountAll(
  mounting: Mounting,
  volumes: readonly AttachedVolume[],
  target: string,
): Promise<MountedVolume[]> {
  const found = placed(volumes, mounting.options)
  const mounted: MountedVolume[] = []
  if (!found.some(({ designator }) => designator === 'root')) await mountMemory(memoryRoot(mounting.name), target)
  for (const placement of found) {
    throwIfAborted(mounting.options.signal)
    const place = await findPlace(target, placement, mounted, mounting.image)
    if (place !== undefined) mounted.push(await mountVolume(mounting, placement.designator, placement.volume, place))
  }
  return mounted
}

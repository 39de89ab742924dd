import { realpath, stat } from 'node:fs/promises'
import { type AttachedVolume, activate, activateOptionNames } from '../attach/activate.js'
import { DdiError, systemError } from '../errors.js'
import { dissect, dissectOptionNames, requireProbed } from '../image/dissect.js'
import { luks } from '../image/luks.js'
import { type Image, openImage, openOptionNames } from '../image/open.js'
import { type PlannedVolume, plan } from '../image/plan.js'
import { listMounts } from '../kernel/mounts.js'
import { checkOptions, pickOptions } from '../options.js'
import { throwIfAborted } from '../work.js'
import { memoryRoot, mountName } from './names.js'
import { type MountOptions, mountOptionNames, mountPlanOptionNames } from './options.js'
import { mountMemory } from './overlay.js'
import { findPlace, placements, refuseAstray } from './places.js'
import { requireCrypt } from './unlock.js'
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
 * @param given path of an image file or block device, or an open image, which may be closed after this
 * @param directory that exists
 * @throws what `attach` throws; ERR_DDI_NOT_FOUND for the directory, ERR_DDI_FILE_SYSTEM for what is not mounted from
 *   images, ERR_DDI_MOUNT_POINT if the image has no place for a volume, ERR_DDI_WRITABLE_EXECUTABLE, ERR_DDI_LOCKED,
 *   ERR_DDI_PASSPHRASE, ERR_DDI_TOOL if a check finds what it cannot repair; nothing is left then
 */
export async function mountImage(
  given: string | Image,
  directory: string,
  options: MountOptions = {},
): Promise<MountedImage> {
  checkOptions(options, mountOptionNames, 'mountImage')
  if (typeof given !== 'string') return await mountOpen(given, directory, options)
  await using image = await openImage(given, pickOptions(options, openOptionNames))
  return await mountOpen(image, directory, options)
}

async function mountOpen(image: Image, directory: string, options: MountOptions): Promise<MountedImage> {
  const target = await mountPoint(directory)
  const name = options.name ?? mountName(image.name, target)
  const dissection = await dissect(image, { probe: 'used', ...pickOptions(options, dissectOptionNames) })
  requireProbed(dissection)
  const planned = plan(dissection, { ...pickOptions(options, mountPlanOptionNames), name })
  // The image's bases come before those of hash trees beside it.
  const onLoop = planned.nodes.find((node) => node.kind === 'base')?.backing === 'file'
  const mounting: Mounting = { name, image: image.name, onLoop, options }
  const found = placed(planned.volumes, options)
  if (found.length === 0) throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${image.name} has nothing to mount here`)
  for (const { designator, volume } of found) refuseUnfit(mounting, designator, volume)
  if (found.some(({ volume }) => volume.fileSystem?.type === luks)) await requireCrypt(image.name)
  const attachment = await activate(planned, pickOptions(options, activateOptionNames))
  const unmount = () => unmountNamed(name)
  try {
    const volumes = await mountAll(mounting, attachment.volumes, target)
    return { name, image: image.name, path: target, volumes, unmount, [Symbol.asyncDispose]: unmount }
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
    await using place = await findPlace(target, placement, () => whereabouts(mounted), mounting.image)
    if (place) mounted.push(await mountVolume(mounting, placement.designator, placement.volume, place))
  }
  await refuseAstray(target, mounted, mounting.image)
  return mounted
}

/**
 * Where volumes were mounted, and where they are by now. A hostile file system may have one directory under two names: what is mounted on it then goes by
 * that under which it was last looked up.
 */
async function whereabouts(mounted: readonly MountedVolume[]): Promise<readonly MountedVolume[]> {
  const mounts = await listMounts()
  return mounted.flatMap((one) => [
    one,
    ...mounts.filter(({ source }) => source === one.device).map(({ path }) => ({ ...one, path })),
  ])
}

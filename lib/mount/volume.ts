import { addon } from '../../bindings/addon.js'
import type { AttachedVolume } from '../attach/activate.js'
import { prepareResizeOn } from '../attach/resize-file-system.js'
import { openFile } from '../bytes/file.js'
import { DdiError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { luks } from '../image/luks.js'
import type { PlannedVolume } from '../image/plan.js'
import { runTool, type Tool } from '../tool.js'
import {
  isImmutable,
  isMountable,
  isNoExec,
  isWritableAndExecutable,
  type MountSteps,
  mountable,
  mountSteps,
} from './arguments.js'
import type { MountOptions } from './options.js'
import { mountAt, openMountOn, overlay } from './overlay.js'
import { mapOwners } from './owners.js'
import type { OpenedInRoot } from './root.js'
import { unlockVolume } from './unlock.js'

/** A mounted volume. */
export interface MountedVolume {
  readonly designator: Designator
  /** What is mounted. */
  readonly device: string
  readonly path: string
  readonly fileSystem: string
  readonly readOnly: boolean
  /** Nothing in it can be executed. */
  readonly noExec: boolean
  readonly verified: boolean
}

/** What the volumes of a mount have in common. */
export interface Mounting {
  /** The name of the attachment. */
  readonly name: string
  /** The image, for messages. */
  readonly image: string
  /** The volumes lie in files, which can give back freed blocks. */
  readonly onLoop: boolean
  readonly options: MountOptions
}

/** What holds file systems without being one, as libblkid names it, and whose work it is to open that. */
const openers: ReadonlyMap<string, string> = new Map([
  ['LVM2_member', '`vgchange --activate=y`'],
  ['linux_raid_member', '`mdadm --assemble`'],
  ['zfs_member', '`zpool import`'],
])

/**
 * Refuses, before anything is made, what could not be mounted later.
 * @throws ERR_DDI_LOCKED, ERR_DDI_FILE_SYSTEM, ERR_DDI_WRITABLE_EXECUTABLE
 */
export function refuseUnfit(mounting: Mounting, designator: Designator, volume: PlannedVolume): void {
  const { image, options } = mounting
  const type = volume.fileSystem?.type ?? ''
  if (type === luks) {
    if (!options.unlock)
      throw new DdiError(
        'ERR_DDI_LOCKED',
        `${designator} of ${image} is a LUKS volume: it needs a passphrase or a key file`,
      )
    return
  }
  if (!isMountable(type))
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${designator} of ${image} holds ${type || 'no known file system'}; ${
        openers.has(type)
          ? `once it is attached, ${openers.get(type)} finds the file systems in it`
          : `images may have ${mountable.join(', ')}`
      }`,
    )
  stepsFor(mounting, designator, type, volume)
}

/**
 * How a volume is mounted: of whatever type, opened or not, in place or covered.
 * @throws ERR_DDI_WRITABLE_EXECUTABLE if nothing may be both, and it would be
 */
function stepsFor(
  { image, options, onLoop }: Mounting,
  designator: Designator,
  type: string,
  { readOnly, noExec }: Pick<PlannedVolume, 'readOnly' | 'noExec'>,
): MountSteps {
  const { mountOptions, discard = 'loop', inMemoryOverlay = false, writeXorExecute = false } = options
  const given = mountOptions?.[designator]
  const steps = mountSteps(designator, type, {
    readOnly: readOnly || isImmutable(type),
    discard: discard === 'all' || (discard === 'loop' && onLoop),
    noExec,
    inMemoryOverlay,
    ...(given !== undefined && { given }),
  })
  if (writeXorExecute && isWritableAndExecutable(steps))
    throw new DdiError(
      'ERR_DDI_WRITABLE_EXECUTABLE',
      `${designator} of ${image} would be writable and executable: drop the mount option exec, or mount it read-only`,
    )
  return steps
}

/**
 * Mounts a volume of an attachment: opened if it is locked, checked if it is writable.
 * @param place a directory, opened
 * @throws ERR_DDI_FILE_SYSTEM, ERR_DDI_PASSPHRASE, ERR_DDI_WRITABLE_EXECUTABLE, ERR_DDI_TOOL, ERR_DDI_LIBRARY_MISSING, ERR_DDI_KERNEL
 */
export async function mountVolume(
  mounting: Mounting,
  designator: Designator,
  volume: AttachedVolume,
  place: OpenedInRoot,
): Promise<MountedVolume> {
  const { check = true, grow = true, owners, signal } = mounting.options
  const { device, type } = await openedDevice(mounting, volume)
  if (!isMountable(type))
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${designator} of ${mounting.image} holds ${type || 'no known file system'} inside LUKS`,
    )
  await refuseLargerSectors(mounting, designator, volume)
  const steps = stepsFor(mounting, designator, type, volume)
  const readOnly = volume.readOnly || isImmutable(type)
  if (check && !readOnly) await checkFileSystem(device, type, signal)
  await mountAt(device, place.path, type, steps.volume)
  await using mounted = await openMountOn(place)
  if (grow && !readOnly && volume.growFileSystem && growable.includes(type))
    await (await prepareResizeOn(device, type))()
  if (steps.overlay) await overlay(mounted.path, steps.overlay)
  if (owners) {
    await using top = await openMountOn(steps.overlay ? mounted : place)
    await mapOwners(top, owners)
  }
  return {
    designator,
    device,
    path: await place.realPath(),
    fileSystem: type,
    readOnly: readOnly && !steps.overlay,
    noExec: isNoExec(steps),
    verified: volume.verified,
  }
}

/** These are read block by block, whatever the sectors are. */
const bySectors: readonly string[] = ['ext4', 'vfat', 'xfs']

/**
 * The kernel reads no less than a sector: it fails to mount with an error of input or output.
 * @throws ERR_DDI_FILE_SYSTEM for blocks that are smaller than the sectors of the device
 */
async function refuseLargerSectors(
  { image }: Mounting,
  designator: Designator,
  { device, fileSystem }: AttachedVolume,
): Promise<void> {
  const blockSize = fileSystem?.blockSize ?? null
  if (blockSize === null || !bySectors.includes(fileSystem!.type)) return
  await using file = await openFile(device)
  const { sectorSize } = await addon().blockGeometry(file.fd, device)
  if (sectorSize > blockSize)
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${designator} of ${image} is ${fileSystem!.type} with blocks of ${blockSize} bytes, and its disk has sectors of ${sectorSize}: it mounts only from a file, or a disk of smaller sectors`,
    )
}

/** The device with the file system: that of the volume, or what opens on it. */
async function openedDevice(
  { name, options }: Mounting,
  volume: AttachedVolume,
): Promise<{ readonly device: string; readonly type: string }> {
  const type = volume.fileSystem?.type ?? ''
  return type === luks && options.unlock
    ? await unlockVolume(volume, name, options.unlock, options.signal)
    : { device: volume.device, type }
}

/** These grow while they are mounted. */
const growable: readonly string[] = ['btrfs', 'ext4', 'xfs']

const checkers: Readonly<Record<string, Tool>> = {
  ext4: { command: ['fsck.ext4', '-p'], package: 'e2fsprogs' },
  vfat: { command: ['fsck.vfat', '-a'], package: 'dosfstools' },
}

/** Checks a file system and repairs what can be repaired safely; exit status 1 says that something was. */
async function checkFileSystem(device: string, type: string, signal?: AbortSignal): Promise<void> {
  const checker = checkers[type]
  if (checker) await runTool({ ...checker, command: [...checker.command, device], accepted: [1] }, signal)
}

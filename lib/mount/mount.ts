import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, realpath, rmdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon, mountFlags, unmountFlags } from '../../bindings/addon.js'
import { type AttachedVolume, activate } from '../attach/activate.js'
import { prepareResize } from '../attach/resize-file-system.js'
import { DdiError, systemCode, systemError } from '../errors.js'
import type { Designator } from '../gpt/dps-types.js'
import { type DissectOptions, dissect } from '../image/dissect.js'
import { type OpenOptions, openImage } from '../image/open.js'
import { attachmentName, type PlannedVolume, type PlanOptions, plan } from '../image/plan.js'
import { runTool, type Tool } from '../tool.js'
import { throwIfAborted } from '../work.js'
import { isImmutable, isWritableAndExecutable, mountArguments, mountable } from './options.js'
import { isMissing, openRoot, pathOnly, type Root } from './root.js'
import { type Unlock, unlockVolume } from './unlock.js'
import { unmountNamed } from './unmount.js'

export interface MountOptions extends OpenOptions, DissectOptions, Omit<PlanOptions, 'volumes'> {
  /** Words of mount(8) for the volumes of designators. */
  readonly mountOptions?: Readonly<Partial<Record<Designator, string>>>
  /** Where freed blocks are given back: on loop devices, on all devices, or nowhere. Default: loop. */
  readonly discard?: 'disabled' | 'loop' | 'all'
  /** Checks writable file systems first. Default: true. */
  readonly check?: boolean
  /** Lets writable file systems fill volumes whose flag asks for it. Default: true. */
  readonly grow?: boolean
  /** Writes go to memory, and are gone with the mount. Default: false. */
  readonly inMemoryOverlay?: boolean
  /** Shows files of owners from `inside` as those of owners from `outside`. */
  readonly owners?: { readonly inside: number; readonly outside: number; readonly count: number }
  /** Refuses what would be writable and executable at once. Default: false. */
  readonly writeXorExecute?: boolean
  /** What opens LUKS volumes. */
  readonly unlock?: Unlock
  readonly signal?: AbortSignal
}

export interface MountedVolume {
  readonly designator: Designator
  /** What is mounted. */
  readonly device: string
  readonly path: string
  readonly fileSystem: string
  readonly readOnly: boolean
  readonly verified: boolean
}

/** A mounted image. `unmount` undoes it, devices included, as does leaving the scope of an `await using`. */
export interface MountedImage extends AsyncDisposable {
  /** Of the attachment. */
  readonly name: string
  readonly image: string
  readonly path: string
  readonly volumes: readonly MountedVolume[]
  unmount(): Promise<void>
}

/** What goes where, in the order of mounting; of several places the first that is there. */
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
/** An image need not have a place for these. */
const optional: readonly Designator[] = ['xbootldr', 'esp']

/** The name of an attachment that is mounted on a folder: `unmount` finds it by that, whatever of it was made. */
export function mountName(imagePath: string, directory: string): string {
  return `${attachmentName(imagePath).slice(0, 31)}${mountMark(directory)}`
}

/** How the root in memory of an attachment is named among mounts. */
export function memoryRoot(attachment: string): string {
  return `ddi:${attachment}`
}

/** What the names of attachments that are mounted on a folder end with. @param directory without links */
export function mountMark(directory: string): string {
  return `@${createHash('sha256').update(directory).digest('hex').slice(0, 8)}`
}

/**
 * Attaches an image, and mounts what of it this machine would use: read-only unless `writable` says otherwise, and what is
 * writable not executable.
 * @param path of an image file or block device
 * @param directory a folder that exists
 * @throws what `attach` throws; ERR_DDI_NOT_FOUND for the folder, ERR_DDI_FILE_SYSTEM for what is not mounted from images,
 *   ERR_DDI_MOUNT_POINT where the image has no place for a volume, ERR_DDI_WRITABLE_EXECUTABLE, ERR_DDI_LOCKED, ERR_DDI_PASSPHRASE,
 *   ERR_DDI_TOOL where a check finds what it cannot mend; nothing is left then
 */
export async function mountImage(path: string, directory: string, options: MountOptions = {}): Promise<MountedImage> {
  const target = await realpath(directory).catch((error: unknown) => {
    throw systemError(error, `cannot mount on ${directory}`, {
      ENOENT: 'ERR_DDI_NOT_FOUND',
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
    })
  })
  if (!(await stat(target)).isDirectory()) throw new DdiError('ERR_DDI_MOUNT_POINT', `${directory} is no folder`)
  const name = options.name ?? mountName(path, target)
  await using image = await openImage(path, options)
  const planned = plan(await dissect(image, { probe: 'used', ...options }), { ...options, name })
  const order = places.flatMap(([designator, where]) => {
    const volume = planned.volumes.find((one) => one.designator === designator)
    return volume ? [{ designator, where, volume }] : []
  })
  if (order.length === 0) throw new DdiError('ERR_DDI_NOTHING_TO_ATTACH', `${path} has nothing to mount here`)
  for (const { designator, volume } of order) refuseUnfit(path, designator, volume, options)
  const { volumes } = await activate(planned, options)
  const unmount = () => unmountNamed(name)
  try {
    const mounted: MountedVolume[] = []
    const onLoop = image.bases[0]?.kind === 'file'
    if (!order.some(({ designator }) => designator === 'root'))
      await mountAt(memoryRoot(name), target, 'tmpfs', mountFlags.noSuid | mountFlags.noDev, 'mode=0755')
    for (const { designator, where } of order) {
      const volume = volumes.find((one) => one.designator === designator)!
      throwIfAborted(options.signal)
      const place = designator === 'root' ? target : await findPlace(target, designator, where, mounted, path)
      if (place === undefined) continue
      mounted.push(await mountVolume(volume, designator, place, name, options, onLoop))
    }
    return { name, image: path, path: target, volumes: mounted, unmount, [Symbol.asyncDispose]: unmount }
  } catch (error) {
    await unmount()
    throw error
  }
}

/** Refuses before anything is made what could not be mounted later. */
function refuseUnfit(path: string, designator: Designator, volume: PlannedVolume, options: MountOptions): void {
  const type = volume.fileSystem?.type
  if (type === 'crypto_LUKS') {
    if (!options.unlock)
      throw new DdiError(
        'ERR_DDI_LOCKED',
        `${designator} of ${path} is a LUKS volume: give --passphrase-file, or --key-file`,
      )
    return
  }
  if (!mountable.some((one) => one === type))
    throw new DdiError(
      'ERR_DDI_FILE_SYSTEM',
      `${designator} of ${path} holds ${type ?? 'nothing that is known'}; mounted from images are ${mountable.join(', ')}`,
    )
  const given = argumentsOf(designator, type!, volume.readOnly || isImmutable(type!), options, true)
  if (options.writeXorExecute && isWritableAndExecutable(given))
    throw new DdiError(
      'ERR_DDI_WRITABLE_EXECUTABLE',
      `${designator} of ${path} would be writable and executable, which --policy=wx refuses: drop exec, or mount it read-only`,
    )
}

function argumentsOf(
  designator: Designator,
  type: string,
  readOnly: boolean,
  { mountOptions, discard = 'loop' }: MountOptions,
  onLoop: boolean,
) {
  const given = mountOptions?.[designator]
  return mountArguments(designator, type, {
    readOnly,
    discard: discard === 'all' || (discard === 'loop' && onLoop),
    ...(given !== undefined && { given }),
  })
}

async function mountVolume(
  volume: AttachedVolume,
  designator: Designator,
  place: string,
  attachment: string,
  options: MountOptions,
  onLoop: boolean,
): Promise<MountedVolume> {
  const { check = true, grow = true, inMemoryOverlay = false, owners, unlock } = options
  const locked = volume.fileSystem?.type === 'crypto_LUKS'
  const opened = locked
    ? await unlockVolume(volume, attachment, unlock!)
    : { device: volume.device, type: volume.fileSystem!.type }
  const { device, type } = opened
  if (!mountable.some((one) => one === type))
    throw new DdiError('ERR_DDI_FILE_SYSTEM', `${designator} holds ${type || 'nothing that is known'} within LUKS`)
  const readOnly = volume.readOnly || isImmutable(type)
  if (check && !readOnly) await checkFileSystem(device, type, options.signal)
  const { flags, data } = argumentsOf(designator, type, readOnly, options, onLoop)
  await mountAt(device, place, type, flags, data)
  if (grow && !readOnly && volume.growFileSystem && growable.includes(type)) await (await prepareResize(device, type))()
  if (inMemoryOverlay) await overlay(place)
  if (owners) await mapOwners(place, owners)
  return {
    designator,
    device,
    path: place,
    fileSystem: type,
    readOnly: readOnly && !inMemoryOverlay,
    verified: volume.verified,
  }
}

/** Mounts on just this place, which has no links in it. */
async function mountAt(source: string, place: string, type: string, flags: number, data: string): Promise<void> {
  try {
    await addon().mount(source, place, type, flags, data)
  } catch (error) {
    const why = systemCode(error) === 'ENODEV' ? ` (this kernel has no ${type})` : ''
    throw systemError(error, `cannot mount ${source} on ${place}${why}`, {
      ENODEV: 'ERR_DDI_FILE_SYSTEM',
      EUCLEAN: 'ERR_DDI_FILE_SYSTEM',
    })
  }
}

/** Those that grow while they are mounted. */
const growable: readonly string[] = ['btrfs', 'ext4', 'xfs']

const checkers: Readonly<Record<string, Tool>> = {
  ext4: { command: ['fsck.ext4', '-p'], package: 'e2fsprogs' },
  vfat: { command: ['fsck.vfat', '-a'], package: 'dosfstools' },
}

/** Lets a file system mend itself. Status 1 says that it did. */
async function checkFileSystem(device: string, type: string, signal?: AbortSignal): Promise<void> {
  const checker = checkers[type]
  if (checker) await runTool({ ...checker, command: [...checker.command, device], accepted: [1] }, signal)
}

/** Where a volume goes within what is mounted already; links in the image lead nowhere else. */
async function findPlace(
  target: string,
  designator: Designator,
  where: readonly string[],
  mounted: readonly MountedVolume[],
  image: string,
): Promise<string | undefined> {
  await using root = await openRoot(target)
  for (const place of where) {
    // The ESP goes to /boot only where nothing else does.
    if (mounted.some(({ path }) => path === join(target, place))) continue
    const found = (await existing(root, place)) ?? (await created(root, target, place, mounted))
    if (found !== undefined) return found
  }
  if (optional.includes(designator)) return undefined
  throw new DdiError(
    'ERR_DDI_MOUNT_POINT',
    `${image} has a ${designator} volume, and its root has no folder ${where.join(' or ')} to mount it on: make one in the image, or mount with --in-memory-overlay`,
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

/** Makes the folder, where its parent is there and takes one. */
async function created(
  root: Root,
  target: string,
  place: string,
  mounted: readonly MountedVolume[],
): Promise<string | undefined> {
  const writable = mounted.every(({ readOnly }) => !readOnly)
  const parent = writable ? await existing(root, join(place, '..')) : undefined
  if (parent === undefined || (parent !== target && !parent.startsWith(`${target}/`))) return undefined
  const path = join(parent, place.slice(place.lastIndexOf('/') + 1))
  try {
    await mkdir(path, { mode: 0o755 })
    return path
  } catch (error) {
    if (systemCode(error) === 'EROFS') return undefined
    throw systemError(error, `cannot make ${path}`)
  }
}

/** Covers a mount with itself and a layer in memory. */
async function overlay(place: string): Promise<void> {
  await mkdir('/run/ddi', { recursive: true, mode: 0o755 })
  const layer = await mkdtemp('/run/ddi/overlay-')
  try {
    await mountAt('tmpfs', layer, 'tmpfs', mountFlags.noSuid | mountFlags.noDev, 'mode=0755')
    try {
      for (const name of ['upper', 'work']) await mkdir(join(layer, name), { mode: 0o755 })
      const quoted = (path: string) => path.replace(/[\\:,]/g, '\\$&')
      const data = `lowerdir=${quoted(place)},upperdir=${layer}/upper,workdir=${layer}/work`
      await mountAt('overlay', place, 'overlay', mountFlags.noDev, data)
    } finally {
      // The overlay keeps what it needs.
      await addon().unmount(layer, unmountFlags.detach)
    }
  } finally {
    await rmdir(layer)
  }
}

async function mapOwners(
  place: string,
  { inside, outside, count }: NonNullable<MountOptions['owners']>,
): Promise<void> {
  // A user namespace lives as long as a process in it.
  const child = spawn('unshare', ['--user', 'sleep', '60'], { stdio: 'ignore' })
  try {
    await new Promise<void>((done, fail) => child.once('spawn', done).once('error', fail))
    await untilUnshared(child.pid!)
    for (const map of ['uid_map', 'gid_map'])
      await writeFile(`/proc/${child.pid}/${map}`, `${inside} ${outside} ${count}\n`)
    const handle = await open(`/proc/${child.pid}/ns/user`, 'r')
    try {
      await addon().mapOwners(place, handle.fd)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw systemError(error, `cannot map the owners of ${place}`)
  } finally {
    child.kill('SIGKILL')
  }
}

async function untilUnshared(pid: number): Promise<void> {
  for (let attempt = 1; attempt <= 100; attempt++) {
    // `unshare` has become `sleep` when it is in its own namespace.
    if ((await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'sleep') return
    await sleep(5)
  }
  throw new DdiError('ERR_DDI_KERNEL', 'this machine makes no user namespaces (kernel.unprivileged_userns_clone?)')
}

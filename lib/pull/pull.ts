import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { makeDirectories, refuseExisting, refuseSpecial } from '../bytes/new-file.js'
import type { WholeVolume } from '../disk/volume.js'
import { checkOptions } from '../options.js'
import { parseAddress } from './address.js'
import { directoryMode } from './names.js'
import { type PullOptions, pullOptionNames, settingsOf } from './options.js'
import { type Destination, type Received, receive, receiveStream } from './receive.js'
import { FileDestination, type FileTarget, fileTargetNames } from './to-file.js'
import { requireGnuTar, TreeDestination, type TreeTarget, treeTargetNames } from './to-tree.js'
import { VolumeDestination, type VolumeTarget, volumeTargetNames } from './to-volume.js'

/** What a download becomes: a file, a directory, or a volume of a disk. */
export type PullTarget = FileTarget | TreeTarget | VolumeTarget

/** What was pulled, and where it is. */
export interface Pulled extends Received {
  /** Of the file, the directory, or the disk. */
  readonly path: string
  /** The new volume of the disk. */
  readonly volume: WholeVolume | null
}

/**
 * Downloads an image. It appears only after verification, and is on the disk then. What an interrupted pull left beside a file or
 * directory, the next pull of the same address resumes.
 * @param address http, https or file, or the bytes themselves, which are verified by a known SHA-256 at most; compression by xz, gzip, bzip2, zstd, lz4 or lzma is removed
 * @throws ERR_DDI_USAGE, ERR_DDI_EXISTS, ERR_DDI_LIBRARY_MISSING, ERR_DDI_BUSY if another process pulls to the same path, ERR_DDI_NO_SPACE, ERR_DDI_ABORTED,
 *   ERR_DDI_ROOT_HASH_WRONG and the like, for a volume what {@link Disk.create} throws, and the `ERR_DDI_PULL_…` codes; the target
 *   is as before then
 */
export async function pull(
  address: string | URL | Readable,
  target: PullTarget,
  options: PullOptions = {},
): Promise<Pulled> {
  return await pullAfter(async () => {}, address, target, options)
}

/** The same, of which a file gets its name after something else is done. @throws as {@link pull}, and what that throws */
export async function pullAfter(
  beforeNaming: () => Promise<void>,
  address: string | URL | Readable,
  target: PullTarget,
  options: PullOptions,
): Promise<Pulled> {
  checkTarget(target)
  checkOptions(options, pullOptionNames, 'pull')
  const settings = settingsOf(options)
  const parsed = address instanceof Readable ? address : parseAddress(address)
  const take = async (destination: Destination, keep?: string) =>
    parsed instanceof Readable
      ? await receiveStream(parsed, destination, settings, keep)
      : await receive(parsed, destination, settings, keep)
  if (target.kind === 'volume') {
    await using volume = await VolumeDestination.open(target)
    const received = await take(volume)
    return { path: target.disk, volume: volume.made, ...received }
  }
  const { path } = target
  if (target.kind === 'tar') await requireGnuTar()
  await refuseSpecial(path, target.kind === 'tar')
  if (!target.replace) await refuseExisting(path)
  await makeDirectories(dirname(path), directoryMode(dirname(path)))
  await using destination: Destination =
    target.kind === 'raw' ? new FileDestination(target, beforeNaming) : new TreeDestination(target)
  return { path, volume: null, ...(await take(destination, path)) }
}

function checkTarget(target: PullTarget): void {
  if (target.kind === 'raw') checkOptions(target, fileTargetNames, 'pull')
  else if (target.kind === 'tar') checkOptions(target, treeTargetNames, 'pull')
  else checkOptions(target, volumeTargetNames, 'pull')
}

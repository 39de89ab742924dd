import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { refuseExisting } from '../bytes/new-file.js'
import type { WholeVolume } from '../disk/volume.js'
import { systemError } from '../errors.js'
import { parseAddress } from './address.js'
import { type Destination, type Received, type ReceiveOptions, receive } from './receive.js'
import { FileDestination, type FileTarget } from './to-file.js'
import { TreeDestination, type TreeTarget } from './to-tree.js'
import { VolumeDestination, type VolumeTarget } from './to-volume.js'

export type PullOptions = ReceiveOptions

/** What is made of a download: a file, a folder, or a volume of a disk. */
export type PullTarget = FileTarget | TreeTarget | VolumeTarget

export interface Pulled extends Received {
  /** Of the file, the folder, or the disk. */
  readonly path: string
  /** The new volume of the disk. */
  readonly volume: WholeVolume | null
}

/**
 * Downloads an image. It has its name only when all of it is verified and on the disk; what a broken or killed pull left beside a
 * file or folder is taken up by the next one of the same address.
 * @param address http, https or file; what is packed by xz, gzip, bzip2 or zstd is unpacked
 * @throws ERR_DDI_EXISTS, ERR_DDI_BUSY where another process pulls to the same path, ERR_DDI_NO_SPACE, ERR_DDI_ROOT_HASH_WRONG and its
 *   like, for a volume what {@link Disk.create} throws, and the `ERR_DDI_PULL_…` codes; nothing of that name is there then
 */
export async function pull(address: string | URL, target: PullTarget, options: PullOptions = {}): Promise<Pulled> {
  const parsed = parseAddress(address)
  if (target.kind === 'volume') {
    await using volume = await VolumeDestination.open(target)
    const received = await receive(parsed, volume, options)
    return { path: target.disk, volume: volume.made, ...received }
  }
  const { path } = target
  if (!target.replace) await refuseExisting(path)
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw systemError(error, `cannot make ${dirname(path)}`, {
      ENOTDIR: 'ERR_DDI_NOT_FOUND',
      EEXIST: 'ERR_DDI_NOT_FOUND',
    })
  })
  await using destination: Destination =
    target.kind === 'raw' ? new FileDestination(target) : new TreeDestination(target)
  return { path, volume: null, ...(await receive(parsed, destination, options, path)) }
}

import { realpath } from 'node:fs/promises'
import type { LinearExtent } from '../bytes/source.js'
import { type Disk, diskOn } from '../disk/disk.js'
import { heldBy } from '../disk/held.js'
import type { WholeVolume } from '../disk/volume.js'
import { mapperPath } from '../kernel/device-mapper.js'
import { checkOptions, type OptionNames } from '../options.js'
import { isBeginning } from './disk-users.js'
import { findAttachments, linearDevices } from './list.js'
import { type DryRunOptions, dryRunNames, openForChange } from './open-for-change.js'

/**
 * Opens a disk image or block device to change its volumes. What is attached of it meanwhile is protected: volumes in use
 * may grow, and their devices with them, but are neither cut, moved nor removed.
 * @throws as `openFile` and `readGpt`, and ERR_DDI_BUSY if someone else uses the disk: another process that changes it, a
 *   loop device that ddi did not create, or who holds the block device
 */
export async function openDisk(path: string, options: OpenDiskOptions = {}): Promise<Disk> {
  checkOptions(options, openDiskOptionNames, 'openDisk')
  const { table, force = false, dryRun } = options
  return await openForChange(
    path,
    async (file, opened) =>
      await diskOn(file, path, table ? { ...opened, rescue: { held: await heldBy(file), force } } : opened),
    dryRun,
  )
}

/** Options of {@link openDisk}. */
export interface OpenDiskOptions extends DryRunOptions {
  /** Reads the backup table at the end of the disk, whatever lies before it; a repair puts it back. Default: as the disk is. */
  readonly table?: 'backup'
  /** With `table`: overwrites a file system or other table that lies where the primary table goes. Default: false. */
  readonly force?: boolean
}
const openDiskOptionNames: OptionNames<OpenDiskOptions> = { ...dryRunNames, table: true, force: true }

/**
 * The device that offers a volume of a disk, if the volume is attached as it is now.
 * @returns its path, or undefined
 */
export async function attachedDevice(volume: WholeVolume<LinearExtent>, path: string): Promise<string | undefined> {
  const real = await realpath(path)
  const offered = (await findAttachments())
    .filter(({ image }) => image === real)
    .flatMap(({ mapped }) => mapped.filter(({ role }) => role === 'volume'))
  const same = (await linearDevices(offered)).find(
    ({ extents }) => extents.length === volume.extents.length && isBeginning(extents, volume.extents),
  )
  return same && mapperPath(same.device.name)
}

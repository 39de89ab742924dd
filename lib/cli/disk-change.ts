import { openDisk } from '../attach/disk.js'
import type { Disk } from '../disk/disk.js'
import { foundExtents, type Volume } from '../disk/volume.js'
import { printable } from '../text.js'
import { segmentCount } from './extents.js'
import { formatSize, print, printJson } from './output.js'
import type { JsonValues } from './verb.js'
import { describeVolume } from './volume.js'

/** Opens a disk for one change of a volume, and prints the volume as the change left it. */
export async function changeDisk(
  path: string,
  { json }: JsonValues,
  change: (disk: Disk) => Promise<Volume>,
): Promise<void> {
  await using disk = await openDisk(path)
  const volume = await change(disk)
  const { uuid, label, size } = volume
  if (json !== 'off') printJson(describeVolume(volume), json)
  else print(`${printable(label || uuid!)}: ${formatSize(size)} in ${segmentCount(foundExtents(volume).length)}`)
}

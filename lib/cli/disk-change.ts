import { openDisk } from '../attach/disk.js'
import type { Disk } from '../disk/disk.js'
import { foundExtents, type Volume } from '../disk/volume.js'
import { printable } from '../text.js'
import { describeExtents, segmentCount } from './extents.js'
import type { JsonValues } from './options.js'
import { formatSize, print, printJson } from './output.js'
import { argument } from './verb.js'

export const diskArgument = argument('<disk>', 'disk image or block device')
export const volumeArgument = argument('<name>', 'label, UUID or partition number of the volume')

/** Opens a disk for one change of a volume, and prints the volume as the change left it. */
export async function changeDisk(
  path: string,
  { json }: JsonValues,
  change: (disk: Disk) => Promise<Volume>,
): Promise<void> {
  await using disk = await openDisk(path)
  const volume = await change(disk)
  const { designator, architecture, uuid, typeUuid, label, flags, size } = volume
  const extents = foundExtents(volume)
  if (json === 'off') print(`${printable(label || uuid!)}: ${formatSize(size)} in ${segmentCount(extents.length)}`)
  else
    printJson({ designator, architecture, uuid, typeUuid, label, flags, size, extents: describeExtents(extents) }, json)
}

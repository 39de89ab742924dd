import { openDisk } from '../attach/disk.js'
import type { Disk } from '../disk/disk.js'
import { foundExtents, type Volume } from '../disk/volume.js'
import { printable } from '../text.js'
import { counted, formatSize, print, printJson } from './output.js'
import { noteRounded } from './rounded.js'
import type { JsonValues } from './verb.js'
import { describeVolume } from './volume.js'

type ChangeValues = JsonValues & { readonly dryRun: boolean }

/** A volume as a change left it, and the size that was asked for. */
interface Changed {
  readonly volume: Volume
  readonly requested: number | null
}

/** Opens a disk for one change of a volume, and prints the volume as the change left it. */
export async function changeDisk(
  path: string,
  { json, dryRun }: ChangeValues,
  change: (disk: Disk) => Promise<Changed>,
): Promise<void> {
  await using disk = await openDisk(path, { dryRun })
  const { volume, requested } = await change(disk)
  const { uuid, label, size } = volume
  const name = label || uuid!
  noteRounded(name, requested, size, disk.unit)
  if (json !== 'off') {
    printJson({ ...describeVolume(volume), requested, dryRun }, json)
    return
  }
  const has = dryRun ? 'would have ' : ''
  print(`${printable(name)}: ${has}${formatSize(size)} in ${counted(foundExtents(volume).length, 'segment')}`)
  if (dryRun) await printChangedDisk(disk)
}

/** The map of a disk as a dry run would leave it. */
export async function printChangedDisk(disk: Disk): Promise<void> {
  const { printDisk } = await import('./pictures/layout.js')
  print('')
  await printDisk(disk, disk.size)
}

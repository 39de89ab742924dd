import { MiB, makeGptImage, typeUuids } from './images.js'
import { run } from './run.js'

/** A disk of 96 MiB whose free space lies in runs of 7 MiB between partitions, and 11 MiB at its end. */
export function makeFragmentedDisk(path: string): void {
  makeGptImage(
    path,
    96 * MiB,
    Array.from({ length: 12 }, () => ({ type: typeUuids.linuxGeneric, size: 7 * MiB })),
  )
  run('sgdisk', ...[2, 4, 6, 8, 10, 12].map((number) => `--delete=${number}`), path)
}

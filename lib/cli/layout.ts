import type { DiskContents } from '../disk/disk.js'
import { foundExtents } from '../disk/volume.js'
import { formatSize } from './output.js'
import { printTable } from './table.js'

interface LaidOut {
  /** In bytes from the start of the disk. */
  readonly start: number
  readonly length: number
  /** `free` and `orphan` are drawn lighter. */
  readonly owner: string
}

const widestBar = 40

/** A disk in the order of its bytes, each piece with a bar as long as its share. @param size of the disk, in bytes */
export async function printLayout(pieces: readonly LaidOut[], size: number): Promise<void> {
  const bar = ({ length, owner }: LaidOut) =>
    (owner === 'free' ? '░' : owner === 'orphan' ? '▒' : '█').repeat(
      Math.max(1, Math.round((length / size) * widestBar)),
    )
  await printTable(
    ['START', 'SIZE', 'PICTURE', 'BELONGS TO'],
    [...pieces]
      .sort((a, b) => a.start - b.start)
      .map((piece) => [formatSize(piece.start), formatSize(piece.length), bar(piece), piece.owner]),
  )
}

/** A disk with its volumes, each segment of theirs, orphans and free space. @param size of the disk, in bytes */
export async function printDisk({ volumes, orphans, free }: DiskContents, size: number): Promise<void> {
  const pieces = volumes.flatMap((volume) => {
    const extents = foundExtents(volume)
    const name = volume.label || volume.uuid
    return extents.flatMap((extent, n) =>
      extent.kind === 'linear' ? [{ ...extent, owner: `${name}${extents.length > 1 ? ` (${n})` : ''}` }] : [],
    )
  })
  await printLayout(
    [
      ...pieces,
      ...orphans.map((orphan) => ({ ...orphan, owner: 'orphan' })),
      ...free.map((run) => ({ ...run, owner: 'free' })),
    ],
    size,
  )
}

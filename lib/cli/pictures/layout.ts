import type { DiskContents } from '../../disk/contents.js'
import { foundExtents, type Volume } from '../../disk/volume.js'
import { formatSize } from '../output.js'
import { printTable } from '../table.js'
import { columnOf, columnsOf, type Scale, ticks } from './scale.js'

export interface Piece {
  /** In bytes from the start of the disk. */
  readonly start: number
  readonly length: number
  /** `free` and `orphan` are drawn lighter. */
  readonly owner: string
}

/** Of the picture, in columns: what an 80-column terminal has left beside the other columns of the table. */
const narrowest = 40
const others = 40
const widest = 120
const tickGap = 8

/** A disk in the order of its bytes, each piece where it lies, to scale. @param size of the disk @param bytes prints sizes in bytes */
export async function printLayout(pieces: readonly Piece[], size: number, bytes = false): Promise<void> {
  const width = Math.min(widest, Math.max(narrowest, (process.stdout.columns ?? 0) - others))
  const scale = { size, width }
  await printTable(
    ['START', 'SIZE', 'BELONGS TO', ruler(scale)],
    [...pieces]
      .sort((a, b) => a.start - b.start)
      .map((piece) => [{ bytes: piece.start }, { bytes: piece.length }, piece.owner, bar(scale, piece)]),
    { bytes },
  )
}

/** `│0      │16M    │32M`: each stroke is where its size is. */
function ruler(scale: Scale): string {
  const marks = ticks(scale, tickGap).map((at) => [columnOf(scale, at), `│${formatSize(at)}`] as const)
  return marks.reduce((line, [column, mark]) => line.padEnd(column) + mark, '')
}

/** A piece over faint ticks, which tell at which of the sizes above it lies. */
function bar(scale: Scale, { start, length, owner }: Piece): string {
  const marked = new Set(ticks(scale, tickGap).map((at) => columnOf(scale, at)))
  const [from, to] = columnsOf(scale, start, length)
  const fill = owner === 'free' ? '░' : owner === 'orphan' ? '▒' : '█'
  return Array.from({ length: scale.width + 1 }, (_, n) =>
    n >= from && n < to ? fill : marked.has(n) ? '·' : ' ',
  ).join('')
}

/** The segments of volumes, named and numbered. */
export function piecesOf(volumes: readonly Volume[]): Piece[] {
  return volumes.flatMap((volume) => {
    const extents = foundExtents(volume)
    const name = volume.label || volume.uuid || volume.designator
    return extents.flatMap((extent, n) =>
      extent.kind === 'linear'
        ? [{ start: extent.start, length: extent.length, owner: `${name}${extents.length > 1 ? ` (${n})` : ''}` }]
        : [],
    )
  })
}

/** A disk with its volumes, each segment of theirs, orphans and free space. @param size as {@link printLayout} */
export async function printDisk({ volumes, orphans, free }: DiskContents, size: number, bytes = false): Promise<void> {
  await printLayout(
    [
      ...piecesOf(volumes),
      ...orphans.map((orphan) => ({ ...orphan, owner: 'orphan' })),
      ...free.map((run) => ({ ...run, owner: 'free' })),
    ],
    size,
    bytes,
  )
}

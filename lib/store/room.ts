import { totalLength } from '../bytes/extents.js'
import { allocate } from '../bytes/runs.js'
import type { Room } from '../disk/change.js'
import type { Disk } from '../disk/disk.js'
import { DdiError } from '../errors.js'
import type { StoreImage } from './image.js'
import { type Retention, toRemove } from './retention.js'

/**
 * The images to remove so that `size` bytes have room on a disk.
 * @throws ERR_DDI_NO_SPACE, ERR_DDI_TABLE_FULL, if there is none even without all that may be removed: the message says how much is
 *   missing, and what holds it
 */
export function imagesToRemove(
  disk: Disk,
  { removable, held }: Retention<StoreImage>,
  size: number,
): readonly StoreImage[] {
  const roomWithout = (images: readonly StoreImage[]) => disk.room(images.map(({ volume }) => volume))
  const found = toRemove(removable, (without) => fits(roomWithout(without), size))
  if (found) return found
  const { free, entries } = roomWithout(removable)
  const missing = size - totalLength(free)
  const holders = [...held].map(([{ label, volume }, why]) => `${label} (${why}, ${volume.size} bytes)`)
  const ofStore = new Set([...held.keys(), ...removable].map(({ uuid }) => uuid))
  const others = disk.volumes.filter(({ uuid }) => !ofStore.has(uuid!))
  if (others.length > 0)
    holders.push(
      `${others.length} volumes that are no images of the store (${totalLength(others.map(lengthOf))} bytes)`,
    )
  const why = holders.length > 0 ? `; what may not be removed: ${holders.join(', ')}` : ''
  if (missing > 0)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `the image needs ${size} bytes, and ${missing} of them would be missing even if all were removed that may be${why}`,
      { needed: size, free: totalLength(free) },
    )
  const pieces = allocate(free, size).length
  throw new DdiError(
    'ERR_DDI_TABLE_FULL',
    `the image would lie in ${pieces} segments, and the table of ${disk.path} has room for ${entries} more partitions: defragment, or make a table with more entries${why}`,
  )
}

function lengthOf({ size }: { readonly size: number }): { readonly length: number } {
  return { length: size }
}

function fits({ free, entries }: Room, size: number): boolean {
  return totalLength(free) >= size && allocate(free, size).length <= entries
}

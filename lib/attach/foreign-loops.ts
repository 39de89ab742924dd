import { readFile } from 'node:fs/promises'
import type { Run } from '../bytes/source.js'
import { listLoops } from '../kernel/loop.js'
import { findPlaces } from '../kernel/places.js'
import { parseLoopReference } from './names.js'

/** A loop device, and the bytes of a disk that it offers. */
export interface LoopOver extends Run {
  readonly path: string
}

/**
 * The loop devices that others made over a disk or its partitions. They claim neither: the kernel lets the disk be opened exclusively,
 * and its partitions be moved, while they are mounted.
 * @param disk `major:minor` of a whole block device
 */
export async function foreignLoops(disk: string): Promise<readonly LoopOver[]> {
  const loops = (await listLoops()).filter(({ reference }) => !parseLoopReference(reference))
  if (loops.length === 0) return []
  const placeOf = await findPlaces()
  const found = await Promise.all(
    loops.map(async ({ device, deviceNumber }) => {
      const { ground, start } = await placeOf(deviceNumber)
      // In sysfs all sizes are in sectors of 512 bytes.
      const sectors = Number(await readFile(`/sys/dev/block/${deviceNumber}/size`, 'latin1').catch(() => '0'))
      return { ground, loop: { path: device, start, length: sectors * 512 } }
    }),
  )
  return found.flatMap(({ ground, loop }) => (ground === `disk ${disk}` ? [loop] : []))
}

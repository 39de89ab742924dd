import { readFile, stat } from 'node:fs/promises'
import { deviceNumber, type FileSource } from '../bytes/file.js'
import { type ListedLoop, listLoops } from './loop.js'

/** Where the bytes of a file or block device lie: `start` in bytes from the beginning of the ground. */
export interface Place {
  /** A file by its device and inode, a disk by its number. */
  readonly ground: string
  readonly start: number
}

/** Says of a block device, by its `major:minor`, where it lies: partitions in their disks, loop devices in their files. */
export async function findPlaces(): Promise<(number: string) => Promise<Place>> {
  const loops = await listLoops()
  const overLoops = new Map(
    await Promise.all(loops.map(async (loop) => [loop.deviceNumber, await placeOfLoop(loop)] as const)),
  )
  const places = new Map<string, Promise<Place>>()
  return (number) => {
    const place = places.get(number) ?? placeOfDevice(number, overLoops)
    places.set(number, place)
    return place
  }
}

/** A loop device over a file, or over a block device. */
async function placeOfLoop({ backing, backingDevice, backingInode, offset }: ListedLoop): Promise<Place> {
  const stats = await stat(backing, { bigint: true }).catch(() => undefined)
  const isIt = stats?.dev.toString() === backingDevice && stats.ino.toString() === backingInode
  if (!isIt || !stats.isBlockDevice()) return { ground: `file ${backingDevice}:${backingInode}`, start: offset }
  const disk = await placeOfDevice(deviceNumber(Number(stats.rdev)), new Map())
  return { ...disk, start: disk.start + offset }
}

async function placeOfDevice(number: string, overLoops: ReadonlyMap<string, Place>): Promise<Place> {
  const directory = `/sys/dev/block/${number}`
  const [start, disk] = await Promise.all(
    // A partition lies in its disk; a disk has no start.
    [`${directory}/start`, `${directory}/../dev`].map((path) => readFile(path, 'utf8').catch(() => undefined)),
  )
  if (start === undefined || disk === undefined) return overLoops.get(number) ?? { ground: `disk ${number}`, start: 0 }
  const place = await placeOfDevice(disk.trim(), overLoops)
  return { ...place, start: place.start + Number(start) * 512 }
}

/** Where an open file or block device lies. */
export async function placeOf({ fd, kind, identity }: FileSource): Promise<Place> {
  if (kind === 'file') return { ground: identity, start: 0 }
  return (await findPlaces())(deviceNumber((await stat(`/proc/self/fd/${fd}`)).rdev))
}

import { readFile, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DdiError } from '../errors.js'

/** TMPFS_MAGIC and RAMFS_MAGIC of <linux/magic.h>. */
const memoryTypes: readonly number[] = [0x01021994, 0x858458f6]

/** The room that is left where much is to be written. */
export interface Room {
  /** Whether it is the machine’s memory, which everything that runs needs too. */
  readonly inMemory: boolean
  /** In bytes; Infinity if that cannot be known. */
  free(): Promise<number>
}

/** @param path of a file in a directory that exists */
export async function roomBeside(path: string): Promise<Room> {
  const directory = dirname(path)
  const inMemory = memoryTypes.includes((await statfs(directory)).type)
  return {
    inMemory,
    async free() {
      const { bavail, bsize } = await statfs(directory)
      return Math.max(
        0,
        Math.min(bavail * bsize, inMemory ? (await availableMemory()) - reserve : Number.POSITIVE_INFINITY),
      )
    },
  }
}

/** What is left to everything else that runs, in bytes. */
const reserve = 16 * 1024 * 1024

/** What the kernel could still give to programs, in bytes: proc(5). */
async function availableMemory(): Promise<number> {
  const [, kibibytes] = /^MemAvailable:\s*(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? []
  return kibibytes === undefined ? Number.POSITIVE_INFINITY : Number(kibibytes) * 1024
}

/**
 * @param what comes, for the error
 * @param needed in bytes
 * @throws ERR_DDI_NO_SPACE
 */
export async function requireRoom(what: URL | string, room: Room, needed: number): Promise<void> {
  const free = await room.free()
  if (needed > free)
    throw new DdiError(
      'ERR_DDI_NO_SPACE',
      `${what} takes ${needed} bytes at least, and only ${free} ${room.inMemory ? 'of this machine’s memory' : 'of the disk'} are free`,
      { needed, free },
    )
}

/** How often memory is looked at, in bytes. */
const step = 8 * 1024 * 1024

/**
 * Called with the size of everything so far: throws before memory is so short that the kernel ends processes. A disk that is full says
 * so itself.
 * @throws ERR_DDI_NO_SPACE
 */
export function watchRoom(url: URL | string, room: Room | undefined): (size: number) => Promise<void> {
  let looked = 0
  return async (size) => {
    if (!room?.inMemory || size - looked < step) return
    looked = size
    if ((await room.free()) === 0)
      throw new DdiError('ERR_DDI_NO_SPACE', `${url}: this machine’s memory is full after ${size} bytes were unpacked`)
  }
}

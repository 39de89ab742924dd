import { chmod, lstat, readdir, rm } from 'node:fs/promises'
import { throwIfAborted } from '../work.js'
import type { ExtractedFiles } from './entries.js'
import { extractErofs } from './erofs.js'
import { extractExt4 } from './ext4.js'
import { extractSquashfs } from './squashfs.js'

/** Takes the files of a file system out of it without privileges, and writes nowhere else whatever the file system says. */
export interface Extractor {
  readonly tool: string
  /** @param volume path of the file system @param directory to create, with its files in it */
  readonly extract: (volume: string, directory: string, signal?: AbortSignal) => Promise<ExtractedFiles>
}

/** By the type of the file system, as libblkid names it. */
export const extractors: Readonly<Record<string, Extractor>> = {
  erofs: { tool: 'fsck.erofs', extract: extractErofs },
  ext4: { tool: 'debugfs', extract: extractExt4 },
  squashfs: { tool: 'unsquashfs', extract: extractSquashfs },
}

/** Makes all that was extracted readable and removable for us, and removes what is not a file, directory or link. */
export async function settle(directory: Buffer, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal)
  const { mode } = await lstat(directory)
  await chmod(directory, (mode & 0o1777) | 0o700)
  for (const name of await readdir(directory, { encoding: 'buffer' })) {
    const path = Buffer.concat([directory, Buffer.from('/'), name])
    const stats = await lstat(path)
    if (stats.isDirectory()) await settle(path, signal)
    else if (stats.isFile()) await chmod(path, (stats.mode & 0o777) | 0o400)
    else if (!stats.isSymbolicLink()) await rm(path)
  }
}

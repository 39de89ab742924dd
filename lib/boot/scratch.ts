import { join } from 'node:path'
import { makeDirectories } from '../bytes/new-file.js'
import { openScratchDirectory, type ScratchDirectory } from '../bytes/scratch.js'

/** A directory in memory for what a step of a boot needs no longer than it lasts. @throws as `openScratchDirectory` */
export async function bootScratch(root: string, name: string): Promise<ScratchDirectory> {
  const directory = join(root, 'run/ddi')
  await makeDirectories(directory)
  return await openScratchDirectory(join(directory, name))
}
